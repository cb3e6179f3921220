import type { ChangeCount } from '../core/change-count.ts';
import type { Clock } from '../core/clock.ts';
import type { Digest } from '../core/digest.ts';
import { AppError } from '../core/errors.ts';
import { type TraceContext, type Tracing, traced } from '../core/tracing.ts';
import type { FlightTable } from '../flights/flight-table.ts';
import type { PassingTable } from '../flights/passing/passing-table.ts';
import type { RetryPolicy } from '../flights/source.ts';
import type { Catalog } from '../store/catalog.ts';
import type { ContentStore } from '../store/content-store.ts';
import type { Channels } from '../telemetry/channels.ts';
import { withinBound } from './attempts.ts';
import { Blobs } from './blobs.ts';
import type {
  BlobAnswer,
  BlobRequest,
  Depot,
  HitLog,
  HitNote,
  ListAnswer,
  ManifestAnswer,
  ManifestRequest,
  ReferrersRequest,
  TagsRequest,
} from './depot.ts';
import { Discovery } from './discovery.ts';
import { ManifestContent } from './manifest-content.ts';
import { Manifests } from './manifests.ts';
import type { PullBoard } from './pull-board.ts';
import { RememberedFailures } from './remembered-failures.ts';
import { Tags } from './tags.ts';
import type { Upstreams } from './upstreams.ts';

export interface PullDepotDeps {
  /** The one that store and catalog count in. */
  readonly changes: Pick<ChangeCount, 'value'>;
  readonly clock: Clock;
  readonly channels: Channels;
  readonly store: ContentStore;
  readonly catalog: Catalog;
  readonly upstreams: Upstreams;
  readonly flights: FlightTable;
  readonly passing: PassingTable;
  readonly board: PullBoard;
  readonly retry: RetryPolicy;
  /** Other nodes, which hear of what is used here. Left out: there are none. */
  readonly cluster?: { used(digest: Digest, sizeBytes: number): void } | undefined;
  readonly tracing?: Tracing | undefined;
}

export interface PullDepotOptions {
  /** No request waits longer for the beginning of its answer (P2). */
  readonly headerTimeoutMs: number;
  /** A known tag whose revalidation takes longer is served stale. */
  readonly staleAfterMs: number;
  /** No larger blob is ever kept: it would be more than the whole cache. */
  readonly maxKeptBytes: number;
  /** Memory for manifests. */
  readonly manifestBytes?: number | undefined;
}

/** The depot of one node: from what is here, or from upstream, once for all who ask. */
export class PullDepot implements Depot, HitLog {
  readonly #deps: PullDepotDeps;
  readonly #options: PullDepotOptions;
  readonly #content: ManifestContent;
  readonly #manifests: Manifests;
  readonly #blobs: Blobs;
  readonly #discovery: Discovery;

  constructor(deps: PullDepotDeps, options: PullDepotOptions) {
    this.#deps = deps;
    this.#options = options;
    const shared = { ...deps, failures: new RememberedFailures(deps.clock) };
    // Work that is shared gives up a little before those who wait for it do, so that they hear its reason.
    const bound = { boundMs: options.headerTimeoutMs * 0.9 };
    const content = new ManifestContent(shared, { ...bound, memoryBytes: options.manifestBytes });
    this.#content = content;
    const tags = new Tags(shared, content, { ...bound, staleAfterMs: options.staleAfterMs });
    this.#manifests = new Manifests(shared, content, tags);
    this.#blobs = new Blobs(shared, { ...bound, maxKeptBytes: options.maxKeptBytes });
    this.#discovery = new Discovery(shared, bound);
  }

  async manifest(request: ManifestRequest, signal: AbortSignal): Promise<ManifestAnswer> {
    const answer = await this.#traced('manifest', request, () =>
      this.#bounded(signal, (bounded) => this.#manifests.answer(request, bounded)),
    );
    this.#deps.board.served(request.scope, request.reference, answer, request.method);
    return answer;
  }

  blob(request: BlobRequest, signal: AbortSignal): Promise<BlobAnswer> {
    return this.#traced('blob', request, () => this.#blobs.answer(request, signal));
  }

  /** The gateway's thread is over, whatever it was reading. Before another one has its number. */
  gatewayEnded(gateway: number): void {
    this.#deps.store.gatewayEnded(gateway);
  }

  /** Content that was purged is in no memory any more. Gateways hear of it by the change that the purge was. */
  forget(digests: readonly Digest[]): void {
    this.#content.forget(digests);
  }

  /** What gateways answered by themselves was used, and asked for, all the same. */
  noteHits(notes: readonly HitNote[]): void {
    const { board, catalog } = this.#deps;
    for (const note of notes) {
      catalog.touch(note.digest);
      if (note.reference !== undefined) board.servedAgain(note.scope, note.reference, note);
    }
  }

  tags(request: TagsRequest, signal: AbortSignal): Promise<ListAnswer> {
    return this.#traced('tags', request, () =>
      this.#bounded(signal, (bounded) => this.#discovery.tags(request, bounded)),
    );
  }

  referrers(request: ReferrersRequest, signal: AbortSignal): Promise<ListAnswer> {
    return this.#traced('referrers', request, () =>
      this.#bounded(signal, (bounded) => this.#discovery.referrers(request, bounded)),
    );
  }

  async repositories(after: string | undefined, limit: number): Promise<{ names: readonly string[]; more: boolean }> {
    const names = this.#deps.catalog.repositories(after, limit + 1);
    return { names: names.slice(0, limit), more: names.length > limit };
  }

  /** Until there is an answer. What it sets off is part of it, and may last longer. */
  #traced<T extends ManifestAnswer | BlobAnswer | ListAnswer>(
    name: string,
    { trace }: { readonly trace?: TraceContext | undefined },
    work: () => Promise<T>,
  ): Promise<T> {
    if (trace === undefined) return work();
    return traced(this.#deps.tracing, trace, { name, kind: 'internal' }, async (span) => {
      const answer = await work();
      if ('served' in answer) span?.set({ 'onepull.served': answer.served });
      return answer;
    });
  }

  #bounded<T>(signal: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const late = () => new AppError('HEADER_TIMEOUT', 'upstream has not answered yet', { retryAfterMs: 1000 });
    return withinBound(this.#deps.clock, this.#options.headerTimeoutMs, signal, late, work);
  }
}
