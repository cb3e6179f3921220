import { open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Child, run } from '../support/child.ts';
import { TemporaryDirectory } from '../support/loopback.ts';

/**
 * A disk of its own for the data directory, which can be filled. It exists in a mount namespace that a child holds open, so
 * that it goes with the child, whatever becomes of us; onepull is started inside by `wrapper`.
 */
export class SmallDisk implements AsyncDisposable {
  /** Where it is for who runs inside. */
  readonly path: string;
  readonly #folder: TemporaryDirectory;
  readonly #holder: Child;

  private constructor(folder: TemporaryDirectory, holder: Child) {
    this.#folder = folder;
    this.#holder = holder;
    this.path = folder.path;
  }

  /** False, or why there cannot be one. */
  static async cannot(): Promise<string | false> {
    const tried = await run('unshare', ['-m', 'true']).catch(() => undefined);
    return tried?.code === 0 ? false : 'needs root, to mount a disk of its own (unshare -m)';
  }

  static async make(sizeBytes: number): Promise<SmallDisk> {
    const folder = await TemporaryDirectory.make();
    const script = 'mount -t tmpfs -o "size=$2" tmpfs "$1" && echo mounted && exec sleep infinity';
    const holder = new Child('unshare', ['-m', 'sh', '-c', script, 'sh', folder.path, String(sizeBytes)]);
    await holder.line((line) => line === 'mounted');
    return new SmallDisk(folder, holder);
  }

  /** What a command has to start with to see it. */
  get wrapper(): readonly string[] {
    return ['nsenter', `--mount=/proc/${this.#holder.pid}/ns/mnt`];
  }

  /** Where it is for us. */
  get outside(): string {
    return `/proc/${this.#holder.pid}/root${this.path}`;
  }

  /** Takes all the room that there is, besides what it has. Resolves once there is none. */
  async fill(): Promise<void> {
    const ballast = await open(this.#ballast, 'a');
    try {
      for (let bytes = 2 ** 20; bytes >= 4096; bytes /= 2) {
        const piece = Buffer.alloc(bytes);
        while (await wrote(() => ballast.write(piece))) {}
      }
    } finally {
      await ballast.close();
    }
  }

  async empty(): Promise<void> {
    await rm(this.#ballast, { force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#holder[Symbol.asyncDispose]();
    await this.#folder[Symbol.asyncDispose]();
  }

  get #ballast(): string {
    return join(this.outside, 'ballast');
  }
}

async function wrote(write: () => Promise<unknown>): Promise<boolean> {
  try {
    await write();
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOSPC') return false;
    throw error;
  }
}
