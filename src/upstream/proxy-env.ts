import { BlockList, isIP } from 'node:net';
import { AppError } from '../core/errors.ts';
import { literalAddress } from './address-rules.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The proxy for requests to `target` by the conventional variables, or undefined to go there directly. The lower-case
 * form wins; this machine itself is never reached through a proxy.
 */
export function proxyFor(target: URL, env: Environment): URL | undefined {
  const name = target.protocol === 'https:' ? 'https_proxy' : 'http_proxy';
  const value = variable(env, name);
  if (value === undefined || isThisMachine(target.hostname)) return undefined;
  if (matchesNoProxy(target, variable(env, 'no_proxy') ?? '')) return undefined;
  const text = value.includes('://') ? value : `http://${value}`;
  const proxy = URL.canParse(text) ? new URL(text) : undefined;
  if (proxy === undefined || (proxy.protocol !== 'http:' && proxy.protocol !== 'https:')) {
    throw new AppError('CONFIG_INVALID', `${name.toUpperCase()} is no http or https address`);
  }
  return proxy;
}

function variable(env: Environment, lowerCaseName: string): string | undefined {
  const value = (env[lowerCaseName] ?? env[lowerCaseName.toUpperCase()] ?? '').trim();
  return value === '' ? undefined : value;
}

/**
 * NO_PROXY: entries between commas or spaces. `*` is everything; a name is that host and those below it, with `.name`
 * or `*.name` only those below; an address or a CIDR block is compared with literal addresses; a port narrows it.
 */
function matchesNoProxy(target: URL, list: string): boolean {
  const address = literalAddress(target.hostname);
  const port = target.port || (target.protocol === 'https:' ? '443' : '80');
  return list.split(/[\s,]+/).some((raw) => {
    const entry = raw.toLowerCase();
    if (entry === '*') return true;
    if (entry.includes('/')) return address !== undefined && inBlock(address, entry);
    const [, host = entry, entryPort] = /^(\[.*\]|[^:]*)(?::(\d+))?$/.exec(entry) ?? [];
    if (host === '' || (entryPort !== undefined && entryPort !== port)) return false;
    if (address !== undefined) return host.replace(/^\[|\]$/g, '') === address;
    const below = host.replace(/^\*?\./, '.');
    if (below.startsWith('.')) return target.hostname.endsWith(below);
    return target.hostname === host || target.hostname.endsWith(`.${host}`);
  });
}

function inBlock(address: string, cidr: string): boolean {
  const [network = '', prefix = ''] = cidr.split('/', 2);
  const family = isIP(network) === 6 ? 'ipv6' : 'ipv4';
  const bits = Number(prefix);
  const valid = isIP(network) !== 0 && /^\d+$/.test(prefix) && bits <= (family === 'ipv6' ? 128 : 32);
  if (!valid || isIP(address) !== isIP(network)) return false;
  const list = new BlockList();
  list.addSubnet(network, bits, family);
  return list.check(address, family);
}

function isThisMachine(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(hostname);
}
