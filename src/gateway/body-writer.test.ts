import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { describe, it } from 'node:test';
import { VirtualClock } from '../core/testing/virtual-clock.ts';
import type { BlobBody } from '../pull/depot.ts';
import { BodyWriter } from './body-writer.ts';
import { BufferPool } from './buffer-pool.ts';
import { SharedReads } from './shared-reads.ts';
import { TestContent } from './testing/test-content.ts';
import { until } from './testing/test-gateway.ts';
import { TestTarget } from './testing/test-target.ts';

class Setup implements Disposable {
  readonly pool = new BufferPool();
  readonly clock = new VirtualClock();
  readonly target = new TestTarget();
  readonly content: TestContent;
  readonly writer: BodyWriter;
  readonly #body: BlobBody;

  constructor(bytes: Buffer | string, options: { filled?: number; sizeKnown?: boolean; end?: number } = {}) {
    this.content = new TestContent(Buffer.from(bytes), options);
    this.#body = this.content.body(options.end === undefined ? undefined : { start: 0, end: options.end });
    this.writer = new BodyWriter({ reads: new SharedReads(this.pool), clock: this.clock }, this.target, this.#body);
  }

  /** Takes every block until the writer is through. */
  async takeAll(): Promise<void> {
    let through = false;
    const run = this.writer.run().finally(() => {
      through = true;
    });
    run.catch(() => {});
    while (!through) {
      await new Promise((resolve) => setImmediate(resolve));
      this.target.take();
    }
    return run;
  }

  /** Nothing may be held by a writer that is through. */
  [Symbol.dispose](): void {
    assert.equal(this.pool.lent, 0, 'blocks lent');
    assert.deepEqual(this.content.closes, [1]);
    assert.equal(this.content.waiting, 0);
    assert.equal(getEventListeners(this.target.signal, 'abort').length, 0);
    assert.equal(this.clock.pending, 0);
    this.content[Symbol.dispose]();
  }
}

const gone = new Error('gone');

describe('BodyWriter', () => {
  it('sends what is there, block by block, and ends', async () => {
    const bytes = Buffer.alloc(700_000, 'abcdefg');
    using setup = new Setup(bytes);
    await setup.takeAll();
    assert.ok(Buffer.concat(setup.target.blocks).equals(bytes));
    assert.deepEqual(
      setup.target.blocks.map((block) => block.length),
      [32 * 1024, 256 * 1024, 256 * 1024, 700_000 - 544 * 1024],
    );
    assert.equal(setup.target.log.join(' '), 'begin write write write write end');
  });

  it('does not read again before its block was taken', async () => {
    using setup = new Setup(Buffer.alloc(500_000));
    const run = setup.writer.run();
    await until(() => setup.target.holding);
    assert.deepEqual([setup.pool.lent, setup.target.blocks.length], [1, 1]);
    setup.target.controller.abort(gone);
    await assert.rejects(run, gone);
    setup.target.take(gone);
  });

  it('gives a client that takes long small blocks', async () => {
    using setup = new Setup(Buffer.alloc(600_000));
    const run = setup.writer.run();
    for (const waitMs of [0, 1000]) {
      await until(() => setup.target.holding);
      setup.clock.advance(waitMs);
      setup.target.take();
    }
    await until(() => setup.target.holding);
    assert.deepEqual(
      setup.target.blocks.map((block) => block.length),
      [32 * 1024, 256 * 1024, 32 * 1024],
    );
    setup.target.controller.abort(gone);
    await assert.rejects(run, gone);
    setup.target.take(gone);
  });

  it('waits for bytes, and takes no block while it does', async () => {
    using setup = new Setup('some bytes', { filled: 0 });
    const all = setup.takeAll();
    await until(() => setup.content.waiting === 1);
    assert.deepEqual([setup.pool.lent, setup.target.log], [0, []]);
    setup.content.finish();
    await all;
    assert.equal(Buffer.concat(setup.target.blocks).toString(), 'some bytes');
  });

  it('sends the headers before a byte is there when it is told to', async () => {
    using setup = new Setup('some bytes', { filled: 0 });
    const all = setup.takeAll();
    await until(() => setup.content.waiting === 1);
    setup.writer.beginNow();
    setup.writer.beginNow();
    setup.content.finish();
    await all;
    assert.deepEqual(setup.target.log, ['headers', 'write', 'end']);
  });

  it('ends where the body ends, when that was not known before', async () => {
    using setup = new Setup('some bytes', { sizeKnown: false });
    await setup.takeAll();
    assert.deepEqual(setup.target.log, ['begin', 'write', 'end']);
  });

  it('fails when the body ends before its end', async () => {
    using setup = new Setup('some bytes', { end: 20 });
    await assert.rejects(setup.takeAll(), { code: 'UPSTREAM_INTERRUPTED' });
    assert.ok(!setup.target.log.includes('end'));
  });

  it('fails without having begun when nothing came', async () => {
    using setup = new Setup('some bytes', { filled: 0 });
    const run = setup.writer.run();
    setup.content.fail(gone);
    await assert.rejects(run, gone);
    setup.writer.beginNow();
    assert.deepEqual(setup.target.log, []);
  });

  it('fails when the body has failed before, and when the disk does', async () => {
    using failed = new Setup('some bytes');
    failed.content.fail(gone);
    await assert.rejects(failed.writer.run(), gone);
    using short = new Setup('some bytes');
    short.content.truncate(0);
    await assert.rejects(short.writer.run(), { code: 'STORAGE_FAILED' });
  });

  it('goes on where the body finds what could not be read elsewhere, in the middle of it too', async () => {
    const bytes = Buffer.alloc(100_000, 'abcdefg');
    for (const leftBytes of [0, 32 * 1024]) {
      using setup = new Setup(bytes);
      setup.content.truncate(leftBytes);
      setup.content.whenUnreadable = () => setup.content.restore();
      await setup.takeAll();
      assert.ok(Buffer.concat(setup.target.blocks).equals(bytes));
    }
  });

  it('stops while the body looks for what could not be read', async () => {
    using setup = new Setup('some bytes');
    setup.content.truncate(0);
    const looked = Promise.withResolvers<void>();
    const found = Promise.withResolvers<void>();
    setup.content.whenUnreadable = () => {
      looked.resolve();
      return found.promise;
    };
    const run = setup.writer.run();
    await looked.promise;
    setup.target.controller.abort(gone);
    await assert.rejects(run, gone);
    found.resolve();
    await new Promise(setImmediate);
    assert.deepEqual(setup.target.log, []);
  });

  it('copies what is in memory only for a while, and holds a block of it until that is taken', async () => {
    const bytes = Buffer.alloc(700_000, 'abcdefg');
    using setup = new Setup(bytes);
    setup.content.isPassing = true;
    const all = setup.takeAll();
    await until(() => setup.target.holding);
    await all;
    assert.ok(Buffer.concat(setup.target.blocks).equals(bytes));
    assert.deepEqual(setup.target.blocks.map((block) => block.length).slice(0, 2), [32 * 1024, 256 * 1024]);
  });

  it('waits again for what has gone from memory between the word that it is there and the look', async () => {
    using setup = new Setup(Buffer.alloc(700_000, 'abcdefg'));
    setup.content.isPassing = true;
    let misses = 3;
    const { read } = setup.content;
    setup.content.read = (offset, into) => (misses-- > 0 ? 0 : read.call(setup.content, offset, into));
    await setup.takeAll();
    assert.equal(Buffer.concat(setup.target.blocks).length, 700_000);
  });

  it('stops when its client leaves: before, while it waits, while it reads, while it writes', async () => {
    using before = new Setup('some bytes');
    before.target.controller.abort(gone);
    await assert.rejects(before.writer.run(), gone);

    using waiting = new Setup('some bytes', { filled: 0 });
    const waits = waiting.writer.run();
    waiting.target.controller.abort(gone);
    await assert.rejects(waits, gone);

    using reading = new Setup('some bytes');
    const reads = reading.writer.run();
    reading.target.controller.abort(gone);
    assert.deepEqual(reading.content.closes, [0], 'closed while the disk reads');
    await assert.rejects(reads, gone);
    assert.deepEqual(reading.target.log, []);

    using writing = new Setup('some bytes');
    const writes = writing.writer.run();
    await until(() => writing.target.holding);
    writing.target.controller.abort(gone);
    await assert.rejects(writes, gone);
    writing.target.take();
  });

  it('keeps a block that the socket was handed until it refers to it no more, also when all else is over', async () => {
    using setup = new Setup('some bytes');
    const run = setup.writer.run();
    await until(() => setup.target.holding);
    setup.target.controller.abort(gone);
    await assert.rejects(run, gone);
    assert.deepEqual([setup.pool.lent, setup.content.closes], [1, [1]]);
    const fresh = setup.pool.take(10);
    assert.notEqual(fresh.toString('latin1', 0, 4), 'some');
    setup.pool.give(fresh);
    setup.target.take();
    assert.equal(setup.pool.lent, 0);
  });

  it('fails when a block cannot be written or the headers cannot be sent', async () => {
    using refused = new Setup('some bytes');
    const run = refused.writer.run();
    await until(() => refused.target.holding);
    refused.target.take(gone);
    await assert.rejects(run, gone);

    using headless = new Setup('some bytes');
    headless.target.begin = () => {
      throw gone;
    };
    await assert.rejects(headless.writer.run(), gone);

    using empty = new Setup('');
    empty.target.end = () => {
      throw gone;
    };
    await assert.rejects(empty.writer.run(), gone);
  });
});
