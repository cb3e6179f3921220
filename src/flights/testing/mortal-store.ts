import { type BytePieces, piecesLength } from '../../core/byte-pieces.ts';
import type { Interval } from '../../core/byte-range.ts';
import type { Digest } from '../../core/digest.ts';
import { AppError } from '../../core/errors.ts';
import { IntervalSet } from '../../core/interval-set.ts';
import type { ContentStore, PartialBlob, Room, StoredBlob } from '../../store/content-store.ts';

/**
 * A store as one process sees it: after `kill` nothing that this process still tries has any effect, and what it held open
 * is let go, as the system does. Counts what is under way, so that a test can wait for quiet.
 */
export class MortalStore implements ContentStore {
  readonly #store: ContentStore;
  readonly #partials = new Set<PartialBlob>();
  #isDead = false;
  /** Operations that have not settled. */
  pending = 0;
  /** Fills open for writing. */
  get openPartials(): number {
    return this.#partials.size;
  }
  /** Committed content that is open for reading. */
  openBlobs = 0;
  /** Holds that were not released. */
  holds = 0;
  failWrites: AppError | undefined;
  /** Asked at every write, record, commit and put: whether it fails. */
  failsNow: (() => boolean) | undefined;
  failPuts: AppError | undefined;
  failReads: AppError | undefined;
  /** Bytes that were written although they had been written before, in the same fill. */
  writtenTwiceBytes = 0;
  /** Waited for before a write reaches the file, not counting as under way: a test chooses the order of writes. */
  beforeWrite: ((offset: number, bytes: number) => Promise<void>) | undefined;

  beforeCommit: (() => Promise<void>) | undefined;

  constructor(store: ContentStore) {
    this.#store = store;
  }

  async kill(): Promise<void> {
    this.#isDead = true;
    await Promise.all([...this.#partials].map((partial) => partial.close()));
  }

  sizeOf(digest: Digest): Promise<number | undefined> {
    return this.#count(() => this.#store.sizeOf(digest));
  }

  async open(digest: Digest): Promise<StoredBlob | undefined> {
    return this.#counted(await this.#count(() => this.#store.open(digest)));
  }

  leased(digest: Digest, fileId: number): StoredBlob | undefined {
    return this.#counted(this.#store.leased(digest, fileId));
  }

  #counted(blob: StoredBlob | undefined): StoredBlob | undefined {
    if (blob === undefined) return undefined;
    this.openBlobs++;
    return {
      ...blob,
      close: () => {
        this.openBlobs--;
        blob.close();
      },
    };
  }

  read(digest: Digest, maxBytes: number): Promise<Uint8Array | undefined> {
    return this.#count(async () => {
      if (this.failReads !== undefined) throw this.failReads;
      return this.#store.read(digest, maxBytes);
    });
  }

  look(digest: Digest, maxBytes: number): Promise<Uint8Array | undefined> {
    return this.#count(async () => {
      if (this.failReads !== undefined) throw this.failReads;
      return this.#store.look(digest, maxBytes);
    });
  }

  put(digest: Digest, bytes: Uint8Array): Promise<void> {
    return this.#count(async () => {
      this.#failPerhaps();
      if (this.failPuts !== undefined) throw this.failPuts;
      return this.#store.put(digest, bytes);
    });
  }

  makeRoom(sizeBytes: number, digest?: Digest): Promise<Room> {
    return this.#count(() => this.#store.makeRoom(sizeBytes, digest));
  }

  condemn(digest: Digest, fd: number, reason: string): Promise<void> {
    return this.#count(() => this.#store.condemn(digest, fd, reason));
  }

  partialBytes(digest: Digest): number {
    return this.#store.partialBytes(digest);
  }

  keep(digest: Digest, sizeBytes: number): () => void {
    return this.#store.keep(digest, sizeBytes);
  }

  gatewayEnded(gateway: number): void {
    this.#store.gatewayEnded(gateway);
  }

  async openPartial(digest: Digest): Promise<PartialBlob> {
    const partial = await this.#count(() => this.#store.openPartial(digest));
    this.#partials.add(partial);
    const written = new IntervalSet(partial.resumed.filled);
    return {
      digest,
      fd: partial.fd,
      fileId: partial.fileId,
      resumed: partial.resumed,
      write: (bytes, offset) =>
        this.#count(async () => {
          await this.#write(partial, bytes, offset);
          const length = piecesLength(bytes);
          this.writtenTwiceBytes += length - written.add(offset, offset + length);
        }),
      record: (filled: readonly Interval[], sizeBytes) =>
        this.#count(async () => {
          this.#failPerhaps();
          await partial.record(filled, sizeBytes);
        }),
      commit: async (sizeBytes) => {
        await this.beforeCommit?.();
        this.#failPerhaps();
        await this.#count(() => partial.commit(sizeBytes));
      },
      discard: () => this.#count(() => partial.discard()),
      hold: () => {
        const release = partial.hold();
        this.holds++;
        return () => {
          this.holds--;
          release();
        };
      },
      close: async () => {
        if (this.#isDead) return;
        this.#partials.delete(partial);
        await this.#count(() => partial.close());
      },
    };
  }

  #failPerhaps(): void {
    if (this.failsNow?.() === true) throw new AppError('STORAGE_FAILED', 'failed by the test');
  }

  async #write(partial: PartialBlob, bytes: BytePieces, offset: number): Promise<void> {
    this.#failPerhaps();
    if (this.failWrites !== undefined) throw this.failWrites;
    if (this.beforeWrite !== undefined) {
      this.pending--;
      await this.beforeWrite(offset, piecesLength(bytes)).finally(() => this.pending++);
    }
    await partial.write(bytes, offset);
  }

  async #count<T>(operation: () => Promise<T>): Promise<T> {
    if (this.#isDead) throw new AppError('STORAGE_FAILED', 'the process is dead');
    this.pending++;
    try {
      return await operation();
    } finally {
      this.pending--;
    }
  }
}

/** Resolves when the store does nothing, no file is being read, and every promise that could settle has. */
export async function untilQuiet(store: MortalStore): Promise<void> {
  for (let quietTurns = 0; quietTurns < 3; ) {
    await new Promise(setImmediate);
    const isReading = process.getActiveResourcesInfo().includes('FSReqCallback');
    quietTurns = store.pending === 0 && !isReading ? quietTurns + 1 : 0;
  }
}
