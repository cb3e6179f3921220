import type { CacheAddress } from './cache-address.ts';
import type { CacheFacts, ClientConfiguration, ClientFile, NoConfiguration, WaysToTell } from './cache-facts.ts';
import type { ClientName } from './client-names.ts';
import { containerdConfiguration } from './containerd.ts';
import { containersConfiguration } from './containers.ts';
import { dockerConfiguration } from './docker.ts';
import { k3sConfiguration } from './k3s.ts';

/** What `onepull clients` prints and what the dashboard shows: the same. */
export interface ClientAdvice {
  readonly kind: 'advice';
  readonly files: readonly ClientFile[];
  /** What else is to be done, in sentences. */
  readonly next: readonly string[];
  /** What to know of it, in sentences. */
  readonly notes: readonly string[];
}

/** A cache, with what is to be said of its address. */
export interface AdvisedCache extends Omit<CacheFacts, 'address'> {
  readonly at: CacheAddress;
}

const configurations: Readonly<Record<ClientName, (facts: CacheFacts) => ClientConfiguration>> = {
  containerd: containerdConfiguration,
  docker: dockerConfiguration,
  podman: (facts) => containersConfiguration('podman', facts),
  crio: (facts) => containersConfiguration('crio', facts),
  k3s: k3sConfiguration,
};

export function clientAdvice(
  client: ClientName,
  { at, ...facts }: AdvisedCache,
  ways: WaysToTell,
): ClientAdvice | NoConfiguration {
  if (facts.registries.length === 0) return { kind: 'none', why: 'this cache has no registries', hint: undefined };
  const configuration = configurations[client]({ ...facts, address: at.address });
  if (configuration.kind === 'none') return configuration;
  const { files, next, warnings } = configuration;
  const authority =
    facts.isTls && facts.ca === undefined
      ? [
          `The cache speaks TLS. If an authority of your own signed its certificate, ${ways.ca} says where clients have that.`,
        ]
      : [];
  return { kind: 'advice', files, next, notes: [...at.notes, ...warnings, ...authority] };
}
