import { Argument, type Command, Option } from 'commander';
import { clientNames } from '../../clients/client-names.ts';
import type { ClientsOptions } from '../options.ts';
import { withHelp } from './help-text.ts';
import type { Run } from './run.ts';

const help = `
The configuration goes to standard output, what to do with it to standard error. It is that of the running instance, or
with --config that of a file, which need not run.

Examples:
  onepull clients podman > /etc/containers/registries.conf.d/50-onepull.conf
  onepull clients containerd --write /etc/containerd/certs.d
  onepull clients containerd --registry ghcr.io --address cache.example:5000
  onepull clients docker --config /etc/onepull.yaml --address cache.example:5000
  onepull clients k3s --json | jq -r '.files[].path'

The running instance is found by --admin, else by ONEPULL_ADMIN; with --config neither counts.`;

export function clientsCommand(onepull: Command, run: Run): void {
  withHelp(onepull.command('clients'), help)
    .description('Print what a client is configured with to pull through the cache.')
    .addArgument(new Argument('<client>', 'the client').choices([...clientNames]))
    .option('--address <addr>', 'host:port where clients reach the cache (default: where it listens)')
    .addOption(
      new Option('--registry <name>', 'only this registry; again for more (default: all)').argParser(
        (name: string, before: readonly string[] = []) => [...before, name],
      ),
    )
    .option('--ca <file>', 'where clients have the authority that signed its certificate, if that is your own')
    .option('--write <dir>', 'containerd: write the files below this folder instead of printing them')
    .option('--admin <addr>', 'host:port of the admin API (default: that of ONEPULL_ADMIN, else 127.0.0.1:5001)')
    .option('--config <file>', 'take it from this YAML file and ask nobody')
    .option('--json', 'print it as JSON')
    .action((client: string, options: ClientsOptions) =>
      run(async () => (await import('../clients.ts')).clients(client, options)),
    );
}
