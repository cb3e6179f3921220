import { BlockList, isIP } from 'node:net';

/**
 * Where an address leads. `internal` is what a company or a machine keeps to itself; `special` is what no registry
 * lives at (link-local with the clouds' metadata services, multicast, unspecified, reserved, documentation).
 */
export type AddressClass = 'public' | 'internal' | 'special';

const internalNetworks: readonly [string, number, 'ipv4' | 'ipv6'][] = [
  ['10.0.0.0', 8, 'ipv4'],
  ['172.16.0.0', 12, 'ipv4'],
  ['192.168.0.0', 16, 'ipv4'],
  ['127.0.0.0', 8, 'ipv4'],
  ['100.64.0.0', 10, 'ipv4'],
  ['::1', 128, 'ipv6'],
  ['fc00::', 7, 'ipv6'],
];

const specialNetworks: readonly [string, number, 'ipv4' | 'ipv6'][] = [
  ['0.0.0.0', 8, 'ipv4'],
  ['169.254.0.0', 16, 'ipv4'],
  ['192.0.0.0', 24, 'ipv4'],
  ['192.0.2.0', 24, 'ipv4'],
  ['198.18.0.0', 15, 'ipv4'],
  ['198.51.100.0', 24, 'ipv4'],
  ['203.0.113.0', 24, 'ipv4'],
  ['224.0.0.0', 3, 'ipv4'],
  ['::', 128, 'ipv6'],
  ['100::', 64, 'ipv6'],
  ['2001:db8::', 32, 'ipv6'],
  ['fe80::', 10, 'ipv6'],
  ['fec0::', 10, 'ipv6'],
  ['ff00::', 8, 'ipv6'],
];

const internal = blockList(internalNetworks);
const special = blockList(specialNetworks);
const v4Mapped = blockList([['::ffff:0:0', 96, 'ipv6']]);
const translated = blockList([
  ['64:ff9b::', 96, 'ipv6'],
  ['::', 96, 'ipv6'],
]);
const sixToFour = blockList([['2002::', 16, 'ipv6']]);

/**
 * The class of an IP address (RFC 6890, RFC 6598, RFC 4193). Forms that carry an IPv4 address inside are judged by it;
 * the v4-mapped one has no business in a URL or in DNS and is never public.
 */
export function classifyAddress(address: string): AddressClass {
  const version = isIP(address);
  if (version === 0) return 'special';
  if (version === 4) return classifyBy(address, 'ipv4');
  const own = classifyBy(address, 'ipv6');
  if (own !== 'public') return own;
  const groups = ipv6Groups(address);
  if (v4Mapped.check(address, 'ipv6')) {
    return classifyBy(embedded(groups, 6), 'ipv4') === 'internal' ? 'internal' : 'special';
  }
  if (translated.check(address, 'ipv6')) return classifyBy(embedded(groups, 6), 'ipv4');
  if (sixToFour.check(address, 'ipv6')) return classifyBy(embedded(groups, 1), 'ipv4');
  return 'public';
}

/** The address that a URL's host is, without brackets, or undefined where it is a name. */
export function literalAddress(hostname: string): string | undefined {
  const bare = hostname.startsWith('[') && hostname.endsWith(']') ? hostname.slice(1, -1) : hostname;
  return isIP(bare) === 0 ? undefined : bare;
}

function classifyBy(address: string, family: 'ipv4' | 'ipv6'): AddressClass {
  // A BlockList looks through v4-mapped addresses, so that IPv6 text may be found in an IPv4 network.
  if (internal.check(address, family)) return 'internal';
  return special.check(address, family) ? 'special' : 'public';
}

function blockList(networks: readonly (readonly [string, number, 'ipv4' | 'ipv6'])[]): BlockList {
  const list = new BlockList();
  for (const [network, prefix, family] of networks) list.addSubnet(network, prefix, family);
  return list;
}

/** The eight 16-bit groups of a valid IPv6 address. */
function ipv6Groups(address: string): number[] {
  const bare = (address.split('%', 1)[0] ?? '').replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_, a, b, c, d) => {
    const group = (high: string, low: string) => (Number(high) * 256 + Number(low)).toString(16);
    return `${group(a, b)}:${group(c, d)}`;
  });
  const [head = '', tail] = bare.split('::', 2);
  const parse = (part: string) => (part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16)));
  const left = parse(head);
  const right = tail === undefined ? [] : parse(tail);
  return [...left, ...new Array<number>(8 - left.length - right.length).fill(0), ...right];
}

function embedded(groups: readonly number[], at: number): string {
  const high = groups[at] ?? 0;
  const low = groups[at + 1] ?? 0;
  return `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`;
}
