import { isLoopback } from '../core/address.ts';
import { outwardAddresses } from '../core/outward-addresses.ts';
import type { Config } from './schema.ts';

/** What is allowed of nodes that share an engine, but an operator should know. `addressesOf`: this machine's. */
export function clusterNotices(
  cluster: Config['cluster'],
  addressesOf: typeof outwardAddresses = outwardAddresses,
): string[] {
  if (cluster === undefined) return [];
  const { engine, passwordFile, peer } = cluster;
  const notices: string[] = [];
  const isSecret = engine.password !== undefined || passwordFile !== undefined;
  if (isSecret && !engine.isTls && !engine.hosts.every(({ host }) => isLoopback(host))) {
    notices.push('cluster.engine: its password travels unencrypted; rediss:// is TLS');
  }
  const { host } = peer.listen;
  if (peer.advertise !== undefined || (host !== '0.0.0.0' && host !== '::')) return notices;
  const [first, ...others] = addressesOf(host);
  if (first === undefined) {
    notices.push('cluster.peer.advertise: is left out, and this machine has no address that other machines can reach');
  } else if (others.length > 0) {
    const all = [first, ...others].join(', ');
    notices.push(`cluster.peer.advertise: is left out, and this machine has ${all}: others are told ${first}`);
  }
  return notices;
}
