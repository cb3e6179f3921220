import { type FileHandle, open } from 'node:fs/promises';
import type { Digest } from '../../core/digest.ts';
import type { StoredBlob } from '../content-store.ts';
import { isMissing } from './storage-error.ts';

interface OpenFile {
  readonly handle: FileHandle;
  readonly sizeBytes: number;
  readers: number;
}

/**
 * The descriptors of committed content being read: one per digest, shared by its readers and counted.
 *
 * Invariants: a file is listed while it has readers, unless it was forgotten; its descriptor is closed when the last
 * reader leaves, forgotten or not. Only a listed file is shared. `open` runs in the digest's turn (`DigestQueue`), so
 * two descriptors of one digest arise only around a `forget`.
 */
export class OpenFiles implements AsyncDisposable {
  readonly #files = new Map<Digest, OpenFile>();
  readonly #closing = new Set<Promise<void>>();

  isOpen(digest: Digest): boolean {
    return this.#files.has(digest);
  }

  /** Another reader of a file that is open already. */
  share(digest: Digest): StoredBlob | undefined {
    const file = this.#files.get(digest);
    return file === undefined ? undefined : this.#reader(digest, file);
  }

  /** Opens the file for its first reader; undefined where there is none. Rejects with the system's error. */
  async open(digest: Digest, path: string): Promise<StoredBlob | undefined> {
    let handle: FileHandle;
    try {
      handle = await open(path, 'r');
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
    try {
      const { size } = await handle.stat();
      const file = { handle, sizeBytes: size, readers: 0 };
      this.#files.set(digest, file);
      return this.#reader(digest, file);
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  /** Lets those who read it finish, but shares it with nobody else: the content turned out to be bad. */
  forget(digest: Digest): void {
    this.#files.delete(digest);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const [digest, file] of this.#files) this.#close(digest, file);
    await Promise.all(this.#closing);
  }

  #reader(digest: Digest, file: OpenFile): StoredBlob {
    file.readers++;
    let isClosed = false;
    return {
      digest,
      sizeBytes: file.sizeBytes,
      fd: file.handle.fd,
      proof: undefined,
      close: () => {
        if (isClosed) return;
        isClosed = true;
        if (--file.readers === 0) this.#close(digest, file);
      },
    };
  }

  #close(digest: Digest, file: OpenFile): void {
    if (this.#files.get(digest) === file) this.#files.delete(digest);
    const closing: Promise<void> = file.handle.close().then(
      () => void this.#closing.delete(closing),
      () => void this.#closing.delete(closing),
    );
    this.#closing.add(closing);
  }
}
