import { read } from 'node:fs';
import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type BytePieces, piecesLength, slicePieces } from '../../core/byte-pieces.ts';
import { AppError } from '../../core/errors.ts';
import type { Disk, PositionalWriter } from './disk.ts';

/** Writes all of `bytes` at `position`: a write may be short (write(2)), notably just before the disk is full. */
export async function writeFully(file: PositionalWriter, bytes: BytePieces, position: number): Promise<void> {
  if (bytes instanceof Uint8Array) return writePiece(file, bytes, position);
  const length = piecesLength(bytes);
  let done = 0;
  while (done < length) {
    const [first, ...others] = slicePieces(bytes, done, length);
    if (first === undefined) return;
    if (others.length === 0) return writePiece(file, first, position + done);
    const { bytesWritten } = await file.writev([first, ...others], position + done);
    if (bytesWritten === 0) throw new AppError('STORAGE_FAILED', 'the disk took no more bytes');
    done += bytesWritten;
  }
}

async function writePiece(file: PositionalWriter, bytes: Uint8Array, position: number): Promise<void> {
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

/** Appends to the file that is being written. */
export type Append = (piece: Uint8Array) => Promise<void>;

/**
 * Puts a file in place whole or not at all: `write` fills `draft`, which then takes the name `path`. `durable`: once this
 * resolves a crash of the machine leaves the new file, and before that the old one or the new one.
 */
export async function replaceFile(
  disk: Disk,
  draft: string,
  path: string,
  write: (append: Append) => Promise<void>,
  durable: boolean,
): Promise<void> {
  try {
    const file = await disk.open(draft, 'empty');
    try {
      let end = 0;
      await write(async (piece) => {
        await writeFully(file, piece, end);
        end += piece.byteLength;
      });
      if (durable) await file.sync();
    } finally {
      await file.close();
    }
    await disk.rename(draft, path);
  } catch (error) {
    await disk.remove(draft).catch(() => {});
    throw error;
  }
  if (durable) await disk.syncFolder(dirname(path));
}

export async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}
