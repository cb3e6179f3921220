import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { describe, it } from 'node:test';
import { VirtualClock } from '../core/testing/virtual-clock.ts';
import { BlockLayout } from './blocks/block-layout.ts';
import { BlockReads } from './blocks/block-reads.ts';
import { SharedBlocks } from './blocks/shared-blocks.ts';
import { BodyWriter } from './body-writer.ts';
import { BufferPool } from './buffer-pool.ts';
import { gatewayDefaults } from './server.ts';
import { SharedReads } from './shared-reads.ts';
import { TestContent } from './testing/test-content.ts';
import { TestGateway, until } from './testing/test-gateway.ts';
import { TestTarget } from './testing/test-target.ts';

const MiB = 1024 * 1024;
const bytes = Buffer.alloc(6 * MiB + 300_000);
for (let at = 0; at < bytes.length; at += 4) bytes.writeUInt32LE(at, at);

/** A thread's blocks and buffers, and one file. */
class Setup implements Disposable {
  readonly blocks: SharedBlocks;
  readonly reads: BlockReads;
  readonly pool = new BufferPool();
  readonly clock = new VirtualClock();
  readonly content: TestContent;

  constructor(options: { blocks?: number; filled?: number } = {}) {
    const { blocks = 16, ...content } = options;
    const layout = new BlockLayout({ blocks, blockBytes: MiB, threads: 1 });
    this.blocks = new SharedBlocks(layout.allocate(), 0, () => 0);
    this.reads = new BlockReads(this.blocks);
    this.content = new TestContent(bytes, content);
    this.content.fileId = 5;
  }

  open(part?: { start: number; end: number }): { target: TestTarget; run: Promise<void> } {
    const target = new TestTarget();
    const deps = { reads: new SharedReads(this.pool), blocks: this.reads, clock: this.clock };
    const writer = new BodyWriter(deps, target, this.content.body(part), bytes.length);
    const run = writer.run();
    run.catch(() => {});
    return { target, run };
  }

  /** Serves it to a client that takes all at once; returns what it was sent, block by block. */
  async serve(part?: { start: number; end: number }): Promise<Buffer[]> {
    const answer = this.open(part);
    await answer.target.takeUntil(answer.run);
    const sent = Buffer.concat(answer.target.blocks);
    assert.ok(sent.equals(bytes.subarray(part?.start ?? 0, part?.end)), 'other bytes');
    return answer.target.blocks;
  }

  [Symbol.dispose](): void {
    assert.deepEqual([this.pool.lent, this.reads.inUse, this.blocks.counts().pinnedBytes], [0, 0, 0]);
    assert.ok(this.content.closes.every((closes) => closes === 1));
    this.content[Symbol.dispose]();
  }
}

const gone = new Error('gone');
const lengthsOf = (blocks: readonly Buffer[]) => blocks.map(({ length }) => length);

describe('a body that is sent from shared blocks', () => {
  it('is written in whole blocks once its client has shown that it is quick', async () => {
    using setup = new Setup();
    const lengths = lengthsOf(await setup.serve());
    assert.deepEqual(lengths, [...Array(16).fill(256 * 1024), MiB, MiB, 300_000]);
    assert.equal(setup.blocks.counts().usedBytes, 7 * MiB);
    assert.equal(setup.pool.keptBytes, 0, 'nothing went through a buffer');
  });

  it('is read once for all who follow', async () => {
    using setup = new Setup();
    await Promise.all([setup.serve(), setup.serve(), setup.serve()]);
    const { misses } = setup.blocks.counts();
    assert.equal(misses, 7);
    // The file is not looked at any more.
    setup.content.truncate(0);
    await setup.serve({ start: 3, end: 5 });
    await setup.serve({ start: MiB - 1, end: 3 * MiB + 1 });
    await setup.serve({ start: 6 * MiB + 9, end: bytes.length });
    assert.equal(setup.blocks.counts().misses, 7);
  });

  it('takes a block for a part of it only where all of the block is there', async () => {
    using setup = new Setup({ filled: 2 * MiB });
    await setup.serve({ start: MiB - 100, end: MiB + 100 });
    assert.equal(setup.blocks.counts().usedBytes, MiB, 'of the first it is known');
    await setup.serve({ start: MiB - 100, end: 2 * MiB });
    assert.equal(setup.blocks.counts().usedBytes, 2 * MiB, 'of the second it is');
    setup.content.finish();
    setup.content.isFile = true;
    await setup.serve({ start: MiB - 100, end: MiB + 100 });
    await setup.serve({ start: bytes.length - 10, end: bytes.length });
    assert.equal(setup.blocks.counts().usedBytes, 3 * MiB);
  });

  it('of a fill is in blocks as far as these are filled', async () => {
    using setup = new Setup({ filled: MiB + 1000 });
    const { target, run } = setup.open();
    const all = target.takeUntil(run);
    await until(() => setup.content.waiting === 1);
    assert.equal(setup.blocks.counts().usedBytes, MiB);
    setup.content.grow(MiB);
    await until(() => setup.content.waiting === 1);
    setup.content.finish();
    await all;
    assert.ok(Buffer.concat(target.blocks).equals(bytes));
  });

  it('goes on from buffers of its own where there is no block to be had', async () => {
    using setup = new Setup({ blocks: 1 });
    const stalled = setup.open();
    await until(() => stalled.target.holding);
    assert.equal(setup.reads.inUse, 1);
    await setup.serve();
    assert.equal(setup.blocks.counts().pinnedBytes, MiB);
    stalled.target.controller.abort(gone);
    await assert.rejects(stalled.run, gone);
    stalled.target.take(gone);
  });

  it('of a slow client is sent in small buffers, and refers to no block', async () => {
    using setup = new Setup();
    await setup.serve();
    const { target, run } = setup.open();
    await until(() => target.holding);
    setup.clock.advance(1000);
    target.take();
    for (let block = 0; block < 20; block++) {
      await until(() => target.holding);
      assert.deepEqual([target.blocks.at(-1)?.length, setup.reads.inUse], [32 * 1024, 0]);
      target.take();
    }
    target.controller.abort(gone);
    await assert.rejects(target.takeUntil(run), gone);
  });

  it('keeps its block while the socket refers to it, however long that is after its end', async () => {
    using setup = new Setup({ blocks: 1 });
    const { target, run } = setup.open();
    await until(() => target.holding);
    target.controller.abort(gone);
    await assert.rejects(run, gone);
    assert.deepEqual([setup.content.closes, setup.reads.inUse], [[1], 1]);
    await setup.serve({ start: 3 * MiB, end: 5 * MiB });
    assert.ok(target.handed?.equals(bytes.subarray(0, target.handed.length)), 'it was overwritten');
    target.take();
    assert.equal(setup.reads.inUse, 0);
  });

  it('lets go of a block that comes after its client has left, and of the file only then', async () => {
    using setup = new Setup();
    const [leaving, staying] = [setup.open(), setup.open()];
    leaving.target.controller.abort(gone);
    assert.deepEqual(setup.content.closes, [0, 0]);
    await assert.rejects(leaving.run, gone);
    assert.deepEqual(setup.content.closes, [1, 0]);
    await staying.target.takeUntil(staying.run);
    assert.ok(Buffer.concat(staying.target.blocks).equals(bytes));
  });

  it('says that it cannot be read where the block cannot', async () => {
    using setup = new Setup();
    setup.content.truncate(MiB + 500_000);
    const { target, run } = setup.open();
    await assert.rejects(target.takeUntil(run), { code: 'STORAGE_FAILED' });
    assert.ok(Buffer.concat(target.blocks).equals(bytes.subarray(0, MiB + 500_000)));
    assert.equal(setup.blocks.counts().usedBytes, MiB);
  });
});

describe('a socket', () => {
  it('is sent nothing of a block once that was let go, whoever breaks off and when', async () => {
    // One block, which the next answer overwrites as soon as it may.
    const layout = new BlockLayout({ blocks: 1, blockBytes: MiB, threads: 1 });
    const blocks = new SharedBlocks(layout.allocate(), 0, Math.random);
    {
      await using gateway = await TestGateway.start({}, { blocks });
      // More than the kernels take.
      const large = Buffer.concat(Array(8).fill(bytes));
      const content = gateway.content(large);
      content.fileId = 1;
      content.isFile = true;
      const path = `/v2/library/a/blobs/${content.digest}`;
      for (let round = 0; round < 12; round++) {
        const { socket, body } = await stalledClient(gateway.port, path, blocks);
        if (round % 3 === 0) socket.resetAndDestroy();
        else gateway.clock.advance(gatewayDefaults.clientTimeoutMs);
        if (round % 3 === 2) await until(() => blocks.counts().pinnedBytes === 0);
        scribble(blocks);
        const received = await body();
        assert.ok(received.length < large.length);
        assert.ok(received.equals(large.subarray(0, received.length)), 'bytes of another time');
        await until(() => blocks.counts().pinnedBytes === 0);
      }
    }
    assert.equal(blocks.counts().pinnedBytes, 0);
  });
});

/** Overwrites the only block, if nobody refers to it. */
function scribble(blocks: SharedBlocks): void {
  const slot = blocks.claim(77, 0);
  if (slot < 0) return;
  blocks.block(slot).fill('x');
  blocks.abandon(slot);
}

/** Asks, reads until the server has something in hand that the socket does not take, and reads the rest when it is told. */
async function stalledClient(port: number, path: string, blocks: SharedBlocks) {
  const socket = connect(port, '127.0.0.1');
  const chunks: Buffer[] = [];
  socket.on('error', () => {});
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  socket.write(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`);
  await until(() => chunks.length > 0);
  socket.pause();
  const asked = () => blocks.counts().hits + blocks.counts().misses;
  let [before, quietTurns] = [-1, 0];
  await until(() => {
    quietTurns = asked() === before && blocks.counts().pinnedBytes > 0 ? quietTurns + 1 : 0;
    before = asked();
    return quietTurns === 200;
  });
  const body = async () => {
    if (!socket.destroyed) {
      socket.resume();
      await new Promise((resolve) => socket.once('close', resolve));
    }
    const all = Buffer.concat(chunks);
    return all.subarray(all.indexOf('\r\n\r\n') + 4);
  };
  return { socket, body };
}
