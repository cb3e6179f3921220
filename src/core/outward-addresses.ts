import { networkInterfaces } from 'node:os';

/** Addresses of this machine at which others may reach a listener on any address of it, the likeliest first. */
export function outwardAddresses(listensOn: '0.0.0.0' | '::', interfaces = networkInterfaces()): string[] {
  const all = Object.values(interfaces).flatMap((addresses) => addresses ?? []);
  const families = listensOn === '::' ? ['IPv4', 'IPv6'] : ['IPv4'];
  const outward = all.filter(({ internal, family, scopeid }) => !internal && families.includes(family) && !scopeid);
  return outward.map(({ address }) => address);
}
