import { readFile } from 'node:fs/promises';
import { loadConfig } from '../config/load.ts';
import { settings } from '../config/outline.ts';
import { problemsText } from '../config/problems.ts';
import type { Config } from '../config/schema.ts';
import { type Address, parseAddress } from '../core/address.ts';
import { CommandFailure, usageFailure } from './command-failure.ts';
import { type AdminOptions, exitCodes } from './options.ts';

/** Where a running instance is asked, and as whom. */
export interface AdminPlace {
  readonly address: Address;
  readonly token: string | undefined;
}

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The one way to find the admin API. Its address: `--admin`, else `ONEPULL_ADMIN`, else that of the configuration, else the
 * default. The token: `--token-file`, else `ONEPULL_ADMIN_TOKEN` or `ONEPULL_ADMIN_TOKEN_FILE`, else that of the configuration.
 */
export async function adminPlace(options: AdminOptions, environment: Environment): Promise<AdminPlace> {
  const config = options.config === undefined ? undefined : await readConfig(options.config);
  const told = options.admin ?? (environment.ONEPULL_ADMIN || undefined);
  const address = told === undefined ? (config?.admin ?? defaultAddress()) : parsed(told, options.admin !== undefined);
  return { address: reachable(address), token: await tokenFor(options, environment, config) };
}

/** The configuration of an instance that may run elsewhere: files that it names (passwords, certificates) need not be here. */
export async function readConfig(file: string): Promise<Config> {
  const loaded = await loadConfig({ file, namedFiles: 'ignored' });
  if (loaded.kind === 'config') return loaded.config;
  const text = problemsText(loaded.problems, file).trimEnd();
  throw new CommandFailure(`the configuration is wrong\n${text}`, { exitCode: exitCodes.usage });
}

function parsed(text: string, isFlag: boolean): Address {
  const address = parseAddress(text.replace(/^http:\/\//, '').replace(/\/$/, ''));
  if (address !== undefined && address.port > 0) return address;
  throw usageFailure(
    `${isFlag ? '--admin' : 'ONEPULL_ADMIN'}: ${JSON.stringify(text)} is not an address`,
    'host:port, such as 127.0.0.1:5001; the admin API speaks plain HTTP',
  );
}

/** What listens for all is asked on this machine. */
function reachable({ host, port }: Address): Address {
  if (host === '0.0.0.0') return { host: '127.0.0.1', port };
  return host === '::' ? { host: '::1', port } : { host, port };
}

function defaultAddress(): Address {
  const text = settings().find(({ path }) => path.join('.') === 'admin')?.default;
  const address = parseAddress(String(text));
  if (address === undefined) throw new Error('the setting admin has no default');
  return address;
}

async function tokenFor(
  { tokenFile }: AdminOptions,
  environment: Environment,
  config: Config | undefined,
): Promise<string | undefined> {
  if (tokenFile !== undefined) return tokenIn(tokenFile, '--token-file');
  const { ONEPULL_ADMIN_TOKEN: token, ONEPULL_ADMIN_TOKEN_FILE: file } = environment;
  if (token) return checked(token, 'ONEPULL_ADMIN_TOKEN');
  if (file) return tokenIn(file, 'ONEPULL_ADMIN_TOKEN_FILE');
  if (config?.adminTokenFile !== undefined) return tokenIn(config.adminTokenFile, 'adminTokenFile');
  return config?.adminToken;
}

async function tokenIn(file: string, source: string): Promise<string> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (cause) {
    const why =
      cause instanceof Error && 'code' in cause && cause.code === 'ENOENT' ? 'does not exist' : 'cannot be read';
    throw new CommandFailure(`${source}: ${file} ${why}`, { exitCode: exitCodes.usage, cause });
  }
  return checked(text.trim(), `${source}: ${file}`);
}

/** What does not fit into a header would make the request fail with a message that repeats it. */
function checked(token: string, source: string): string {
  if (/^[\x21-\x7e]+$/.test(token)) return token;
  throw usageFailure(`${source} is no token`, 'a token has no spaces and no line breaks within');
}
