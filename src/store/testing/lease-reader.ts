import { readSync } from 'node:fs';
import { type MessagePort, parentPort, receiveMessageOnPort } from 'node:worker_threads';
import { SharedUse } from '../../core/shared-use.ts';

/** A lease on content that consists of one number, again and again. */
export interface LentNumbers {
  readonly fd: number;
  readonly number: number;
  readonly sizeBytes: number;
  readonly words: SharedArrayBuffer;
  readonly index: number;
}

export type ReaderOrder =
  | { readonly kind: 'lent'; readonly lease: LentNumbers }
  /** Enters the last lease, says so, and never leaves. */
  | { readonly kind: 'stay' };

/** Words of `counts`: how often it was let in, how often not, how often it read what it should not have, whether to end. */
export const [letIn, refused, misled, over] = [0, 1, 2, 3];

const remembered = 64;

/**
 * A gateway's thread without a gateway: reads all that it was ever lent (the last of it), whether that still stands or not,
 * as fast as it can, and looks whether it is what was lent.
 */
export function readLent(port: MessagePort, counts: Int32Array): void {
  const leases: (LentNumbers & { readonly use: SharedUse })[] = [];
  const block = new Int32Array(256);
  while (Atomics.load(counts, over) === 0) {
    const order = (receiveMessageOnPort(port)?.message ?? undefined) as ReaderOrder | undefined;
    if (order?.kind === 'lent') {
      const { words, index } = order.lease;
      leases.push({ ...order.lease, use: new SharedUse(new Int32Array(words), index) });
      if (leases.length > remembered) leases.shift();
    }
    if (order?.kind === 'stay') {
      leases.at(-1)?.use.enter();
      port.postMessage('in');
      Atomics.wait(counts, over, 0);
    }
    if (leases.length === 0) Atomics.wait(counts, over, 0, 1);
    for (const { fd, number, sizeBytes, use } of leases) {
      if (!use.enter()) {
        Atomics.add(counts, refused, 1);
        continue;
      }
      Atomics.add(counts, letIn, 1);
      const position = block.byteLength * Math.floor((Math.random() * sizeBytes) / block.byteLength);
      const words = readSync(fd, block, 0, block.byteLength, position) / Int32Array.BYTES_PER_ELEMENT;
      if (words === 0 || block.subarray(0, words).some((word) => word !== number)) Atomics.add(counts, misled, 1);
      use.leave();
    }
  }
}

parentPort?.once('message', ({ counts }: { counts: Int32Array }) => {
  if (parentPort !== null) readLent(parentPort, counts);
});
