import { parentPort, workerData } from 'node:worker_threads';
import { noBlock, SharedBlocks } from '../shared-blocks.ts';
import { contentOf, keysOf, randomOf } from './block-keys.ts';

/**
 * One of several threads that use shared blocks at random, each checking that what it has pinned is what it asked for and
 * stays so. It works in turns, and tells after each how it went, so that it hears when it is to stop.
 */
const { shared, thread, seed } = workerData as { shared: SharedArrayBuffer; thread: number; seed: number };
const random = randomOf(seed);
const blocks = new SharedBlocks(shared, thread, random);
const wordsOf = (slot: number) => {
  const { buffer, byteOffset, length } = blocks.block(slot);
  return new Int32Array(buffer, byteOffset, length / 4);
};
const held: { slot: number; value: number }[] = [];
const told = { hits: 0, fills: 0, wrong: 0 };

function check({ slot, value }: { slot: number; value: number }): void {
  if (!wordsOf(slot).every((word) => word === value)) told.wrong++;
}

function useOne(): void {
  const [fileId, number] = keysOf(random);
  const value = contentOf(fileId, number);
  const slot = blocks.pin(fileId, number);
  if (slot !== noBlock) {
    told.hits++;
    check({ slot, value });
    held.push({ slot, value });
  } else {
    const mine = blocks.claim(fileId, number);
    if (mine === noBlock) return;
    wordsOf(mine).fill(value);
    if (random() < 0.1) return blocks.abandon(mine);
    blocks.publish(mine, value % 4096);
    told.fills++;
    held.push({ slot: mine, value });
  }
  while (held.length > 3) {
    const [oldest] = held.splice(Math.floor(random() * held.length), 1);
    if (oldest === undefined) return;
    check(oldest);
    blocks.unpin(oldest.slot);
  }
}

function turn(): void {
  for (let use = 0; use < 300; use++) useOne();
  parentPort?.postMessage({ ...told });
  if (stopping) return parentPort?.close();
  setImmediate(turn);
}

let stopping = false;
parentPort?.on('message', () => {
  stopping = true;
});
turn();
