import { decideRange, type Interval } from '../core/byte-range.ts';
import type { Digest } from '../core/digest.ts';
import type { AppError } from '../core/errors.ts';
import { maxManifestBytes } from '../core/manifest-references.ts';
import type { FlightTable } from '../flights/flight-table.ts';
import type { ContentStore } from '../store/content-store.ts';
import { type Leg, StoredReader } from './blob-bodies.ts';
import type { BlobBody, BlobStorage } from './depot.ts';

export interface PeerShelfDeps {
  readonly store: Pick<ContentStore, 'open' | 'read' | 'sizeOf'>;
  readonly flights: Pick<FlightTable, 'follow'>;
}

export interface PeerShelfOptions {
  /** As the flights have it: so many bytes at a blob's end are never handed out unverified. */
  readonly holdBackBytes: number;
}

export type ShelfAnswer =
  | { readonly kind: 'unsatisfiable'; readonly sizeBytes: number }
  | {
      readonly kind: 'body';
      /** Undefined: nobody knows yet. */
      readonly sizeBytes: number | undefined;
      readonly part: Interval | undefined;
      readonly body: BlobBody;
    };

/**
 * What this node gives to its peers: what the store has, and what is on its way, as it comes. Never more than that: nothing is
 * asked of upstream that this node does not fetch for itself. Peers are trusted with any digest: which client may have it is for
 * the node to decide that the client asks (P9).
 */
export class PeerShelf {
  readonly #deps: PeerShelfDeps;
  readonly #holdBackBytes: number;

  constructor(deps: PeerShelfDeps, { holdBackBytes }: PeerShelfOptions) {
    this.#deps = deps;
    this.#holdBackBytes = holdBackBytes;
  }

  /** `range`: a header of that name. Undefined: it is not here. */
  async blob(digest: Digest, range: string | undefined, signal: AbortSignal): Promise<ShelfAnswer | undefined> {
    const flying = this.#deps.flights.follow(digest, undefined);
    if (flying !== undefined) {
      flying.passOn();
      try {
        const sizeBytes = await flying.whenSized(signal);
        return answered(sizeBytes, range, flying, (part) => {
          if (part !== undefined) flying.setRange(part);
          return flying;
        });
      } catch (error) {
        flying.close();
        throw error;
      }
    }
    const stored = await this.#deps.store.open(digest);
    if (stored === undefined) return undefined;
    return answered(stored.sizeBytes, range, stored, (part) => new StoredReader(stored, part, this.#holdBackBytes));
  }

  /** The bytes of a manifest, which the other node hashes. */
  async manifest(digest: Digest): Promise<Uint8Array | undefined> {
    const sizeBytes = await this.#deps.store.sizeOf(digest);
    if (sizeBytes === undefined || sizeBytes > maxManifestBytes) return undefined;
    return this.#deps.store.read(digest, maxManifestBytes);
  }
}

/** Decides what a range means; what is not to be read is closed. Of what has no known size nothing but the whole is had. */
function answered(
  sizeBytes: number | undefined,
  range: string | undefined,
  opened: { close(): void },
  readerOf: (part: Interval | undefined) => Leg['reader'],
): ShelfAnswer {
  const decision = sizeBytes === undefined ? ({ kind: 'whole' } as const) : decideRange(range, sizeBytes);
  if (decision.kind === 'unsatisfiable') {
    opened.close();
    return { kind: 'unsatisfiable', sizeBytes: sizeBytes ?? 0 };
  }
  const part = decision.kind === 'part' ? decision.range : undefined;
  return { kind: 'body', sizeBytes, part, body: new ShelfBody(readerOf(part)) };
}

/** A body that ends where what it reads of does: the other node goes on elsewhere. */
class ShelfBody implements BlobBody {
  readonly #reader: Leg['reader'];

  constructor(reader: Leg['reader']) {
    this.#reader = reader;
  }

  get start(): number {
    return this.#reader.start;
  }

  get end(): number | undefined {
    return this.#reader.end;
  }

  get storage(): BlobStorage {
    return this.#reader.storage;
  }

  readableTo(offset: number): number {
    return this.#reader.readableTo(offset);
  }

  whenReadable(offset: number, signal: AbortSignal): Promise<number> {
    return this.#reader.whenReadable(offset, signal);
  }

  unreadable(_offset: number, error: AppError): Promise<void> {
    return Promise.reject(error);
  }

  close(): void {
    this.#reader.close();
  }
}
