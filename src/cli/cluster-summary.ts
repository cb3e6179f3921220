import { hostname } from 'node:os';
import type { Config } from '../config/schema.ts';
import { addressText } from '../core/address.ts';
import { engineName } from '../core/engine-address.ts';

/** What would run of a cluster, for people: without secrets. */
export function clusterSummary(cluster: Config['cluster']): string[] {
  if (cluster === undefined) return ['  cluster    none: this node is alone'];
  const { engine, username, passwordFile, prefix, nodeId, zone, peer } = cluster;
  const user = username ?? engine.username;
  const password = passwordFile === undefined ? engine.password : `in ${passwordFile}`;
  const facts = {
    node: [nodeId ?? hostname(), zone === undefined ? 'no zone' : `zone ${zone}`],
    engine: [
      engineName(engine),
      ...(engine.isTls ? ['TLS'] : []),
      ...(user === undefined ? [] : [`as ${user}`]),
      password === undefined ? 'without a password' : 'with a password',
      `keys begin with ${prefix}`,
    ],
    peers: [
      addressText(peer.listen),
      ...(peer.advertise === undefined ? [] : [`others are told ${peer.advertise}`]),
      peer.tls.certFile === undefined ? 'HTTP' : 'HTTPS',
      `who asks shows ${proof(peer)}`,
      `each blob to ${peer.maxChildren} nodes at once`,
    ],
  };
  const lines = Object.entries(facts).map(([name, of]) => `    ${name.padEnd(8)} ${of.join(', ')}`);
  return ['  cluster', ...lines];
}

function proof({ secret, secretFile, tls }: NonNullable<Config['cluster']>['peer']): string {
  const proofs = [
    ...(tls.caFile === undefined ? [] : [`a certificate of ${tls.caFile}`]),
    ...(secretFile === undefined ? [] : [`that it knows the secret in ${secretFile}`]),
    ...(secret === undefined ? [] : ['that it knows the secret']),
  ];
  return proofs.length === 0 ? 'nothing (only this machine can ask)' : proofs.join(' and ');
}
