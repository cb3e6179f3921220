import type { CachedRegistry, CacheFacts, ClientConfiguration } from './cache-facts.ts';

const folder = '/etc/containers/registries.conf.d';

const reload = {
  podman: 'Podman, skopeo and buildah read it at each pull.',
  crio: 'Then: systemctl reload crio',
} as const;

/** What Podman, CRI-O, skopeo and buildah share (containers-registries.conf.d): the registry's name becomes part of the path. */
export function containersConfiguration(client: 'podman' | 'crio', facts: CacheFacts): ClientConfiguration {
  const path = `${folder}/50-onepull.conf`;
  // A path cannot hold a port. The default registry needs no name in it.
  const mirrored = facts.registries.filter(({ name, isDefault }) => isDefault || !name.includes(':'));
  const left = facts.registries.filter((registry) => !mirrored.includes(registry));
  const content = `# ${path}\n${mirrored.map((registry) => section(registry, facts)).join('\n')}`;
  const certificates =
    facts.ca === undefined
      ? []
      : [`Copy ${facts.ca} to /etc/containers/certs.d/${facts.address}/ca.crt: it signed the cache's certificate.`];
  const warnings = left.map(({ name }) => `${name} is left out: a mirror's path cannot hold a port.`);
  if (mirrored.length === 0) {
    return { kind: 'none', why: `nothing is left for ${client}: ${warnings.join(' ')}`, hint: undefined };
  }
  return { kind: 'files', files: [{ path, content }], next: [reload[client], ...certificates], warnings };
}

function section({ name }: CachedRegistry, { address, isTls }: CacheFacts): string {
  return [
    '[[registry]]',
    `prefix = "${name}"`,
    `location = "${name}"`,
    '[[registry.mirror]]',
    `location = "${name.includes(':') ? address : `${address}/${name}`}"`,
    ...(isTls ? [] : ['insecure = true']),
    '',
  ].join('\n');
}
