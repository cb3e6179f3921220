import { type CacheFacts, type ClientConfiguration, urlOf } from './cache-facts.ts';

/** dockerd mirrors Docker Hub only, and does not say which registry it means: the cache has to take that for granted. */
export function dockerConfiguration(facts: CacheFacts): ClientConfiguration {
  const hub = facts.registries.find(({ name }) => name === 'docker.io');
  if (hub === undefined || !hub.isDefault) {
    const lack = hub === undefined ? 'does not have docker.io' : 'has another registry as its default';
    return {
      kind: 'none',
      why: `Docker mirrors Docker Hub only, and this cache ${lack}`,
      hint: 'make docker.io the default upstream (default: true), or pull by name: docker pull CACHE/REGISTRY/IMAGE',
    };
  }
  const settings = {
    'registry-mirrors': [urlOf(facts)],
    ...(facts.isTls ? {} : { 'insecure-registries': [facts.address] }),
  };
  const certificates =
    facts.ca === undefined
      ? []
      : [`Copy ${facts.ca} to /etc/docker/certs.d/${facts.address}/ca.crt: it signed the cache's certificate.`];
  return {
    kind: 'files',
    files: [{ path: '/etc/docker/daemon.json', content: `${JSON.stringify(settings, undefined, 2)}\n` }],
    next: ['Where that file exists already, add these keys to it; then: systemctl reload docker', ...certificates],
    warnings:
      facts.registries.length > 1
        ? ['Docker mirrors Docker Hub only; images of other registries do not pass here.']
        : [],
  };
}
