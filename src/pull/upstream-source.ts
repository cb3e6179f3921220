import type { Digest } from '../core/digest.ts';
import { type Scope, scopeName } from '../core/scope.ts';
import type { Source } from '../flights/source.ts';
import type { Registry } from './upstreams.ts';

/**
 * A blob of one repository of an upstream, as sources for its flight: one for each endpoint. For people an endpoint matters
 * where there are several; an only one is what the upstream is.
 */
export function upstreamSources(registry: Registry, scope: Scope, digest: Digest): readonly Source[] {
  const sources = registry.blobSources(scope.repository, digest);
  const name = scopeName(scope);
  return sources.map((source) => ({
    name: sources.length === 1 ? name : `${name} at ${source.name}`,
    origin: scope.registry,
    place: { repository: name, endpoint: source.name },
    standing: () => source.standing(),
    open: (request, signal) => source.open(request, signal),
    discredit: (error) => source.discredit(error),
  }));
}
