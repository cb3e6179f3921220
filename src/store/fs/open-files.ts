import { type FileHandle, open } from 'node:fs/promises';
import type { Digest } from '../../core/digest.ts';
import type { FileView } from '../content-store.ts';
import { type FileIdentity, identityOf } from './file-identity.ts';
import { isMissing } from './storage-error.ts';

/** One holder's use of an open file. */
export interface HeldFile {
  readonly digest: Digest;
  readonly sizeBytes: number;
  /** Valid until `close`. */
  readonly fd: number;
  /** The same object for all who hold the same open file. */
  readonly view: FileView;
  /** The file as it was when it was opened. */
  readonly identity: FileIdentity;
  /** The file as it is now. */
  identify(): Promise<FileIdentity>;
  /** Another hold of it, for as long as this one lasts at least. */
  again(): HeldFile;
  /** Idempotent. */
  close(): void;
}

interface OpenFile {
  readonly handle: FileHandle;
  readonly view: FileView;
  readonly sizeBytes: number;
  readonly identity: FileIdentity;
  holders: number;
}

/**
 * The descriptors of committed content being read: one per digest, shared by its readers and counted.
 *
 * Invariants: a file is listed from when it was found sound and as long as it has holders, unless it was forgotten; its
 * descriptor is closed when the last holder leaves, listed or not. Only a listed file is shared. `open` runs in the digest's
 * turn (`DigestQueue`), so two descriptors of one digest arise only around a `forget`.
 */
export class OpenFiles implements AsyncDisposable {
  readonly #files = new Map<Digest, OpenFile>();
  /** Being looked at before anybody reads them. */
  readonly #opening = new Set<Digest>();
  readonly #closing = new Set<Promise<void>>();

  isOpen(digest: Digest): boolean {
    return this.#files.has(digest) || this.#opening.has(digest);
  }

  /** What is open now, with its size. */
  *entries(): Generator<{ readonly digest: Digest; readonly sizeBytes: number }> {
    for (const [digest, { sizeBytes }] of this.#files) yield { digest, sizeBytes };
  }

  /** Whether the next reader of the digest would get this file. */
  isListed({ digest, view }: HeldFile): boolean {
    return this.#files.get(digest)?.view === view;
  }

  /** Another holder of a file that is open already. */
  share(digest: Digest): HeldFile | undefined {
    const file = this.#files.get(digest);
    return file === undefined ? undefined : this.#hold(digest, file);
  }

  /**
   * Opens the file for its first holder; undefined where there is none, or none that `isSound`: before that has been said
   * nobody shares it. Rejects with the system's error.
   */
  async open(
    digest: Digest,
    path: string,
    isSound: (file: HeldFile) => boolean | Promise<boolean>,
  ): Promise<HeldFile | undefined> {
    let handle: FileHandle;
    try {
      handle = await open(path, 'r');
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
    this.#opening.add(digest);
    try {
      const status = await handle.stat({ bigint: true });
      const view = { kind: 'file', fd: handle.fd } as const;
      const file = { handle, view, sizeBytes: Number(status.size), identity: identityOf(status), holders: 0 };
      const held = this.#hold(digest, file);
      const verdict = isSound(held);
      if (verdict === true || (await verdict)) {
        this.#files.set(digest, file);
        return held;
      }
    } catch (error) {
      await handle.close();
      throw error;
    } finally {
      this.#opening.delete(digest);
    }
    await handle.close();
    return undefined;
  }

  /** Lets those who read it finish, but shares it with nobody else: the content is bad, or another file has its place. */
  forget(digest: Digest): void {
    this.#files.delete(digest);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const [digest, file] of this.#files) this.#close(digest, file);
    await Promise.all(this.#closing);
  }

  #hold(digest: Digest, file: OpenFile): HeldFile {
    file.holders++;
    let isClosed = false;
    return {
      digest,
      sizeBytes: file.sizeBytes,
      fd: file.view.fd,
      view: file.view,
      identity: file.identity,
      identify: async () => identityOf(await file.handle.stat({ bigint: true })),
      again: () => this.#hold(digest, file),
      close: () => {
        if (isClosed) return;
        isClosed = true;
        if (--file.holders === 0) this.#close(digest, file);
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
