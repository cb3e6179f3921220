import { LRUCache } from 'lru-cache';
import type { ChangeCount } from '../core/change-count.ts';
import { algorithmOf, type Digest, digestOf } from '../core/digest.ts';
import { AppError } from '../core/errors.ts';
import { type ManifestReferences, manifestReferences, maxManifestBytes } from '../core/manifest-references.ts';
import { isManifestMediaType } from '../core/media-types.ts';
import { type Scope, scopeKey, scopeName } from '../core/scope.ts';
import { SharedCalls } from '../core/shared-calls.ts';
import type { Catalog, LinkRecord } from '../store/catalog.ts';
import type { ContentStore } from '../store/content-store.ts';
import type { Channels } from '../telemetry/channels.ts';
import { acceptVariant } from './accept.ts';
import { type AttemptDeps, type AttemptOptions, withAttempts } from './attempts.ts';
import type { Served } from './depot.ts';
import type { RememberedFailures } from './remembered-failures.ts';
import { RestNotices } from './rest-notices.ts';
import type { Upstreams } from './upstreams.ts';

/** A manifest as upstream sent it. */
export interface Manifest {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly bytes: Uint8Array;
}

interface KeptManifest extends Manifest {
  /** The blobs that it references and whoever has it has too. */
  readonly proven: readonly LinkRecord[];
  /** It is not in the store, which failed; when that is to be tried again, by the monotonic clock. */
  readonly storeAgainAtMs?: number | undefined;
}

export interface ManifestContentDeps extends AttemptDeps {
  readonly changes: Pick<ChangeCount, 'value'>;
  readonly store: ContentStore;
  readonly catalog: Catalog;
  readonly upstreams: Upstreams;
  readonly failures: RememberedFailures;
  readonly channels: Channels;
}

export interface ManifestContentOptions {
  readonly boundMs: number;
  /** What manifests that are kept in memory may take, and what is known of them. */
  readonly memoryBytes?: number | undefined;
}

const usualMemoryBytes = 32 * 2 ** 20;
const storeAgainAfterMs = 10_000;

/**
 * Manifests by digest: from memory, from the store, or fetched once for all who want one.
 *
 * Invariants
 * - A manifest is served in a scope only if that scope is linked to it: upstream gave it, or confirmed it, for that
 *   repository (P9). An index does not vouch for its children: registries accept indexes whose children they do not have.
 * - Nothing is kept that does not hash to the digest that it was asked by (P4).
 * - At most one upstream request per (scope, digest) at a time.
 */
export class ManifestContent {
  readonly #deps: ManifestContentDeps;
  readonly #boundMs: number;
  readonly #calls = new SharedCalls<{ manifest: Manifest; fetched: boolean }>();
  readonly #rests = new RestNotices();
  /** The change since which a scope is known to be linked to all that its manifest proves. */
  readonly #linkedSince = new LRUCache<string, number>({ max: 16_384 });
  readonly #memory: LRUCache<Digest, KeptManifest>;

  constructor(deps: ManifestContentDeps, { boundMs, memoryBytes = usualMemoryBytes }: ManifestContentOptions) {
    this.#deps = deps;
    this.#boundMs = boundMs;
    // What is known of its references takes about as much again.
    const sizeCalculation = ({ bytes }: KeptManifest) => 2 * bytes.length + 1024;
    this.#memory = new LRUCache({ maxSize: memoryBytes, sizeCalculation });
  }

  /** The manifest, if it is here and the scope is known to have it. */
  async held(scope: Scope, digest: Digest): Promise<Manifest | undefined> {
    if (this.#deps.catalog.linked(scope, digest) === undefined) return undefined;
    const stored = await this.#stored(digest);
    if (stored === undefined) return undefined;
    if ((stored.storeAgainAtMs ?? Number.POSITIVE_INFINITY) <= this.#deps.clock.monotonic()) {
      return this.keep(scope, stored.mediaType, stored.bytes, digest);
    }
    this.#linkProven(scope, stored);
    return stored;
  }

  /** What was purged: who asks for it is to get it anew. */
  forget(digests: readonly Digest[]): void {
    for (const digest of digests) this.#memory.delete(digest);
  }

  /** What is known of a manifest without fetching it: enough for an answer to HEAD. */
  described(scope: Scope, digest: Digest): { mediaType: string; sizeBytes: number } | undefined {
    const link = this.#deps.catalog.linked(scope, digest);
    if (link?.mediaType === undefined || link.sizeBytes === undefined) return undefined;
    return { mediaType: link.mediaType, sizeBytes: link.sizeBytes };
  }

  /** The manifest from here, or else from upstream. `onRest`: upstream asked for a rest, and its end is waited for. */
  async get(
    scope: Scope,
    digest: Digest,
    signal?: AbortSignal,
    onRest?: () => void,
  ): Promise<{ manifest: Manifest; served: Served }> {
    const held = await this.held(scope, digest);
    if (held !== undefined) return { manifest: held, served: 'hit' };
    const key = `manifest ${scopeKey(scope)} ${digest}`;
    const joined = this.#calls.has(key);
    if (joined) this.#deps.channels.coalesced.publish({ kind: 'manifest' });
    const call = () => this.#rests.during(key, (resting) => this.#confirmOrFetch(scope, digest, resting));
    const asked = this.#calls.run(key, () => this.#deps.failures.guard(key, call), signal);
    if (onRest !== undefined) void this.#rests.resting(key).then(onRest);
    const { manifest, fetched } = await asked;
    return { manifest, served: joined ? 'joined' : fetched ? 'led' : 'revalidated' };
  }

  /**
   * Keeps a manifest that upstream gave for this scope, and links what it proves that the repository has. Where the store
   * fails it is still a good answer, and not asked for again while the memory has it; the store is tried again, now and then.
   */
  async keep(scope: Scope, mediaType: string, bytes: Uint8Array, digest: Digest): Promise<Manifest> {
    const references = manifestReferences(bytes, mediaType);
    const isStored = await this.#put(digest, bytes);
    const storeAgainAtMs = isStored ? undefined : this.#deps.clock.monotonic() + storeAgainAfterMs;
    const manifest = { digest, mediaType: references.mediaType, bytes, proven: proven(references), storeAgainAtMs };
    if (isStored) this.#record(manifest, references);
    this.#memory.set(digest, manifest);
    const self = { digest, sizeBytes: bytes.length, mediaType: manifest.mediaType };
    this.#deps.catalog.link(scope, [self], 'confirmed');
    this.#deps.catalog.link(scope, manifest.proven, 'manifest');
    return manifest;
  }

  /** The content is here through another repository: then upstream's word that this one has it is all that is needed. */
  async #confirmOrFetch(
    scope: Scope,
    digest: Digest,
    onRest: () => void,
  ): Promise<{ manifest: Manifest; fetched: boolean }> {
    const stored = await this.#stored(digest);
    if (stored === undefined) return { manifest: await this.#fetch(scope, digest, onRest), fetched: true };
    const { registry } = this.#deps.upstreams.get(scope.registry);
    const head = await withAttempts(this.#deps, this.#attempts(scope, onRest), (signal) =>
      registry.headManifest(scope.repository, digest, acceptVariant(undefined).header, signal),
    );
    if (head === undefined) return { manifest: await this.#fetch(scope, digest, onRest), fetched: true };
    return { manifest: await this.keep(scope, head.mediaType, stored.bytes, digest), fetched: false };
  }

  #attempts({ registry: upstream }: Scope, onRest: () => void): AttemptOptions {
    const outageMs = () => this.#deps.upstreams.get(upstream).registry.outageMs();
    return { boundMs: this.#boundMs, upstream, kind: 'manifest', outageMs, onRest };
  }

  async #fetch(scope: Scope, digest: Digest, onRest: () => void): Promise<Manifest> {
    const { registry } = this.#deps.upstreams.get(scope.registry);
    return withAttempts(this.#deps, this.#attempts(scope, onRest), async (signal) => {
      const accept = acceptVariant(undefined).header;
      const answer = await registry.getManifest(scope.repository, digest, accept, maxManifestBytes, signal);
      const actual = digestOf(answer.bytes, algorithmOf(digest));
      if (actual !== digest) {
        throw new AppError('CONTENT_MISMATCH', `${scopeName(scope)} sent a manifest that hashes to ${actual}`);
      }
      return this.keep(scope, answer.mediaType, answer.bytes, digest);
    });
  }

  async #stored(digest: Digest): Promise<KeptManifest | undefined> {
    const known = this.#memory.get(digest);
    if (known !== undefined) {
      this.#deps.catalog.touch(digest);
      return known;
    }
    const bytes = await this.#read(digest);
    if (bytes === undefined) return undefined;
    const recorded = this.#deps.catalog.manifest(digest)?.mediaType;
    const references = referencesOf(bytes, recorded ?? '');
    // A blob is no manifest, whoever asks for it as one.
    if (references === undefined || (recorded === undefined && !isManifestMediaType(references.mediaType)))
      return undefined;
    this.#deps.catalog.touch(digest);
    const manifest = { digest, mediaType: references.mediaType, bytes, proven: proven(references) };
    if (recorded === undefined) this.#record(manifest, references);
    this.#memory.set(digest, manifest);
    return manifest;
  }

  /**
   * What is here under the digest, if it can be a manifest. A failure is none: upstream may have what our disk has not,
   * and who asks by a repository that does not have it must not learn that another one does (P9).
   */
  async #read(digest: Digest): Promise<Uint8Array | undefined> {
    const { store, channels } = this.#deps;
    try {
      const sizeBytes = await store.sizeOf(digest);
      return sizeBytes === undefined || sizeBytes > maxManifestBytes
        ? undefined
        : await store.read(digest, maxManifestBytes);
    } catch (error) {
      channels.notice.publish({ level: 'warn', message: 'a manifest cannot be read', error, fields: { digest } });
      return undefined;
    }
  }

  /** Whether the store has it now. */
  async #put(digest: Digest, bytes: Uint8Array): Promise<boolean> {
    try {
      await this.#deps.store.put(digest, bytes);
      return true;
    } catch (error) {
      const message = 'a manifest cannot be kept';
      this.#deps.channels.notice.publish({ level: 'warn', message, error, fields: { digest } });
      return false;
    }
  }

  /** Where upstream only confirmed the manifest (a HEAD), its content came by another scope: its blobs are not linked yet. */
  #linkProven(scope: Scope, { digest: manifest, proven: blobs }: KeptManifest): void {
    const { catalog, changes } = this.#deps;
    const key = `${scopeKey(scope)} ${manifest}`;
    // Links that were there are there, as long as nothing was lost.
    const change = changes.value;
    if (this.#linkedSince.get(key) === change) return;
    if (blobs.some(({ digest }) => catalog.linked(scope, digest) === undefined)) catalog.link(scope, blobs, 'manifest');
    this.#linkedSince.set(key, change);
  }

  #record(manifest: KeptManifest, references: ManifestReferences): void {
    const { digest, mediaType, bytes } = manifest;
    const all = [...references.children, ...references.blobs].map((reference) => reference.digest);
    this.#deps.catalog.addManifest({ digest, mediaType, sizeBytes: bytes.length, references: all });
  }
}

/** What content that is here references, or undefined where it is no manifest. */
function referencesOf(bytes: Uint8Array, mediaType: string): ManifestReferences | undefined {
  try {
    return manifestReferences(bytes, mediaType);
  } catch {
    return undefined;
  }
}

function proven(references: ManifestReferences): LinkRecord[] {
  return references.blobs.filter((blob) => blob.provesPossession);
}
