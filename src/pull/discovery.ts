import { LRUCache } from 'lru-cache';
import { type Digest, hexOf } from '../core/digest.ts';
import { AppError, asAppError, isRefusal } from '../core/errors.ts';
import { maxManifestBytes } from '../core/manifest-references.ts';
import { ociIndex } from '../core/media-types.ts';
import { type Scope, scopeKey } from '../core/scope.ts';
import { SharedCalls } from '../core/shared-calls.ts';
import type { Channels } from '../telemetry/channels.ts';
import { type AttemptDeps, withAttempts } from './attempts.ts';
import type { ListAnswer, ReferrersRequest, TagsRequest } from './depot.ts';
import type { RememberedFailures } from './remembered-failures.ts';
import { RestNotices } from './rest-notices.ts';
import type { Upstreams } from './upstreams.ts';

export interface DiscoveryDeps extends AttemptDeps {
  readonly upstreams: Upstreams;
  readonly failures: RememberedFailures;
  readonly channels: Channels;
}

type List = Omit<ListAnswer, 'served'>;

/** Lists change slowly and are asked for by people and by scanners: so long is one taken as true. */
const freshMs = 10_000;
const emptyIndex = { schemaVersion: 2, mediaType: ociIndex, manifests: [] };

/**
 * tags/list and referrers, passed through: one upstream request for all who ask at once, fresh for seconds, stale when
 * upstream does not answer, or asked for a rest (P7).
 */
export class Discovery {
  readonly #deps: DiscoveryDeps;
  readonly #boundMs: number;
  readonly #calls = new SharedCalls<List>();
  readonly #rests = new RestNotices();
  readonly #lists = new LRUCache<string, { list: List; atMs: number }>({
    maxSize: 16 * 2 ** 20,
    sizeCalculation: ({ list }) => list.body.length + 1024,
  });

  constructor(deps: DiscoveryDeps, options: { boundMs: number }) {
    this.#deps = deps;
    this.#boundMs = options.boundMs;
  }

  tags({ scope, query }: TagsRequest, signal: AbortSignal): Promise<ListAnswer> {
    const { registry } = this.#deps.upstreams.get(scope.registry);
    const key = `tags ${scopeKey(scope)} ${query}`;
    return this.#list('tags', key, scope, signal, async (bounded) => ({
      ...(await registry.listTags(scope.repository, query, bounded)),
      filtersApplied: undefined,
    }));
  }

  referrers({ scope, digest, query, artifactType }: ReferrersRequest, signal: AbortSignal): Promise<ListAnswer> {
    const { registry } = this.#deps.upstreams.get(scope.registry);
    const key = `referrers ${scopeKey(scope)} ${digest} ${query}`;
    return this.#list('referrers', key, scope, signal, async (bounded) => {
      const list = await registry.referrers(scope.repository, digest, query, bounded);
      return list ?? this.#referrersByTag(scope, digest, artifactType, bounded);
    });
  }

  async #list(
    kind: 'tags' | 'referrers',
    key: string,
    { registry: upstream }: Scope,
    signal: AbortSignal,
    ask: (signal: AbortSignal) => Promise<List>,
  ): Promise<ListAnswer> {
    const known = this.#lists.get(key);
    const now = this.#deps.clock.monotonic();
    if (known !== undefined && now - known.atMs < freshMs) return { ...known.list, served: 'hit' };
    const joined = this.#calls.has(key);
    if (joined) this.#deps.channels.coalesced.publish({ kind });
    const call = async (onRest: () => void) => {
      const outageMs = () => this.#deps.upstreams.get(upstream).registry.outageMs();
      const options = { boundMs: this.#boundMs, upstream, kind: 'list', outageMs, onRest } as const;
      const list = await withAttempts(this.#deps, options, ask);
      this.#lists.set(key, { list, atMs: this.#deps.clock.monotonic() });
      return list;
    };
    try {
      const noticed = () => this.#rests.during(key, call);
      const asked = this.#calls.run(key, () => this.#deps.failures.guard(key, noticed), signal);
      const answer = asked.then((list): ListAnswer => ({ ...list, served: joined ? 'joined' : 'led' }));
      if (known === undefined) return await answer;
      const stale = this.#rests.resting(key).then((): ListAnswer => ({ ...known.list, served: 'stale' }));
      return await Promise.race([answer, stale]);
    } catch (thrown) {
      const error = asAppError(thrown);
      if (signal.aborted || known === undefined || isRefusal(error)) throw error;
      return { ...known.list, served: 'stale' };
    }
  }

  /** Where upstream has no referrers API: the index under the tag `sha256-<hex>` (distribution-spec "Referrers Tag Schema"). */
  async #referrersByTag(
    scope: Scope,
    digest: Digest,
    artifactType: string | undefined,
    signal: AbortSignal,
  ): Promise<List> {
    const { registry } = this.#deps.upstreams.get(scope.registry);
    const tag = `${digest.slice(0, digest.indexOf(':'))}-${hexOf(digest)}`.slice(0, 128);
    let manifests: readonly unknown[] = [];
    try {
      const { bytes } = await registry.getManifest(scope.repository, tag, ociIndex, maxManifestBytes, signal);
      manifests = manifestsOf(bytes);
    } catch (error) {
      if (asAppError(error).status !== 404) throw error;
    }
    const wanted = manifests.filter((entry) => artifactType === undefined || artifactTypeOf(entry) === artifactType);
    return {
      body: Buffer.from(JSON.stringify({ ...emptyIndex, manifests: wanted })),
      mediaType: ociIndex,
      nextQuery: undefined,
      filtersApplied: artifactType === undefined ? undefined : 'artifactType',
    };
  }
}

/** The list in an index that anybody may have pushed. */
function manifestsOf(bytes: Uint8Array): readonly unknown[] {
  const index = parseJson(bytes);
  const isObject = typeof index === 'object' && index !== null;
  return isObject && 'manifests' in index && Array.isArray(index.manifests) ? index.manifests : [];
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch (cause) {
    throw new AppError('UPSTREAM_INVALID', 'the index of referrers is not JSON', { cause });
  }
}

function artifactTypeOf(entry: unknown): unknown {
  return typeof entry === 'object' && entry !== null && 'artifactType' in entry ? entry.artifactType : undefined;
}
