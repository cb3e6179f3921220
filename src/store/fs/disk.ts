/**
 * What the store changes on disk, as far as a crash may cut it off. A test takes its place to see what every cut leaves
 * behind; reading needs no place here. Calls reject with the system's errors.
 *
 * What POSIX promises, and all that is relied on: written bytes, and a file's length, are there after a crash of the machine
 * once `DiskFile.sync` resolved; a name (created, renamed, removed) once `syncFolder` of its folder did. Before that any
 * part of it may be there, in any order.
 */
export interface Disk {
  /** Names the present start of the machine: under another name, what was not synced may be lost. Undefined: nobody knows. */
  boot(): Promise<string | undefined>;
  /** Opens a file for reading and writing, created where it is missing. `empty`: without what it holds. */
  open(path: string, as: 'left' | 'empty'): Promise<DiskFile>;
  rename(from: string, to: string): Promise<void>;
  /** Removes a file. Nothing happens where there is none. */
  remove(path: string): Promise<void>;
  /** Creates one folder; rejects with EEXIST where there is one. */
  makeFolder(path: string, mode?: number): Promise<void>;
  syncFolder(path: string): Promise<void>;
}

/** A file open for reading and writing; a `FileHandle` is one. */
export interface DiskFile extends PositionalWriter {
  readonly fd: number;
  truncate(sizeBytes: number): Promise<void>;
  sync(): Promise<void>;
  stat(): Promise<{ readonly size: number }>;
  close(): Promise<void>;
}

/** What writing whole buffers needs of a file. */
export interface PositionalWriter {
  /** May take less than `length` (write(2)). */
  write(
    bytes: Uint8Array,
    offset: number,
    length: number,
    position: number,
  ): Promise<{ readonly bytesWritten: number }>;
  /** Several pieces that follow each other; may take less than all of them (pwritev(2)). */
  writev(pieces: Uint8Array[], position: number): Promise<{ readonly bytesWritten: number }>;
}
