import type { Interval } from '../../core/byte-range.ts';
import type { Digest } from '../../core/digest.ts';
import type { VirtualClock } from '../../core/testing/virtual-clock.ts';
import type { PartialBlob } from '../content-store.ts';
import type { FsStore } from '../fs/open-fs-store.ts';
import { sampleBlob, sampleManifest, sampleScope } from './sample-content.ts';

/** What the store has promised after some steps of its disk. */
export interface Promised {
  /** Content whose `put` or `commit` had resolved, and that nobody told to leave since. */
  readonly kept: ReadonlySet<Digest>;
  /** Bytes of fills that a later process is to find, if only the process dies. */
  readonly filled: ReadonlyMap<Digest, readonly Interval[]>;
  /** Bytes of fills that a later process is to find even if the machine dies. */
  readonly safe: ReadonlyMap<Digest, readonly Interval[]>;
  /** Fills whose bytes are wrong: their source lied. */
  readonly wrong: ReadonlySet<Digest>;
}

type Promising =
  | { readonly what: 'kept' | 'free'; readonly digest: Digest }
  | { readonly what: 'safe' | 'wrong'; readonly digest: Digest }
  | { readonly what: 'filled'; readonly digest: Digest; readonly interval: Interval };

/** Notes what the store promised, and when, in steps of its disk. */
export class PromiseLedger {
  readonly #entries: (Promising & { readonly step: number })[] = [];
  readonly #step: () => number;

  constructor(step: () => number) {
    this.#step = step;
  }

  note(promising: Promising): void {
    this.#entries.push({ ...promising, step: this.#step() });
  }

  after(step: number): Promised {
    const kept = new Set<Digest>();
    const filled = new Map<Digest, Interval[]>();
    const safe = new Map<Digest, Interval[]>();
    const wrong = new Set<Digest>();
    for (const entry of this.#entries.filter((noted) => noted.step <= step)) {
      const { digest } = entry;
      switch (entry.what) {
        case 'filled':
          filled.set(digest, [...(filled.get(digest) ?? []), entry.interval]);
          break;
        case 'safe':
          safe.set(digest, filled.get(digest) ?? []);
          break;
        case 'wrong':
          wrong.add(digest);
          break;
        case 'kept':
        case 'free':
          for (const promises of [filled, safe, wrong, kept]) promises.delete(digest);
          if (entry.what === 'kept') kept.add(digest);
      }
    }
    return { kept, filled, safe, wrong };
  }
}

const pieceBytes = 5000;

/** All content that the history is about. */
const blobs = {
  small: sampleBlob(1, 900),
  config: sampleBlob(2, 1500),
  outOfOrder: sampleBlob(3, 40_000),
  resumed: sampleBlob(4, 30_000),
  resumedLater: sampleBlob(5, 35_000),
  begunAnew: sampleBlob(6, 25_000),
  damaged: sampleBlob(7, 22_000),
  old: [sampleBlob(8, 30_000), sampleBlob(9, 30_000)],
  together: [sampleBlob(10, 15_000), sampleBlob(11, 15_000), sampleBlob(12, 2000)],
  left: sampleBlob(13, 25_000),
} as const;
const manifest = sampleManifest([blobs.config, blobs.outOfOrder]);

export const historyContent: ReadonlyMap<Digest, Uint8Array> = new Map(
  [...Object.values(blobs).flat(), manifest].map(({ digest, bytes }) => [digest, bytes]),
);

/** So much fits that the old content has to leave for the last. */
export const historyMaxBytes = 255_000;

interface Sample {
  readonly digest: Digest;
  readonly bytes: Uint8Array;
}

/** A life of a store, in two processes: everything that changes its files, some of it at once. */
export class StoreHistory {
  readonly #clock: VirtualClock;
  readonly #ledger: PromiseLedger;
  #store: FsStore;

  private constructor(store: FsStore, clock: VirtualClock, ledger: PromiseLedger) {
    this.#store = store;
    this.#clock = clock;
    this.#ledger = ledger;
  }

  static async live(open: () => Promise<FsStore>, clock: VirtualClock, ledger: PromiseLedger): Promise<void> {
    const history = new StoreHistory(await open(), clock, ledger);
    await history.#begin();
    await history.#store[Symbol.asyncDispose]();
    for (const { digest } of [blobs.left, blobs.resumedLater]) ledger.note({ what: 'safe', digest });
    history.#store = await open();
    await history.#goOn();
    await history.#store[Symbol.asyncDispose]();
  }

  async #begin(): Promise<void> {
    const { catalog } = this.#store;
    for (const old of blobs.old) await this.#put(old);
    this.#clock.advance(60_000);
    await Promise.all([this.#put(blobs.small), this.#put(blobs.config), this.#put(manifest)]);
    catalog.addManifest(manifest);
    const scope = sampleScope('library/app');
    catalog.link(scope, [{ digest: manifest.digest, sizeBytes: manifest.sizeBytes, mediaType: manifest.mediaType }]);
    catalog.setTag(scope, 'v1', 'any', { digest: manifest.digest, checkedAtMs: this.#clock.now() });
    this.#clock.advance(2000);
    await this.#fillOutOfOrder(blobs.outOfOrder);
    await this.#leave(blobs.resumed, 13_000);
    await this.#finish(blobs.resumed);
    await this.#discardAndFillAgain(blobs.begunAnew);
    await this.#replaceDamaged(blobs.damaged);
    await Promise.all([this.#leave(blobs.resumedLater, 17_000), this.#leave(blobs.left, 11_000)]);
  }

  async #goOn(): Promise<void> {
    const { content, catalog } = this.#store;
    await this.#store.settled;
    await this.#finish(blobs.resumedLater);
    catalog.removeTag(sampleScope('library/app'), 'v1', 'any');
    this.#clock.advance(2000);
    // Everything that is used no more may leave; what is not old is used now.
    const young = [...historyContent.keys()].filter((digest) => !blobs.old.some((old) => old.digest === digest));
    for (const digest of young) (await content.open(digest))?.close();
    for (const { digest } of [...blobs.old, blobs.left]) this.#ledger.note({ what: 'free', digest });
    await content.makeRoom(70_000);
    await Promise.all(blobs.together.map((blob) => (blob.bytes.length > 10_000 ? this.#fill(blob) : this.#put(blob))));
    await this.#leave(blobs.left, 6000);
  }

  async #put({ digest, bytes }: Sample): Promise<void> {
    await this.#store.content.put(digest, bytes);
    this.#ledger.note({ what: 'kept', digest });
  }

  async #fill(blob: Sample): Promise<void> {
    await this.#leave(blob, blob.bytes.byteLength);
    await this.#finish(blob);
  }

  /** Writes in order up to `end`, as one transfer does, and ends there. */
  async #leave({ digest, bytes }: Sample, end: number): Promise<void> {
    const partial = await this.#store.content.openPartial(digest);
    const start = partial.resumed.filled[0]?.end ?? 0;
    await partial.record([...partial.resumed.filled, { start, end: start }], bytes.byteLength);
    for (let offset = start; offset < end; offset += pieceBytes) {
      const piece = bytes.subarray(offset, Math.min(end, offset + pieceBytes));
      await partial.write(piece, offset);
      this.#ledger.note({ what: 'filled', digest, interval: { start: offset, end: offset + piece.byteLength } });
    }
    await partial.record([{ start: 0, end: Math.max(start, end) }], bytes.byteLength);
    await partial.close();
  }

  /** Goes on where an earlier fill ended. */
  async #finish({ digest, bytes }: Sample): Promise<void> {
    const partial = await this.#store.content.openPartial(digest);
    const start = partial.resumed.filled[0]?.end ?? 0;
    await partial.write(bytes.subarray(start), start);
    await this.#commit(partial, bytes.byteLength);
  }

  /** Two transfers take turns, the second one from the middle, and what came too much is cut. */
  async #fillOutOfOrder({ digest, bytes }: Sample): Promise<void> {
    const partial = await this.#store.content.openPartial(digest);
    const half = bytes.byteLength / 2;
    await partial.record([{ start: 0, end: 0 }], undefined);
    await partial.write(bytes.subarray(0, pieceBytes), 0);
    await partial.record(
      [
        { start: 0, end: pieceBytes },
        { start: half, end: half },
      ],
      bytes.byteLength,
    );
    this.#ledger.note({ what: 'filled', digest, interval: { start: 0, end: pieceBytes } });
    for (let offset = pieceBytes; offset < half; offset += pieceBytes) {
      await Promise.all(
        [offset, half + offset - pieceBytes].map((at) => partial.write(bytes.subarray(at, at + pieceBytes), at)),
      );
      this.#ledger.note({ what: 'filled', digest, interval: { start: half, end: half + offset } });
    }
    await partial.write(bytes.subarray(bytes.byteLength - pieceBytes), bytes.byteLength - pieceBytes);
    await partial.write(new Uint8Array(100), bytes.byteLength);
    await this.#commit(partial, bytes.byteLength);
  }

  async #commit(partial: PartialBlob, sizeBytes: number): Promise<void> {
    const { digest } = partial;
    // From here on it is in one of two places.
    this.#ledger.note({ what: 'free', digest });
    await partial.commit(sizeBytes);
    this.#ledger.note({ what: 'kept', digest });
    await partial.close();
  }

  /** The first body turns out to be wrong. */
  async #discardAndFillAgain(blob: Sample): Promise<void> {
    const { digest, bytes } = blob;
    const partial = await this.#store.content.openPartial(digest);
    this.#ledger.note({ what: 'wrong', digest });
    await this.#writeAndRecord(partial, new Uint8Array(bytes.byteLength).fill(1));
    await partial.discard();
    this.#ledger.note({ what: 'free', digest });
    await partial.close();
    await this.#fill(blob);
  }

  /** Content turns out to be damaged, and is fetched again. */
  async #replaceDamaged(blob: Sample): Promise<void> {
    const { digest, bytes } = blob;
    const partial = await this.#store.content.openPartial(digest);
    await this.#writeAndRecord(partial, bytes);
    await this.#commit(partial, bytes.byteLength);
    this.#ledger.note({ what: 'free', digest });
    const kept = await this.#store.content.open(digest);
    if (kept !== undefined) await this.#store.content.condemn(digest, kept.fd, 'the test says so');
    kept?.close();
    await this.#fill(blob);
  }

  /** In order, with a record after each piece: time for syncs in between. */
  async #writeAndRecord(partial: PartialBlob, bytes: Uint8Array): Promise<void> {
    await partial.record([{ start: 0, end: 0 }], bytes.byteLength);
    for (let offset = 0; offset < bytes.byteLength; offset += pieceBytes) {
      await partial.write(bytes.subarray(offset, offset + pieceBytes), offset);
      await partial.record([{ start: 0, end: Math.min(bytes.byteLength, offset + pieceBytes) }], bytes.byteLength);
    }
  }
}
