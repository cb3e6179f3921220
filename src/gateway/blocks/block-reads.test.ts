import assert from 'node:assert/strict';
import { closeSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { BlockLayout } from './block-layout.ts';
import { BlockReads, type PinnedBlock } from './block-reads.ts';
import { SharedBlocks } from './shared-blocks.ts';

const blockBytes = 256 * 1024;
const fileId = 9;
const content = Buffer.alloc(3 * blockBytes + 150_000);
for (let at = 0; at < content.length; at += 4) content.writeUInt32LE(at, at);

describe('reads of blocks', () => {
  const path = join(tmpdir(), `onepull-blocks-${process.pid}`);
  let fd = -1;

  before(() => {
    writeFileSync(path, content);
    fd = openSync(path, 'r');
  });

  after(() => {
    closeSync(fd);
    rmSync(path);
  });

  function threadsOf(threads: number, blocks: number): { blocks: SharedBlocks; reads: BlockReads }[] {
    const shared = new BlockLayout({ blocks, blockBytes, threads }).allocate();
    return Array.from({ length: threads }, (_, thread) => {
      const ofThread = new SharedBlocks(shared, thread, () => 0);
      return { blocks: ofThread, reads: new BlockReads(ofThread) };
    });
  }

  function read(
    reads: BlockReads,
    offset: number,
    isQuick = true,
    file = fd,
  ): Promise<PinnedBlock | 'no place' | 'failed'> {
    const start = offset - (offset % blockBytes);
    const bytes = Math.min(blockBytes, content.length - start);
    return new Promise((resolve) => {
      const done = (block: PinnedBlock | undefined) => resolve(block ?? 'failed');
      if (!reads.read(file, fileId, offset, bytes, isQuick, done)) resolve('no place');
    });
  }

  function blockOf(answer: PinnedBlock | string | undefined): PinnedBlock {
    assert.ok(typeof answer === 'object');
    return answer;
  }

  it('are had by all who want the block meanwhile, and found at once afterwards, by other threads too', async () => {
    const [one, other] = threadsOf(2, 8);
    assert.ok(one && other);
    const all = await Promise.all([read(one.reads, 300_000), read(one.reads, 400_000), read(one.reads, 262_144)]);
    assert.equal(new Set(all).size, 1);
    const block = blockOf(all[0]);
    assert.deepEqual([block.start, block.length, block.users, one.reads.inUse], [blockBytes, blockBytes, 3, 1]);
    assert.ok(content.subarray(300_000, 300_500).equals(block.from(300_000, 500)));
    assert.equal(block.from(500_000, 1e6).length, 2 * blockBytes - 500_000);
    const found = blockOf(other.reads.find(fileId, 500_000, true));
    assert.ok(content.subarray(500_000, 500_100).equals(found.from(500_000, 100)));
    found.release();
    for (let user = 0; user < 3; user++) block.release();
    assert.deepEqual([one.reads.inUse, other.reads.inUse, one.blocks.counts().pinnedBytes], [0, 0, 0]);
  });

  it('of the last block have what the file has', async () => {
    const [one] = threadsOf(1, 8);
    assert.ok(one);
    const block = blockOf(await read(one.reads, content.length - 10));
    assert.equal(block.length, 150_000);
    assert.ok(content.subarray(-10).equals(block.from(content.length - 10, 1e6)));
    block.release();
  });

  it('that fail or end early keep nothing, and tell all', async () => {
    const [one] = threadsOf(1, 8);
    assert.ok(one);
    const bad = 8000;
    assert.deepEqual(await Promise.all([read(one.reads, 0, true, bad), read(one.reads, 0, true, bad)]), [
      'failed',
      'failed',
    ]);
    const early = await new Promise((resolve) => one.reads.read(fd, fileId, content.length, blockBytes, true, resolve));
    assert.equal(early, undefined);
    assert.deepEqual(one.blocks.counts().usedBytes, 0);
    blockOf(await read(one.reads, 0)).release();
  });

  it('have no place where answers refer to each block, nor for what is hardly worth one', async () => {
    const [one] = threadsOf(1, 2);
    assert.ok(one);
    const blocks = await Promise.all([read(one.reads, 0), read(one.reads, blockBytes)]);
    assert.equal(await read(one.reads, 2 * blockBytes), 'no place');
    for (const block of blocks) blockOf(block).release();
    assert.equal(
      one.reads.read(fd, fileId, 2 * blockBytes, 1000, true, () => assert.fail()),
      false,
    );
    blockOf(await read(one.reads, 2 * blockBytes)).release();
  });

  it('leave most blocks to quick clients, whatever others hold on to', async () => {
    const [one] = threadsOf(1, 8);
    assert.ok(one);
    const held = [await read(one.reads, 0, false), await read(one.reads, blockBytes, false)];
    assert.equal(await read(one.reads, 2 * blockBytes, false), 'no place');
    const quick = blockOf(await read(one.reads, 2 * blockBytes));
    // One that is referred to anyway costs nothing more.
    const shared = blockOf(one.reads.find(fileId, 2 * blockBytes + 5, false));
    quick.release();
    shared.release();
    assert.equal(one.reads.find(fileId, 2 * blockBytes, false), undefined);
    assert.equal(one.blocks.counts().pinnedBytes, 2 * blockBytes);
    for (const block of held) blockOf(block).release();
    blockOf(one.reads.find(fileId, 2 * blockBytes, false)).release();
  });
});
