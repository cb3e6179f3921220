import { type CacheFacts, type ClientConfiguration, urlOf } from './cache-facts.ts';

const path = '/etc/rancher/k3s/registries.yaml';

/** k3s makes containerd's hosts files from it. */
export function k3sConfiguration(facts: CacheFacts): ClientConfiguration {
  const mirrors = facts.registries.map(({ name }) => `  ${JSON.stringify(name)}: { endpoint: ["${urlOf(facts)}"] }`);
  const tls =
    facts.ca === undefined
      ? []
      : ['configs:', `  ${JSON.stringify(facts.address)}: { tls: { ca_file: ${JSON.stringify(facts.ca)} } }`];
  const content = [`# ${path}`, 'mirrors:', ...mirrors, ...tls, ''].join('\n');
  return {
    kind: 'files',
    files: [{ path, content }],
    next: ['On each node; then restart k3s (servers) or k3s-agent.'],
    warnings: [],
  };
}
