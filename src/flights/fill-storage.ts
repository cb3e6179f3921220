import { type BytePieces, piecesOf } from '../core/byte-pieces.ts';
import type { Interval } from '../core/byte-range.ts';
import type { Digest } from '../core/digest.ts';
import { AppError } from '../core/errors.ts';
import type { ContentStore, PartialBlob, StoredBlob } from '../store/content-store.ts';

/** Where readers find the bytes of a fill. */
export type StorageView =
  | { readonly kind: 'file'; readonly fd: number; readonly fileId?: number }
  | { readonly kind: 'memory'; readonly bytes: Uint8Array };

/** Where a fill puts its bytes. `PartialBlob` says what each call promises. */
export interface FillStorage {
  readonly view: StorageView;
  readonly resumed: PartialBlob['resumed'];
  write(bytes: BytePieces, offset: number): Promise<void>;
  record(filled: readonly Interval[], sizeBytes: number | undefined): Promise<void>;
  commit(sizeBytes: number): Promise<void>;
  discard(): Promise<void>;
  hold(): () => void;
  close(): Promise<void>;
}

/** The usual case: a sparse file that survives the process. */
export function partialFill(partial: PartialBlob): FillStorage {
  return {
    view: { kind: 'file', fd: partial.fd, fileId: partial.fileId },
    resumed: partial.resumed,
    write: (bytes, offset) => partial.write(bytes, offset),
    record: (filled, sizeBytes) => partial.record(filled, sizeBytes),
    commit: (sizeBytes) => partial.commit(sizeBytes),
    discard: () => partial.discard(),
    hold: () => partial.hold(),
    close: () => partial.close(),
  };
}

/**
 * A small blob: it stays in memory until it is complete, and is not worth a partial file. `letGo` is called once nobody
 * reads it there any more.
 */
export function memoryFill(store: ContentStore, digest: Digest, sizeBytes: number, letGo = () => {}): FillStorage {
  const use = new Use(letGo);
  // Shared, so that gateways in other threads read it where it is.
  const memory = Buffer.from(new SharedArrayBuffer(sizeBytes));
  return {
    view: { kind: 'memory', bytes: memory },
    resumed: { filled: [], sizeBytes: undefined },
    async write(bytes, offset) {
      let at = offset;
      for (const piece of piecesOf(bytes)) {
        memory.set(piece, at);
        at += piece.length;
      }
    },
    async record() {},
    commit: () => store.put(digest, memory),
    async discard() {},
    hold: () => use.hold(),
    close: async () => use.close(),
  };
}

/** Content that turned out to be in the store already: another fill of it ended between two looks. */
export function committedFill(blob: StoredBlob): FillStorage {
  const refuse = async (): Promise<never> => {
    throw new AppError('INTERNAL', 'committed content is not written to');
  };
  const use = new Use(() => blob.close());
  return {
    view: blob.view,
    resumed: { filled: [{ start: 0, end: blob.sizeBytes }], sizeBytes: blob.sizeBytes },
    write: refuse,
    async record() {},
    commit: refuse,
    discard: refuse,
    hold: () => use.hold(),
    close: async () => use.close(),
  };
}

/** Lets go of something once it is closed and nobody holds it. */
class Use {
  readonly #letGo: () => void;
  #holds = 0;
  #closed = false;

  constructor(letGo: () => void) {
    this.#letGo = letGo;
  }

  hold(): () => void {
    this.#holds++;
    return () => {
      this.#holds--;
      this.#letGoIfUnused();
    };
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#letGoIfUnused();
  }

  #letGoIfUnused(): void {
    if (this.#closed && this.#holds === 0) this.#letGo();
  }
}
