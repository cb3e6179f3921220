import { readFile } from 'node:fs/promises';
import { loadConfig } from '../config/load.ts';
import { settings } from '../config/outline.ts';
import type { Config } from '../config/schema.ts';
import { type Address, addressText, isHost, parseAddress } from '../core/address.ts';
import { CommandFailure, configFailure, usageFailure } from './command-failure.ts';
import { type AdminOptions, exitCodes } from './options.ts';

/** Where a running instance is asked, and as whom. */
export interface AdminPlace {
  readonly address: Address;
  readonly token: string | undefined;
  /** Who said where; `environment` is the one that nobody typed. */
  readonly saidBy: 'flag' | 'configuration' | 'environment' | 'default';
  /** What the environment says that does not count, for whoever wonders why not. */
  readonly overruled?: { readonly address?: string | undefined; readonly token?: string | undefined };
}

type Environment = Readonly<Record<string, string | undefined>>;

/** What the environment says of an instance; only that one gets its token. */
interface Surroundings {
  readonly admin: string | undefined;
  /** The variable that has the token, or names a file that does. */
  readonly tokenFrom: 'ONEPULL_ADMIN_TOKEN' | 'ONEPULL_ADMIN_TOKEN_FILE' | undefined;
}

/**
 * The one way to find the admin API; what was typed goes before what the environment says. Its address: `--admin`, else that of
 * the file of `--config`, else `ONEPULL_ADMIN`, else the default. The token: that of `--token-file`, else of the file of
 * `--config`, else of the environment, unless `ONEPULL_ADMIN` names another instance than the one that is asked.
 */
export async function adminPlace(options: AdminOptions, environment: Environment): Promise<AdminPlace> {
  const config = options.config === undefined ? undefined : await readConfig(options.config);
  const around = surroundings(environment);
  const { address, saidBy } = whereOf(options, config, around);
  const isOther = around.admin !== undefined && addressText(address) !== named(around.admin);
  const typed = await typedToken(options, config);
  const withheld = typed === undefined && isOther ? around.tokenFrom : undefined;
  const token = typed ?? (isOther ? undefined : await tokenAround(around, environment));
  return { address, token, saidBy, overruled: { address: isOther ? around.admin : undefined, token: withheld } };
}

function whereOf(
  { admin }: AdminOptions,
  config: Config | undefined,
  around: Surroundings,
): Pick<AdminPlace, 'address' | 'saidBy'> {
  if (admin !== undefined) return { address: reachable(parsed(admin, '--admin')), saidBy: 'flag' };
  if (config !== undefined) return { address: reachable(config.admin), saidBy: 'configuration' };
  return around.admin === undefined
    ? { address: reachable(defaultAddress()), saidBy: 'default' }
    : { address: reachable(parsed(around.admin, 'ONEPULL_ADMIN')), saidBy: 'environment' };
}

/** The configuration of an instance that may run elsewhere: files that it names (passwords, certificates) need not be here. */
export async function readConfig(file: string): Promise<Config> {
  const loaded = await loadConfig({ file, namedFiles: 'ignored' });
  if (loaded.kind === 'config') return loaded.config;
  throw configFailure(loaded.problems, file);
}

function surroundings({
  ONEPULL_ADMIN: admin,
  ONEPULL_ADMIN_TOKEN: token,
  ONEPULL_ADMIN_TOKEN_FILE: file,
}: Environment): Surroundings {
  const fileVariable = file ? 'ONEPULL_ADMIN_TOKEN_FILE' : undefined;
  return { admin: admin || undefined, tokenFrom: token ? 'ONEPULL_ADMIN_TOKEN' : fileVariable };
}

function parsed(text: string, source: '--admin' | 'ONEPULL_ADMIN'): Address {
  const address = addressIn(text);
  if (address !== undefined) return address;
  const { port } = defaultAddress();
  throw usageFailure(
    `${source}: ${JSON.stringify(text)} is not an address`,
    `host:port, such as ${isHost(text) ? `${text}:${port}` : `127.0.0.1:${port}`}; the admin API speaks plain HTTP`,
  );
}

function addressIn(text: string): Address | undefined {
  const address = parseAddress(text.replace(/^http:\/\//, '').replace(/\/$/, ''));
  return address === undefined || address.port === 0 ? undefined : address;
}

/** As `addressText` writes the one that would be asked; undefined: it is no address. */
function named(text: string): string | undefined {
  const address = addressIn(text);
  return address === undefined ? undefined : addressText(reachable(address));
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

async function typedToken({ tokenFile }: AdminOptions, config: Config | undefined): Promise<string | undefined> {
  if (tokenFile !== undefined) return tokenIn(tokenFile, '--token-file');
  if (config?.adminTokenFile !== undefined) return tokenIn(config.adminTokenFile, 'adminTokenFile');
  return config?.adminToken;
}

async function tokenAround({ tokenFrom }: Surroundings, environment: Environment): Promise<string | undefined> {
  const text = tokenFrom === undefined ? undefined : environment[tokenFrom];
  if (tokenFrom === undefined || text === undefined) return undefined;
  return tokenFrom === 'ONEPULL_ADMIN_TOKEN' ? checked(text, tokenFrom) : tokenIn(text, tokenFrom);
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
