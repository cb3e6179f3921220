import { decideRange } from '../../core/byte-range.ts';
import type { ChangeCount } from '../../core/change-count.ts';
import type { Clock } from '../../core/clock.ts';
import type { Digest } from '../../core/digest.ts';
import { AppError } from '../../core/errors.ts';
import type { Scope } from '../../core/scope.ts';
import type {
  BlobAnswer,
  BlobBody,
  BlobRequest,
  Depot,
  HitLog,
  ListAnswer,
  ManifestAnswer,
  ManifestRequest,
  ReferrersRequest,
  TagsRequest,
} from '../../pull/depot.ts';
import { HitNotes } from './hit-notes.ts';
import { blobKey, type KnownBlob, KnownBlobs } from './known-blobs.ts';
import { type HitMemoryOptions, type KnownAnswer, KnownManifests, manifestKey } from './known-manifests.ts';
import { LeasedBody } from './leased-body.ts';
import { PreparedBlobs } from './prepared-blobs.ts';

export interface HitDepotDeps {
  readonly depot: Depot;
  readonly changes: Pick<ChangeCount, 'value'>;
  readonly log: HitLog;
  readonly clock: Clock;
}

export interface HitDepotOptions extends HitMemoryOptions {
  /** Which gateway this is, for leases. */
  readonly gateway: number;
}

export const hitDepotDefaults: HitMemoryOptions = { maxEntries: 16_384, maxBytes: 32 * 1024 * 1024 };

/** How much is remembered. */
export interface HitLoad {
  readonly manifests: number;
  readonly manifestBytes: number;
  /** Leases. */
  readonly blobs: number;
  /** Content of small blobs. */
  readonly blobBytes: number;
  /** All that counts. */
  readonly preparedBytes: number;
}

/** What a gateway looks up without asking anybody. */
export interface Hits {
  /** The key to look up what is asked by; undefined where that is never remembered. */
  manifestKey(request: Pick<ManifestRequest, 'scope' | 'reference' | 'accept'>): string | undefined;
  /** What stands under the key at this moment. Looking counts for nothing. */
  known(key: string): KnownAnswer | undefined;
  /** The same for blobs: what GET is answered with where its bytes are in memory, or what HEAD is told. */
  blobKey(scope: Scope, digest: Digest): string;
  knownBlob(key: string, digest: Digest, method: 'GET' | 'HEAD'): KnownAnswer | undefined;
  /** An answer to GET from a lease; undefined where the depot has to be asked. */
  leasedBlob(request: BlobRequest): BlobAnswer | undefined;
  /** An answer was given again. */
  given(known: Pick<KnownAnswer, 'count'>, method: 'GET' | 'HEAD'): void;
}

/**
 * A depot as one gateway sees it: what may be given again is given again without asking, all else is asked for.
 *
 * Invariants: failures are never remembered. A request that is not answered from here goes on as it came, and its answer is
 * what the client gets, whatever is remembered meanwhile. One gateway, in one thread, has one.
 */
export class HitDepot implements Depot, Hits, Disposable {
  readonly #depot: Depot;
  readonly #gateway: number;
  readonly #manifests: KnownManifests;
  readonly #blobs: KnownBlobs;
  readonly #prepared: PreparedBlobs;
  readonly #notes: HitNotes;

  constructor(deps: HitDepotDeps, options: HitDepotOptions) {
    this.#depot = deps.depot;
    this.#gateway = options.gateway;
    // What is prepared of blobs has one half, manifests have the other.
    const maxBytes = Math.floor(options.maxBytes / 2);
    this.#manifests = new KnownManifests(deps, { ...options, maxBytes });
    this.#prepared = new PreparedBlobs({ maxBytes });
    this.#blobs = new KnownBlobs(deps, options);
    this.#notes = new HitNotes(deps);
  }

  /** How much is remembered. */
  get load(): HitLoad {
    const [manifests, prepared] = [this.#manifests, this.#prepared];
    return {
      manifests: manifests.size,
      manifestBytes: manifests.bytes,
      blobs: this.#blobs.size,
      blobBytes: prepared.contentBytes,
      preparedBytes: manifests.bytes + prepared.bytes,
    };
  }

  manifestKey(request: Pick<ManifestRequest, 'scope' | 'reference' | 'accept'>): string | undefined {
    return manifestKey(request);
  }

  known(key: string): KnownAnswer | undefined {
    return this.#manifests.get(key);
  }

  blobKey(scope: Scope, digest: Digest): string {
    return blobKey(scope, digest);
  }

  knownBlob(key: string, digest: Digest, method: 'GET' | 'HEAD'): KnownAnswer | undefined {
    if (method === 'HEAD') {
      const described = this.#blobs.describe(key);
      return described && { ...this.#prepared.described(digest, described.sizeBytes), count: described.count };
    }
    const { count } = this.#blobs.granted(key) ?? {};
    const whole = count && this.#prepared.whole(digest);
    return whole && { answer: whole.answer, prepared: whole.prepared, count };
  }

  leasedBlob(request: BlobRequest): BlobAnswer | undefined {
    const known = this.#blobs.enter(request.scope, request.digest);
    return known && this.#leased(request, known);
  }

  given(known: Pick<KnownAnswer, 'count'>, method: 'GET' | 'HEAD'): void {
    this.#notes.add(known.count, method);
  }

  async manifest(request: ManifestRequest, signal: AbortSignal): Promise<ManifestAnswer> {
    const { method } = request;
    const key = manifestKey(request);
    const known = key === undefined ? undefined : this.#manifests.get(key);
    if (known !== undefined && (method === 'HEAD' || known.answer.bytes !== undefined)) {
      this.#notes.add(known.count, method);
      return known.answer;
    }
    const answer = await this.#depot.manifest(request, signal);
    if (key !== undefined) this.#manifests.add(key, request, answer);
    return answer;
  }

  async blob(request: BlobRequest, signal: AbortSignal): Promise<BlobAnswer> {
    const { scope, digest } = request;
    if (request.method === 'HEAD') return this.#describe(request, signal);
    const leased = this.leasedBlob(request);
    if (leased !== undefined) return leased;
    const answer = await this.#depot.blob({ ...request, gateway: this.#gateway }, signal);
    if (answer.kind === 'body' && answer.lease !== undefined) this.#blobs.add(scope, digest, answer.lease);
    return answer;
  }

  tags(request: TagsRequest, signal: AbortSignal): Promise<ListAnswer> {
    return this.#depot.tags(request, signal);
  }

  referrers(request: ReferrersRequest, signal: AbortSignal): Promise<ListAnswer> {
    return this.#depot.referrers(request, signal);
  }

  repositories(after: string | undefined, limit: number): Promise<{ names: readonly string[]; more: boolean }> {
    return this.#depot.repositories(after, limit);
  }

  /** Tells what is still to be told. */
  [Symbol.dispose](): void {
    this.#notes[Symbol.dispose]();
  }

  async #describe(request: BlobRequest, signal: AbortSignal): Promise<BlobAnswer> {
    const { scope, digest } = request;
    const known = this.#blobs.describe(blobKey(scope, digest));
    if (known !== undefined) {
      this.#notes.add(known.count, 'HEAD');
      return { kind: 'head', sizeBytes: known.sizeBytes, served: 'hit' };
    }
    const answer = await this.#depot.blob(request, signal);
    if (answer.kind === 'head' && answer.keep !== undefined && answer.sizeBytes !== undefined) {
      this.#blobs.addDescribed(scope, digest, answer.sizeBytes, answer.keep);
    }
    return answer;
  }

  /** The answer to GET from a lease whose use is entered. */
  #leased(request: BlobRequest, known: KnownBlob): BlobAnswer {
    const { lease, use, count } = known;
    const { sizeBytes } = lease;
    this.#notes.add(count, 'GET');
    this.#prepared.used(request.digest, known);
    const decision = decideRange(request.range, sizeBytes);
    if (decision.kind === 'unsatisfiable') {
      use.leave();
      return { kind: 'unsatisfiable', sizeBytes };
    }
    const part = decision.kind === 'part' ? decision.range : undefined;
    const body = new LeasedBody(lease, use, part, (signal) => this.#goOn(request, known, signal));
    return { kind: 'body', sizeBytes, part, body, served: 'hit' };
  }

  /** Leased content could not be read: the depot's own body of the same file, for the same request. */
  async #goOn(request: BlobRequest, known: KnownBlob, signal: AbortSignal): Promise<BlobBody> {
    this.#blobs.forget(request.scope, request.digest, known);
    const answer = await this.#depot.blob({ ...request, leased: known.lease.fileId }, signal);
    if (answer.kind === 'body') return answer.body;
    throw new AppError('INTERNAL', 'a file that can be read from is none any more');
  }
}
