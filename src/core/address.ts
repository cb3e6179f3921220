/** Where to listen. `host` is a name or an address without brackets; `port` 0 lets the system choose. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

const label = '[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?';
const octet = '(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)';
const ipv4 = new RegExp(`^${octet}(?:\\.${octet}){3}$`);
const hostName = new RegExp(`^(?=.{1,253}$)${label}(?:\\.${label})*$`, 'i');

/** `host:port` with an IPv6 address in brackets, or undefined where it is none. */
export function parseAddress(text: string): Address | undefined {
  const match = /^(?:\[([^\]]*)\]|([^:[\]]+)):(\d{1,5})$/.exec(text);
  if (match === null) return undefined;
  const [, bracketed, plain, digits] = match;
  const port = Number(digits);
  if (port > 65535) return undefined;
  if (bracketed !== undefined) return isIPv6(bracketed) ? { host: bracketed, port } : undefined;
  return plain !== undefined && isHostName(plain) ? { host: plain, port } : undefined;
}

/** The address as it is written: `[::1]:5000`. */
export function addressText(address: Address): string {
  return `${address.host.includes(':') ? `[${address.host}]` : address.host}:${address.port}`;
}

/** Whether nobody beyond this machine can reach the address. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (host.startsWith('127.') && isIPv4(host));
}

/** Whether two listeners on these addresses would take each other's port. */
export function addressesCollide(one: Address, other: Address): boolean {
  if (one.port !== other.port || one.port === 0) return false;
  return one.host === other.host || isWildcard(one.host) || isWildcard(other.host);
}

/** Whether `text` is a host name or an IPv4 address. What looks like an IPv4 address must be one. */
export function isHostName(text: string): boolean {
  return hostName.test(text) && (!/^[\d.]+$/.test(text) || isIPv4(text));
}

/** Whether `text` is `host` or `host:port`, an IPv6 address in brackets. */
export function isHost(text: string): boolean {
  const bare = /^\[([^\]]*)\]$/.exec(text)?.[1];
  if (bare !== undefined) return isIPv6(bare);
  if (isHostName(text)) return true;
  const address = parseAddress(text);
  return address !== undefined && address.port > 0;
}

/** As `isIPv4` and `isIPv6` of node:net have it; these run in browsers, too. */
export function isIPv4(text: string): boolean {
  return ipv4.test(text);
}

export function isIPv6(text: string): boolean {
  const [, plain = ''] = /^([\da-f:.]+)(?:%[\da-z.:-]+)?$/i.exec(text) ?? [];
  return plain.includes(':') && URL.canParse(`http://[${plain}]`);
}

/** Whether to listen there is to listen on every address of the machine. */
export function isWildcard(host: string): boolean {
  return host === '0.0.0.0' || host === '::';
}
