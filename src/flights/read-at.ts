import { read } from 'node:fs';
import { AppError } from '../core/errors.ts';
import type { StorageView } from './fill-storage.ts';

/** Fills `into` with the bytes at `offset`. Rejects with STORAGE_FAILED where they cannot all be read. */
export function readAt(view: StorageView, into: Uint8Array, offset: number): Promise<void> {
  if (view.kind === 'memory') {
    into.set(view.bytes.subarray(offset, offset + into.length));
    return Promise.resolve();
  }
  return new Promise((resolve, reject) => {
    let done = 0;
    const step = () =>
      read(view.fd, into, done, into.length - done, offset + done, (error, bytesRead) => {
        if (error !== null) return reject(new AppError('STORAGE_FAILED', 'cannot read back a fill', { cause: error }));
        if (bytesRead === 0) return reject(new AppError('STORAGE_FAILED', 'a fill is shorter than recorded'));
        done += bytesRead;
        if (done === into.length) resolve();
        else step();
      });
    step();
  });
}
