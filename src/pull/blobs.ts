import { decideRange, type Interval } from '../core/byte-range.ts';
import type { ChangeCount } from '../core/change-count.ts';
import type { Digest } from '../core/digest.ts';
import { AppError, asAppError } from '../core/errors.ts';
import { type Scope, scopeKey } from '../core/scope.ts';
import { abandonable, SharedCalls } from '../core/shared-calls.ts';
import type { FlightTable } from '../flights/flight-table.ts';
import type { HandedOut } from '../flights/passing/pass-reader.ts';
import type { PassingTable } from '../flights/passing/passing-table.ts';
import type { Source } from '../flights/source.ts';
import type { Catalog, LinkRecord } from '../store/catalog.ts';
import type { ContentStore, StoredBlob } from '../store/content-store.ts';
import type { Channels, PassThroughEvent } from '../telemetry/channels.ts';
import { type AttemptDeps, withAttempts, withinBound } from './attempts.ts';
import { type Leg, StoredReader } from './blob-bodies.ts';
import type { BlobAnswer, BlobLease, BlobRequest, BlobStorage } from './depot.ts';
import { HandedHashes } from './handed-hashes.ts';
import { type BodyWays, LastingBody, passCause } from './lasting-body.ts';
import { keepForGood } from './manifests.ts';
import type { PullBoard } from './pull-board.ts';
import type { RememberedFailures } from './remembered-failures.ts';
import { upstreamSources } from './upstream-source.ts';
import type { Upstreams } from './upstreams.ts';

export interface BlobsDeps extends AttemptDeps {
  readonly changes: Pick<ChangeCount, 'value'>;
  readonly store: ContentStore;
  readonly catalog: Catalog;
  readonly upstreams: Upstreams;
  readonly flights: FlightTable;
  readonly passing: PassingTable;
  readonly failures: RememberedFailures;
  readonly board: PullBoard;
  readonly channels: Channels;
  readonly cluster?: { used(digest: Digest, sizeBytes: number): void } | undefined;
}

export interface BlobsOptions {
  readonly boundMs: number;
  /** No larger blob is ever kept: it would be more than the whole cache. */
  readonly maxKeptBytes: number;
}

type Cause = PassThroughEvent['cause'];

/**
 * Answers requests for blobs: from the store, from the one flight that fetches it, or, where the disk cannot take it, from
 * one that passes by.
 *
 * Invariants
 * - Nothing is looked up in the store or joined before the scope is known to have the digest: by a manifest that it
 *   served, or by upstream's word (one shared HEAD, remembered). So the answer never tells what other scopes have (P9).
 * - HEAD fetches nothing.
 * - A store that fails makes a miss of what it has; it fails no request as long as upstream answers.
 * - What may be answered again without asking was found after the change that its `keep` names. A gateway gets a lease only
 *   on content that needs no proof, and of the size that it was told.
 */
export class Blobs {
  readonly #deps: BlobsDeps;
  readonly #options: BlobsOptions;
  readonly #confirmations = new SharedCalls<LinkRecord>();
  readonly #handed = new HandedHashes();

  constructor(deps: BlobsDeps, options: BlobsOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  async answer(request: BlobRequest, signal: AbortSignal): Promise<BlobAnswer> {
    const change = this.#deps.changes.value;
    const { scope, digest } = request;
    const link = this.#deps.catalog.linked(scope, digest) ?? (await this.#confirm(request, signal));
    if (request.method === 'HEAD') return this.#describe(request, link, change, signal);
    const stored = await this.#openStored(request, link.sizeBytes, signal);
    if (stored === undefined || 'cause' in stored) return this.#follow(request, link, stored?.cause, signal);
    this.#deps.catalog.touch(digest);
    this.#deps.cluster?.used(digest, stored.sizeBytes);
    // What its bytes are known to be counts from now on, whoever said otherwise.
    const isLie = link.sizeBytes !== undefined && link.sizeBytes !== stored.sizeBytes;
    if (isLie) this.#deps.catalog.link(scope, [{ ...link, sizeBytes: stored.sizeBytes }]);
    const decision = decideRange(request.range, stored.sizeBytes);
    if (decision.kind === 'unsatisfiable') {
      stored.close();
      return { kind: 'unsatisfiable', sizeBytes: stored.sizeBytes };
    }
    const part = decision.kind === 'part' ? decision.range : undefined;
    const reader = new StoredReader(stored, part, this.#deps.passing.holdBackBytes);
    const lease = leaseOf(stored, request.gateway, change);
    const body = this.#body({ kind: 'stored', reader }, part, request, link);
    return { kind: 'body', sizeBytes: stored.sizeBytes, part, body, served: 'hit', lease };
  }

  /** The content; undefined where it is not here, and why not where the store cannot say. */
  async #openStored(
    { digest, leased }: BlobRequest,
    claimedBytes: number | undefined,
    signal: AbortSignal,
  ): Promise<StoredBlob | { readonly cause: Cause } | undefined> {
    if (leased !== undefined) return this.#openLeased(digest, leased);
    try {
      const stored = await this.#deps.store.open(digest);
      const isDoubtful = stored?.proof !== undefined && claimedBytes !== undefined && stored.sizeBytes !== claimedBytes;
      return isDoubtful ? await proven(stored, signal) : stored;
    } catch (error) {
      signal.throwIfAborted();
      const cause = passCause(asAppError(error));
      if (cause === undefined || !this.#deps.passing.isOn) throw error;
      return { cause };
    }
  }

  /** Of a gateway that is in its lease it is open. Who has left meanwhile waits for no answer. */
  #openLeased(digest: Digest, fileId: number): StoredBlob {
    const stored = this.#deps.store.leased(digest, fileId);
    if (stored === undefined) throw new AppError('STORAGE_FAILED', 'the file is closed');
    return stored;
  }

  async #describe(request: BlobRequest, link: LinkRecord, change: number, signal: AbortSignal): Promise<BlobAnswer> {
    const stored = this.#deps.store.sizeOf(request.digest).catch(() => undefined);
    const known = (await stored) ?? link.sizeBytes;
    if (known !== undefined) return { kind: 'head', sizeBytes: known, served: 'hit', keep: keepForGood(change) };
    const confirmed = await this.#confirm(request, signal);
    return { kind: 'head', sizeBytes: confirmed.sizeBytes, served: 'revalidated' };
  }

  /** Fetches it, with all others who want it. `cause`: the disk cannot take it, as is known. */
  async #follow(
    request: BlobRequest,
    link: LinkRecord,
    cause: Cause | undefined,
    signal: AbortSignal,
  ): Promise<BlobAnswer> {
    const { leg, led } = await this.#miss(request, link.sizeBytes, undefined, cause, signal);
    const body = this.#body(leg, undefined, request, link);
    try {
      const size = body.sizeBytes ?? (await this.#whenSized(body, signal));
      // Nothing is read before this: the range is set in the same turn in which the size is known.
      const decision = size === undefined ? ({ kind: 'whole' } as const) : decideRange(request.range, size);
      if (decision.kind === 'unsatisfiable') {
        body.close();
        return { kind: 'unsatisfiable', sizeBytes: size ?? 0 };
      }
      const part = decision.kind === 'part' ? decision.range : undefined;
      if (part !== undefined) body.setRange(part);
      return { kind: 'body', sizeBytes: size, part, body, served: led ? 'led' : 'joined' };
    } catch (error) {
      body.close();
      throw error;
    }
  }

  #whenSized(body: LastingBody, signal: AbortSignal): Promise<number | undefined> {
    const late = () => new AppError('HEADER_TIMEOUT', 'upstream has not begun to deliver yet', { retryAfterMs: 1000 });
    const { boundMs } = this.#options;
    return withinBound(this.#deps.clock, boundMs, signal, late, (bounded) => body.whenSized(bounded));
  }

  /** Joins or starts the flight; joins or starts passing where the disk cannot take it. */
  async #miss(
    request: BlobRequest,
    sizeBytes: number | undefined,
    range: Interval | undefined,
    knownCause: Cause | undefined,
    signal: AbortSignal,
  ): Promise<{ leg: Leg; led: boolean }> {
    const { digest } = request;
    const cause = knownCause ?? this.#causeToPass(request, sizeBytes);
    if (cause !== undefined) return this.#pass(request, cause, sizeBytes, range, undefined);
    const key = failureKey(request.scope, digest);
    const sources = this.#sources(request);
    const joining = this.#deps.flights.join({ digest, sizeBytes, sources, range }, signal);
    const { reader, led, failed } = await joining;
    // Told to whoever still reads then, or to nobody: remembered it is, for those who would start it all over.
    void failed.then((error) => this.#deps.failures.remember(key, error));
    return { leg: { kind: 'flight', reader }, led };
  }

  /** Why it is better not to try the disk; undefined where it may. Throws a failure of upstream that still counts. */
  #causeToPass({ scope, digest }: BlobRequest, sizeBytes: number | undefined): Cause | undefined {
    const { flights, passing, failures } = this.#deps;
    if (flights.has(digest)) return undefined;
    const failure = failures.recall(failureKey(scope, digest));
    const cause = failure && passCause(failure);
    if (failure !== undefined && (cause === undefined || !passing.isOn)) throw failure;
    if (!passing.isOn) return undefined;
    // Who comes while its beginning passes by shares it; later the disk may have room again.
    const passingBy = passing.hasNear(digest, 0) ? passing.causeOf(digest) : undefined;
    if (cause !== undefined || passingBy !== undefined) return cause ?? passingBy;
    return sizeBytes !== undefined && sizeBytes > this.#options.maxKeptBytes ? 'too-large' : undefined;
  }

  #pass(
    request: BlobRequest,
    cause: Cause,
    sizeBytes: number | undefined,
    range: Interval | undefined,
    handed: HandedOut | undefined,
  ): { leg: Leg; led: boolean } {
    const { digest, scope } = request;
    const sources = this.#sources(request);
    const joined = this.#deps.passing.join({ digest, sizeBytes, sources, cause, range, handed });
    void joined.failed.then((error) => this.#deps.failures.remember(failureKey(scope, digest), error));
    return { leg: { kind: 'pass', reader: joined.reader }, led: joined.led };
  }

  #sources({ scope, digest }: BlobRequest): readonly Source[] {
    const { registry } = this.#deps.upstreams.get(scope.registry);
    return upstreamSources(registry, scope, digest);
  }

  #body(leg: Leg, range: Interval | undefined, request: BlobRequest, link: LinkRecord): LastingBody {
    const onClose = this.#deps.board.reading(request.digest, request.client);
    return new LastingBody(() => this.#ways(request, link), leg, range, onClose);
  }

  #ways(request: BlobRequest, link: LinkRecord): BodyWays {
    const { passing } = this.#deps;
    const { digest } = request;
    return {
      holdBackBytes: passing.holdBackBytes,
      canPass: passing.isOn,
      miss: async (sizeBytes, part, signal) =>
        (await this.#miss(request, sizeBytes ?? link.sizeBytes, part, undefined, signal)).leg,
      pass: (cause, sizeBytes, part, handed) =>
        this.#pass(request, cause, sizeBytes ?? link.sizeBytes, part, handed).leg,
      condemn: (storage, reason) => this.#condemn(digest, storage, reason),
      handedHash: (storage, start, end, signal) => this.#handed.over(storage, digest, { start, end }, signal),
    };
  }

  /** Of many who find it damaged one is the first; when the others say so, it may have been fetched anew. */
  async #condemn(digest: Digest, storage: BlobStorage, reason: string): Promise<void> {
    const { store, channels } = this.#deps;
    if (storage.kind !== 'file') return;
    try {
      await store.condemn(digest, storage.fd, reason);
    } catch (error) {
      const message = 'a damaged blob could not be taken out of the store';
      channels.notice.publish({ level: 'error', message, error, fields: { digest } });
    }
  }

  /** Asks upstream whether the repository has the digest, once for all who want to know. */
  async #confirm(request: BlobRequest, signal: AbortSignal): Promise<LinkRecord> {
    const { scope, digest } = request;
    const key = `confirm ${failureKey(scope, digest)}`;
    if (this.#confirmations.has(key)) this.#deps.channels.coalesced.publish({ kind: 'blob-head' });
    const ask = async (): Promise<LinkRecord> => {
      const { registry } = this.#deps.upstreams.get(scope.registry);
      const outageMs = () => registry.outageMs();
      const options = { boundMs: this.#options.boundMs, upstream: scope.registry, kind: 'blob', outageMs } as const;
      const answer = await withAttempts(this.#deps, options, (bounded) =>
        registry.headBlob(scope.repository, digest, bounded),
      );
      // A manifest that came meanwhile knows better.
      const known = this.#deps.catalog.linked(scope, digest);
      const sizeBytes = known?.sizeBytes ?? answer.sizeBytes;
      const link = { digest, sizeBytes, mediaType: known?.mediaType ?? answer.mediaType };
      this.#deps.catalog.link(scope, [link], 'confirmed');
      return link;
    };
    return this.#confirmations.run(key, () => this.#deps.failures.guard(key, ask), signal);
  }
}

function leaseOf(stored: StoredBlob, gateway: number | undefined, change: number): BlobLease | undefined {
  const lease = gateway === undefined ? undefined : stored.lease?.(gateway);
  if (lease === undefined) return undefined;
  const { words, index, untilMs } = lease;
  const { fd, fileId } = stored.view;
  return { fd, fileId, sizeBytes: stored.sizeBytes, words, index, keep: { change, untilMs } };
}

/** Of another size than a manifest says, its size can be told to nobody before it is known to be right. */
async function proven(stored: StoredBlob, signal: AbortSignal): Promise<StoredBlob | undefined> {
  try {
    stored.hurry();
    await abandonable(stored.proof ?? Promise.resolve(), signal);
    return stored;
  } catch {
    stored.close();
    signal.throwIfAborted();
    return undefined;
  }
}

function failureKey(scope: Scope, digest: Digest): string {
  return `blob ${scopeKey(scope)} ${digest}`;
}
