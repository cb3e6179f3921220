import type { Digest } from '../core/digest.ts';
import { type Scope, scopeName } from '../core/scope.ts';
import type { Source } from '../flights/source.ts';
import type { Registry } from './upstreams.ts';

/** A blob of one repository of an upstream, as a source for its flight. */
export function upstreamSource(registry: Registry, scope: Scope, digest: Digest): Source {
  return {
    name: scopeName(scope),
    origin: scope.registry,
    open: (start, end, signal) => registry.openBlob(scope.repository, digest, start, end, signal),
  };
}
