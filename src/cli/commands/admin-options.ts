import type { Command } from 'commander';

/** The flags of every command that asks a running instance. */
export function withAdminOptions(command: Command): Command {
  return command
    .option(
      '--admin <addr>',
      'host:port of the admin API (default: that of --config, else of ONEPULL_ADMIN, else 127.0.0.1:5001)',
    )
    .option('--config <file>', "the instance's YAML file, to find its admin API and token")
    .option('--token-file <file>', 'file with the admin token, for an instance that wants one')
    .option('--json', 'print it as JSON');
}

/** The end of the help of such a command. */
export const adminHelp = `\
ONEPULL_ADMIN says which instance is asked where neither --admin nor --config does (to "onepull serve" the same variable
says where to listen). ONEPULL_ADMIN_TOKEN or ONEPULL_ADMIN_TOKEN_FILE has the token, unless --token-file or the file of
--config does; beside ONEPULL_ADMIN it is sent to that instance alone.`;
