import { createHash, type Hash } from 'node:crypto';
import { readSync } from 'node:fs';
import { parentPort } from 'node:worker_threads';
import type { HashOrder, HashReport } from './hash-messages.ts';

/**
 * A hash thread: reads files by the descriptors that the depot has open, and hashes them. A step is worked off in one go, so
 * the steps of several hashes take turns in the order in which they came; a file is read in a step only.
 */

/** What fits the core's own cache: bytes are hashed from where the read put them. */
const block = Buffer.allocUnsafeSlow(256 * 1024);
const hashes = new Map<number, { readonly hash: Hash; at: number }>();

parentPort?.on('message', (order: HashOrder) => {
  if (order.kind === 'forget') return void hashes.delete(order.hash);
  const report = step(order);
  if (report.kind !== 'hashed' || order.isEnd) hashes.delete(order.hash);
  parentPort?.postMessage(report);
});

function step({ hash: id, algorithm, fd, to, isEnd }: HashOrder & { kind: 'step' }): HashReport {
  let running = hashes.get(id);
  if (running === undefined) {
    running = { hash: createHash(algorithm), at: 0 };
    hashes.set(id, running);
  }
  try {
    while (running.at < to) {
      const bytes = readSync(fd, block, 0, Math.min(block.length, to - running.at), running.at);
      if (bytes === 0) return { kind: 'short', hash: id };
      running.hash.update(bytes === block.length ? block : block.subarray(0, bytes));
      running.at += bytes;
    }
  } catch (error) {
    const { message, code } = error as NodeJS.ErrnoException;
    return { kind: 'unreadable', hash: id, message, code };
  }
  return { kind: 'hashed', hash: id, hex: isEnd ? running.hash.digest('hex') : undefined };
}
