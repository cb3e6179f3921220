import type { RepositoryName } from './repository-name.ts';

/**
 * Where content is served from and on whose authority: the unit of privacy (P9). Links and tags belong to a scope.
 * With one upstream identity for all clients, `identity` is the same for all.
 */
export interface Scope {
  /** The registry as clients name it and the configuration lists it, such as `docker.io`. */
  readonly registry: string;
  readonly repository: RepositoryName;
  readonly identity: string;
}

/** The identity of a cache that has one set of credentials per upstream. */
export const sharedIdentity = 'shared';

/** The scope as one string: a key for maps. No part can hold a space. */
export function scopeKey(scope: Scope): string {
  return `${scope.registry} ${scope.repository} ${scope.identity}`;
}

/** The repository as a person writes it: `ghcr.io/org/app`. */
export function scopeName(scope: Scope): string {
  return `${scope.registry}/${scope.repository}`;
}
