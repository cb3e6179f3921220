import { type CachedRegistry, type CacheFacts, type ClientConfiguration, urlOf } from './cache-facts.ts';

const folder = '/etc/containerd/certs.d';

/** A hosts file for each registry (containerd, docs/hosts.md), which is read anew at each pull. */
export function containerdConfiguration(facts: CacheFacts): ClientConfiguration {
  const files = facts.registries.map((registry) => {
    const path = `${folder}/${registry.name}/hosts.toml`;
    return { path, content: hostsFile(registry, facts, path) };
  });
  const next = [
    `A file for each registry, below ${folder}; it is read anew at each pull.`,
    `In /etc/containerd/config.toml, [plugins."io.containerd.grpc.v1.cri".registry] (containerd 2: "io.containerd.cri.v1.images") has config_path = "${folder}"; restart containerd once.`,
    `To try it: ctr images pull --hosts-dir ${folder} IMAGE`,
  ];
  return { kind: 'files', files, next, warnings: [] };
}

function hostsFile(registry: CachedRegistry, facts: CacheFacts, path: string): string {
  return [
    `# ${path}`,
    `server = "${originOf(registry)}"`,
    '',
    `[host."${urlOf(facts)}"]`,
    '  capabilities = ["pull", "resolve"]',
    ...(facts.ca === undefined ? [] : [`  ca = ${JSON.stringify(facts.ca)}`]),
    '',
  ].join('\n');
}

/**
 * Where containerd goes when the cache does not answer: the registry itself. The cache's own endpoint may be a mirror, or
 * reached from the cache only, so it stands for the registry only where it has its name.
 */
function originOf({ name, endpoints }: CachedRegistry): string {
  if (name === 'docker.io') return 'https://registry-1.docker.io';
  return endpoints.find((endpoint) => URL.parse(endpoint)?.host === name) ?? `https://${name}`;
}
