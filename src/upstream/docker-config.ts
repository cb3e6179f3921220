import type { Clock } from '../core/clock.ts';
import { AppError } from '../core/errors.ts';
import { CredentialHelper } from './credential-helper.ts';
import { anonymous, type CredentialProvider, type Credentials, WatchedFile } from './credentials.ts';
import type { Environment } from './proxy-env.ts';

export interface DockerConfigOptions {
  /** The path of a docker `config.json`. */
  readonly path: string;
  /** The registry to look up: a host, maybe with a port, as in an image's name. */
  readonly registry: string;
  /** What credential helpers run with. */
  readonly env: Environment;
}

interface DockerConfig {
  readonly auths: ReadonlyMap<string, Readonly<Record<string, unknown>>>;
  readonly credHelpers: ReadonlyMap<string, unknown>;
  readonly credsStore: string | undefined;
}

const dockerHubKey = 'https://index.docker.io/v1/';
const dockerHubHosts = ['docker.io', 'index.docker.io', 'registry-1.docker.io'];

/**
 * Credentials as `docker login` keeps them: a helper of the registry's own, else the store, else what stands in the
 * file. The file is read again when it changes; what it holds never shows in an error.
 */
export class DockerConfigCredentials implements CredentialProvider {
  readonly source: string;
  readonly #clock: Clock;
  readonly #options: DockerConfigOptions;
  readonly #file: WatchedFile;
  readonly #helpers = new Map<string, CredentialHelper>();

  constructor(deps: { clock: Clock }, options: DockerConfigOptions) {
    this.source = `the docker configuration ${options.path}`;
    this.#clock = deps.clock;
    this.#options = options;
    this.#file = new WatchedFile(options.path, this.source);
  }

  async credentials(signal: AbortSignal): Promise<Credentials> {
    const config = this.#parse(await this.#file.text());
    const host = normaliseHost(this.#options.registry);
    const helperName = lookUp(config.credHelpers, host) ?? config.credsStore;
    if (typeof helperName === 'string' && helperName !== '') {
      const credentials = await this.#helper(helperName, host).credentials(signal);
      if (credentials.kind !== 'anonymous') return credentials;
    }
    return fromEntry(lookUp(config.auths, host), host, this.source);
  }

  #helper(name: string, host: string): CredentialHelper {
    let helper = this.#helpers.get(name);
    if (helper === undefined) {
      const serverUrl = host === 'docker.io' ? dockerHubKey : host;
      helper = new CredentialHelper({ clock: this.#clock }, { name, serverUrl, env: this.#options.env });
      this.#helpers.set(name, helper);
    }
    return helper;
  }

  #parse(text: string): DockerConfig {
    let json: unknown;
    try {
      json = JSON.parse(text);
    } catch {
      // The parser's own message quotes what it could not read.
      throw new AppError('CONFIG_INVALID', `${this.source} is no JSON`);
    }
    const config = isRecord(json) ? json : {};
    const auths = Object.entries(isRecord(config.auths) ? config.auths : {});
    return {
      auths: new Map(auths.map(([key, entry]) => [key, isRecord(entry) ? entry : {}])),
      credHelpers: new Map(Object.entries(isRecord(config.credHelpers) ? config.credHelpers : {})),
      credsStore: typeof config.credsStore === 'string' ? config.credsStore : undefined,
    };
  }
}

/** The host that a key names: without scheme, path and default port; Docker Hub's many names are one. */
export function normaliseHost(key: string): string {
  const scheme = /^([a-z]+):\/\//i.exec(key)?.[1]?.toLowerCase();
  const host = (key.replace(/^[a-z]+:\/\//i, '').split('/', 1)[0] ?? '').toLowerCase();
  const bare = host.replace(scheme === 'http' ? /:80$/ : /:443$/, '');
  return dockerHubHosts.includes(bare) ? 'docker.io' : bare;
}

/** The value under the host's key. Where several keys name the host, the one that is only the host is meant. */
function lookUp<T>(map: ReadonlyMap<string, T>, host: string): T | undefined {
  const keys = [...map.keys()].filter((key) => normaliseHost(key) === host);
  const exact = keys.find((key) => key === host || (host === 'docker.io' && key === dockerHubKey));
  const key = exact ?? keys[0];
  return key === undefined ? undefined : map.get(key);
}

function fromEntry(entry: Readonly<Record<string, unknown>> | undefined, host: string, source: string): Credentials {
  if (entry === undefined) return anonymous;
  const text = (key: string) => (typeof entry[key] === 'string' ? entry[key] : '');
  if (text('identitytoken') !== '') return { kind: 'identity-token', token: text('identitytoken') };
  const encoded = text('auth').trim();
  if (encoded === '') {
    if (text('username') === '' && text('password') === '') return anonymous;
    return { kind: 'basic', username: text('username'), password: text('password') };
  }
  const decoded = /^[A-Za-z0-9+/]+=*$/.test(encoded) ? Buffer.from(encoded, 'base64').toString('utf8') : '';
  const colon = decoded.indexOf(':');
  if (colon < 1)
    throw new AppError('CONFIG_INVALID', `${source} has an "auth" for ${host} that is not base64 of user:password`);
  // Some writers pad the password with zero bytes.
  return { kind: 'basic', username: decoded.slice(0, colon), password: decoded.slice(colon + 1).replace(/\0+$/, '') };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
