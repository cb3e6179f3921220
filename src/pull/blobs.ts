import { decideRange } from '../core/byte-range.ts';
import type { Digest } from '../core/digest.ts';
import { AppError } from '../core/errors.ts';
import { type Scope, scopeKey } from '../core/scope.ts';
import { SharedCalls } from '../core/shared-calls.ts';
import type { FlightReader } from '../flights/flight-reader.ts';
import type { FlightTable } from '../flights/flight-table.ts';
import type { Catalog, LinkRecord } from '../store/catalog.ts';
import type { ContentStore } from '../store/content-store.ts';
import type { Channels } from '../telemetry/channels.ts';
import { type AttemptDeps, withAttempts, withinBound } from './attempts.ts';
import { flightBody, storedBody } from './blob-bodies.ts';
import type { BlobAnswer, BlobRequest } from './depot.ts';
import type { PullBoard } from './pull-board.ts';
import type { RememberedFailures } from './remembered-failures.ts';
import { upstreamSources } from './upstream-source.ts';
import type { Upstreams } from './upstreams.ts';

export interface BlobsDeps extends AttemptDeps {
  readonly store: ContentStore;
  readonly catalog: Catalog;
  readonly upstreams: Upstreams;
  readonly flights: FlightTable;
  readonly failures: RememberedFailures;
  readonly board: PullBoard;
  readonly channels: Channels;
}

/**
 * Answers requests for blobs: from the store, or from the one flight that fetches it.
 *
 * Invariants
 * - Nothing is looked up in the store or joined before the scope is known to have the digest: by a manifest that it
 *   served, or by upstream's word (one shared HEAD, remembered). So the answer never tells what other scopes have (P9).
 * - HEAD fetches nothing.
 */
export class Blobs {
  readonly #deps: BlobsDeps;
  readonly #boundMs: number;
  readonly #confirmations = new SharedCalls<LinkRecord>();

  constructor(deps: BlobsDeps, options: { boundMs: number }) {
    this.#deps = deps;
    this.#boundMs = options.boundMs;
  }

  async answer(request: BlobRequest, signal: AbortSignal): Promise<BlobAnswer> {
    const { scope, digest } = request;
    const link = this.#deps.catalog.linked(scope, digest) ?? (await this.#confirm(request, signal));
    if (request.method === 'HEAD') return this.#describe(request, link, signal);
    const stored = await this.#deps.store.open(digest);
    if (stored === undefined) return this.#follow(request, link, signal);
    this.#deps.catalog.touch(digest);
    const decision = decideRange(request.range, stored.sizeBytes);
    if (decision.kind === 'unsatisfiable') {
      stored.close();
      return { kind: 'unsatisfiable', sizeBytes: stored.sizeBytes };
    }
    const part = decision.kind === 'part' ? decision.range : undefined;
    const body = storedBody(stored, part, this.#deps.board.reading(digest, request.client));
    return { kind: 'body', sizeBytes: stored.sizeBytes, part, body, served: 'hit' };
  }

  async #describe(request: BlobRequest, link: LinkRecord, signal: AbortSignal): Promise<BlobAnswer> {
    const known = (await this.#deps.store.sizeOf(request.digest)) ?? link.sizeBytes;
    if (known !== undefined) return { kind: 'head', sizeBytes: known, served: 'hit' };
    const confirmed = await this.#confirm(request, signal);
    return { kind: 'head', sizeBytes: confirmed.sizeBytes, served: 'revalidated' };
  }

  /** Joins or starts the flight. */
  async #follow(request: BlobRequest, link: LinkRecord, signal: AbortSignal): Promise<BlobAnswer> {
    const { scope, digest } = request;
    const key = failureKey(scope, digest);
    const failure = this.#deps.flights.has(digest) ? undefined : this.#deps.failures.recall(key);
    if (failure !== undefined) throw failure;
    const { registry } = this.#deps.upstreams.get(scope.registry);
    const sources = upstreamSources(registry, scope, digest);
    const { sizeBytes } = link;
    const joining = this.#deps.flights.join({ digest, sizeBytes, sources, range: undefined }, signal);
    const { reader, led, failed } = await joining;
    // Told to whoever still reads then, or to nobody: remembered it is, for those who would start it all over.
    void failed.then((error) => this.#deps.failures.remember(key, error));
    const body = flightBody(reader, this.#deps.board.reading(digest, request.client));
    try {
      const size = reader.sizeBytes ?? (await this.#whenSized(reader, signal));
      // Nothing is read before this: the range is set in the same turn in which the size is known.
      const decision = size === undefined ? ({ kind: 'whole' } as const) : decideRange(request.range, size);
      if (decision.kind === 'unsatisfiable') {
        body.close();
        return { kind: 'unsatisfiable', sizeBytes: size ?? 0 };
      }
      const part = decision.kind === 'part' ? decision.range : undefined;
      if (part !== undefined) reader.setRange(part);
      return { kind: 'body', sizeBytes: size, part, body, served: led ? 'led' : 'joined' };
    } catch (error) {
      body.close();
      throw error;
    }
  }

  #whenSized(reader: FlightReader, signal: AbortSignal): Promise<number | undefined> {
    const late = () => new AppError('HEADER_TIMEOUT', 'upstream has not begun to deliver yet', { retryAfterMs: 1000 });
    return withinBound(this.#deps.clock, this.#boundMs, signal, late, (bounded) => reader.whenSized(bounded));
  }

  /** Asks upstream whether the repository has the digest, once for all who want to know. */
  async #confirm(request: BlobRequest, signal: AbortSignal): Promise<LinkRecord> {
    const { scope, digest } = request;
    const key = `confirm ${failureKey(scope, digest)}`;
    if (this.#confirmations.has(key)) this.#deps.channels.coalesced.publish({ kind: 'blob-head' });
    const ask = async (): Promise<LinkRecord> => {
      const { registry } = this.#deps.upstreams.get(scope.registry);
      const options = { boundMs: this.#boundMs, upstream: scope.registry, kind: 'blob' } as const;
      const answer = await withAttempts(this.#deps, options, (bounded) =>
        registry.headBlob(scope.repository, digest, bounded),
      );
      const link = { digest, sizeBytes: answer.sizeBytes, mediaType: answer.mediaType };
      this.#deps.catalog.link(scope, [link], 'confirmed');
      return link;
    };
    return this.#confirmations.run(key, () => this.#deps.failures.guard(key, ask), signal);
  }
}

function failureKey(scope: Scope, digest: Digest): string {
  return `blob ${scopeKey(scope)} ${digest}`;
}
