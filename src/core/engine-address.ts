/** Where an engine is, as its URL says. */
export interface EngineAddress {
  readonly kind: 'single' | 'sentinel' | 'cluster';
  readonly hosts: readonly { readonly host: string; readonly port: number }[];
  /** What Sentinel calls the engine. */
  readonly master: string | undefined;
  readonly isTls: boolean;
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly database: number;
}

const schemes = /^(rediss?|valkeys?)(?:\+(sentinel|cluster))?:\/\/(?:([^@/]*)@)?([^/?#]+)(?:\/([^?#]*))?$/;
const ports = { single: 6379, cluster: 6379, sentinel: 26379 } as const;

/**
 * `redis://[user[:password]@]host[:port][/database]`, with `rediss` for TLS; `+sentinel` (`…://host,host/master[/database]`) and
 * `+cluster` (`…://host,host`) take several hosts. Returns what is wrong with it as a string.
 */
export function engineAddress(url: string): EngineAddress | string {
  const found = schemes.exec(url);
  if (found === null) return 'is not a URL such as redis://10.0.0.5:6379';
  const [, scheme = '', kindName, credentials, hostList = '', path = ''] = found;
  const kind = kindName === 'sentinel' || kindName === 'cluster' ? kindName : 'single';
  const hosts = hostList.split(',').map((text) => hostOf(text, ports[kind]));
  if (hosts.some((host) => host === undefined)) return 'names a host that is none';
  if (kind === 'single' && hosts.length > 1) return 'names several hosts: redis+sentinel:// and redis+cluster:// do';
  const [master, databaseText] = kind === 'sentinel' ? split(path) : [undefined, path];
  if (kind === 'sentinel' && !master)
    return 'lacks the name that Sentinel calls the engine: redis+sentinel://host/name';
  if (kind === 'cluster' && databaseText) return 'names a database: Redis Cluster has only one';
  if (!/^\d*$/.test(databaseText ?? '')) return 'has a path that is not the number of a database';
  const [username, password] = credentialsOf(credentials);
  return {
    kind,
    hosts: hosts.filter((host) => host !== undefined),
    master: master || undefined,
    isTls: scheme === 'rediss' || scheme === 'valkeys',
    username,
    password,
    database: Number(databaseText || 0),
  };
}

function hostOf(text: string, usualPort: number): { host: string; port: number } | undefined {
  const found = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]\s]+))(?::(\d{1,5}))?$/.exec(text);
  if (found === null) return undefined;
  const port = Number(found[3] ?? usualPort);
  return port >= 1 && port <= 65_535 ? { host: found[1] ?? found[2] ?? '', port } : undefined;
}

function split(path: string): [string, string] {
  const [first = '', ...rest] = path.split('/');
  return [decodeURIComponent(first), rest.join('/')];
}

function credentialsOf(text: string | undefined): [string | undefined, string | undefined] {
  if (text === undefined || text === '') return [undefined, undefined];
  const at = text.indexOf(':');
  const [username, password] = at === -1 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
  return [decodeURIComponent(username) || undefined, decodeURIComponent(password) || undefined];
}

/** For people: without the password. */
export function engineName({ kind, hosts, master }: EngineAddress): string {
  const list = hosts.map(({ host, port }) => (host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`)).join(',');
  return kind === 'single' ? list : `${kind} ${list}${master === undefined ? '' : `/${master}`}`;
}
