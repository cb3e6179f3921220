import { read } from 'node:fs';
import { type FileHandle, open, rename, rm, stat } from 'node:fs/promises';
import { AppError } from '../../core/errors.ts';

/** What writing whole buffers needs of a file. */
export interface PositionalWriter {
  write(bytes: Uint8Array, offset: number, length: number, position: number): Promise<{ bytesWritten: number }>;
}

/** Writes all of `bytes` at `position`: a write may be short (write(2)), notably just before the disk is full. */
export async function writeFully(file: PositionalWriter, bytes: Uint8Array, position: number): Promise<void> {
  let done = 0;
  while (done < bytes.byteLength) {
    const { bytesWritten } = await file.write(bytes, done, bytes.byteLength - done, position + done);
    if (bytesWritten === 0) throw new AppError('STORAGE_FAILED', 'the disk took no more bytes');
    done += bytesWritten;
  }
}

/** Reads into `buffer` from `position` until it is full or the file ends; returns the bytes read. */
export async function readFully(fd: number, buffer: Uint8Array, position: number): Promise<number> {
  let done = 0;
  while (done < buffer.byteLength) {
    const bytesRead = await readOnce(fd, buffer, done, position + done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return done;
}

function readOnce(fd: number, buffer: Uint8Array, offset: number, position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    read(fd, buffer, offset, buffer.byteLength - offset, position, (error, bytesRead) =>
      error === null ? resolve(bytesRead) : reject(error),
    );
  });
}

/** Makes the names in a folder (a rename into it, above all) survive a crash of the machine. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/**
 * Puts a file in place whole or not at all: `write` fills `draft`, which then takes the name `path`. `durable` also
 * syncs the bytes before the rename, so that a crash of the machine leaves the old file or the new one.
 */
export async function replaceFile(
  draft: string,
  path: string,
  write: (file: FileHandle) => Promise<void>,
  durable: boolean,
): Promise<void> {
  try {
    const file = await open(draft, 'w');
    try {
      await write(file);
      if (durable) await file.sync();
    } finally {
      await file.close();
    }
    await rename(draft, path);
  } catch (error) {
    await rm(draft, { force: true }).catch(() => {});
    throw error;
  }
}

export async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}
