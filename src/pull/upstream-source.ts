import type { Digest } from '../core/digest.ts';
import { type Scope, scopeName } from '../core/scope.ts';
import type { Source } from '../flights/source.ts';
import type { Registry } from './upstreams.ts';

/** A blob of one repository of an upstream, as sources for its flight: one for each endpoint. */
export function upstreamSources(registry: Registry, scope: Scope, digest: Digest): readonly Source[] {
  return registry.blobSources(scope.repository, digest).map((source) => ({
    name: `${scopeName(scope)} at ${source.name}`,
    origin: scope.registry,
    standing: () => source.standing(),
    open: (request, signal) => source.open(request, signal),
    discredit: (error) => source.discredit(error),
  }));
}
