import { AppError } from '../core/errors.ts';
import { parseRepositoryName } from '../core/repository-name.ts';
import { type Scope, sharedIdentity } from '../core/scope.ts';
import type { NameResolver } from './depot.ts';

const dockerHub = 'docker.io';

/**
 * Which registry and repository a request means. In this order: containerd's `ns`; a first path segment that is a
 * configured registry; the default registry. What a client sends is only ever looked up among the configured names (P9).
 */
export class RegistryNames implements NameResolver {
  readonly #registries: ReadonlySet<string>;
  readonly #default: string | undefined;

  constructor(registries: Iterable<string>, defaultRegistry: string | undefined) {
    this.#registries = new Set(registries);
    this.#default = defaultRegistry;
  }

  resolve(ns: string | undefined, name: string): Scope {
    if (ns !== undefined && ns !== '') return this.#scope(ns, name);
    const slash = name.indexOf('/');
    const first = slash === -1 ? '' : name.slice(0, slash);
    if (this.#registries.has(first)) return this.#scope(first, name.slice(slash + 1));
    // Docker's rule for what is a host in an image name. No repository of Docker Hub looks like one.
    const isHost = first.includes(':') || (first.includes('.') && this.#default === dockerHub);
    if (isHost || this.#default === undefined) throw this.#unknown(first === '' ? name : first);
    return this.#scope(this.#default, name);
  }

  #scope(registry: string, name: string): Scope {
    if (!this.#registries.has(registry)) throw this.#unknown(registry);
    const full = registry === dockerHub && !name.includes('/') ? `library/${name}` : name;
    const repository = parseRepositoryName(full);
    if (repository === undefined) {
      throw new AppError('NAME_INVALID', 'this is not a valid repository name', { details: { name: clipped(name) } });
    }
    return { registry, repository, identity: sharedIdentity };
  }

  #unknown(registry: string): AppError {
    // What is no name of a host is told in the details only: it may hold anything, a password too.
    const what = /^[a-z0-9.:-]{1,100}$/i.test(registry) ? `the registry ${registry}` : 'this registry';
    return new AppError('REGISTRY_UNKNOWN', `${what} is not configured here: add it under "upstreams" to cache it`, {
      details: { registry: clipped(registry) },
    });
  }
}

function clipped(text: string): string {
  return text.length > 100 ? `${text.slice(0, 100)}...` : text;
}
