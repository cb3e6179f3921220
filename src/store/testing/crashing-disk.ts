import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { basename } from 'node:path';
import type { Disk, DiskFile } from '../fs/disk.ts';
import { CrashModel, type CrashState, type DiskStep, type Survival } from './crash-model.ts';

/**
 * A real folder whose every change is noted, so that a test can look at what a crash after any of them leaves.
 *
 * Invariants: each operation happens, and is noted, in the tick in which it is called: operations have one order, and what
 * happened after the n-th is never part of a crash there. Nobody else changes the files under it, but for those in
 * `beside` (the catalog is SQLite's): of these a copy is taken at every step, between two transactions.
 */
export class CrashingDisk implements Disk {
  readonly #steps: DiskStep[] = [];
  readonly #beside: ReadonlyMap<string, Uint8Array>[] = [];
  readonly #besidePaths: readonly string[];
  readonly #files = new Map<string, number>();
  #lastFile = 0;

  constructor(options: { readonly beside: readonly string[] }) {
    this.#besidePaths = options.beside;
  }

  /** How many changes there were so far: after each of them the machine may die. */
  get steps(): number {
    return this.#steps.length;
  }

  /** What happened at a step, for people. */
  describe(step: number): string {
    const before = this.#steps[step - 1];
    if (before === undefined) return 'before anything';
    const { kind } = before;
    if (kind === 'names') return `${before.changes.map(({ path, to }) => `${basename(path)}=${to ?? 'gone'}`)}`;
    return `${kind} ${kind === 'sync folder' ? basename(before.path) : before.file}`;
  }

  /** What is on disk after a crash that came after `steps` steps. */
  crash(steps: number, survival: Survival): CrashState {
    const model = new CrashModel(this.#steps.slice(0, steps), this.#steps[steps]);
    return model.state(survival, this.#beside[steps] ?? this.#copyBeside());
  }

  async boot(): Promise<string> {
    return 'before the crash';
  }

  async open(path: string, as: 'left' | 'empty'): Promise<DiskFile> {
    const isNew = !existsSync(path);
    const { O_RDWR, O_CREAT, O_TRUNC } = constants;
    const fd = openSync(path, O_RDWR | O_CREAT | (as === 'empty' ? O_TRUNC : 0));
    const file = isNew ? ++this.#lastFile : this.#fileAt(path);
    if (isNew) {
      this.#files.set(path, file);
      this.#note({ kind: 'names', changes: [{ path, to: file }] });
    } else if (as === 'empty') {
      this.#note({ kind: 'truncate', file, sizeBytes: 0 });
    }
    return this.#openFile(fd, file);
  }

  async rename(from: string, to: string): Promise<void> {
    renameSync(from, to);
    const file = this.#fileAt(from);
    this.#files.delete(from);
    this.#files.set(to, file);
    this.#note({
      kind: 'names',
      changes: [
        { path: from, to: undefined },
        { path: to, to: file },
      ],
    });
  }

  async remove(path: string): Promise<void> {
    if (!existsSync(path)) return;
    rmSync(path);
    this.#files.delete(path);
    this.#note({ kind: 'names', changes: [{ path, to: undefined }] });
  }

  async makeFolder(path: string, mode?: number): Promise<void> {
    mkdirSync(path, { mode });
    this.#note({ kind: 'names', changes: [{ path, to: 'folder' }] });
  }

  async syncFolder(path: string): Promise<void> {
    if (!existsSync(path)) throw Object.assign(new Error(`ENOENT: no such folder, ${path}`), { code: 'ENOENT' });
    this.#note({ kind: 'sync folder', path });
  }

  #openFile(fd: number, file: number): DiskFile {
    return {
      fd,
      write: async (bytes, offset, length, position) => {
        const bytesWritten = writeSync(fd, bytes, offset, length, position);
        const written = bytes.slice(offset, offset + bytesWritten);
        this.#note({ kind: 'write', file, position, bytes: written });
        return { bytesWritten };
      },
      // A crash may leave any part of it: so the pieces are as good as writes of their own.
      writev: async (pieces, position) => {
        let bytesWritten = 0;
        for (const bytes of pieces) {
          writeSync(fd, bytes, 0, bytes.length, position + bytesWritten);
          this.#note({ kind: 'write', file, position: position + bytesWritten, bytes: bytes.slice() });
          bytesWritten += bytes.length;
        }
        return { bytesWritten };
      },
      truncate: async (sizeBytes) => {
        ftruncateSync(fd, sizeBytes);
        this.#note({ kind: 'truncate', file, sizeBytes });
      },
      sync: async () => {
        fsyncSync(fd);
        this.#note({ kind: 'sync', file });
      },
      stat: async () => fstatSync(fd),
      close: async () => closeSync(fd),
    };
  }

  #fileAt(path: string): number {
    const file = this.#files.get(path);
    if (file === undefined) throw new Error(`${path} was made behind the disk's back`);
    return file;
  }

  #note(step: DiskStep): void {
    // What a crash before this step leaves of them.
    this.#beside.push(this.#copyBeside());
    this.#steps.push(step);
  }

  #copyBeside(): ReadonlyMap<string, Uint8Array> {
    const there = this.#besidePaths.filter((path) => existsSync(path));
    return new Map(there.map((path) => [path, readFileSync(path)]));
  }
}
