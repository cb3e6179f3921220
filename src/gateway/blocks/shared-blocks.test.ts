import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { Worker } from 'node:worker_threads';
import { BlockLayout } from './block-layout.ts';
import { noBlock, SharedBlocks } from './shared-blocks.ts';
import { randomOf } from './testing/block-keys.ts';

function threadsOf(count: number, blocks: number): SharedBlocks[] {
  const shared = new BlockLayout({ blocks, blockBytes: 4096, threads: count }).allocate();
  const random = randomOf(1);
  return Array.from({ length: count }, (_, thread) => new SharedBlocks(shared, thread, random));
}

/** Fills a block and lets it go; says whether there was room. */
function fill(blocks: SharedBlocks, fileId: number, number: number): boolean {
  const slot = blocks.claim(fileId, number);
  if (slot === noBlock) return false;
  blocks.block(slot).fill(number);
  blocks.publish(slot, 100 + number);
  blocks.unpin(slot);
  return true;
}

function has(blocks: SharedBlocks, fileId: number, number: number): boolean {
  const slot = blocks.pin(fileId, number);
  if (slot === noBlock) return false;
  assert.deepEqual([blocks.bytesIn(slot), blocks.block(slot)[4095]], [100 + number, number]);
  blocks.unpin(slot);
  return true;
}

function only(blocks: readonly SharedBlocks[]): SharedBlocks {
  const [first] = blocks;
  assert.ok(first);
  return first;
}

describe('shared blocks', () => {
  it('filled by one thread are found by the others, by file and number', () => {
    const [one, other] = threadsOf(2, 8);
    assert.ok(one && other);
    for (const fileId of [7, 7 + 2 ** 32]) assert.ok(fill(one, fileId, 3));
    assert.ok(has(other, 7, 3) && has(other, 7 + 2 ** 32, 3) && has(one, 7, 3));
    assert.ok(!has(other, 8, 3) && !has(other, 7, 4) && !has(other, 7 + 2 ** 33, 3));
  });

  it('are not found before they are complete, nor claimed by another thread meanwhile', () => {
    const [one, other] = threadsOf(2, 8);
    assert.ok(one && other);
    const slot = one.claim(7, 0);
    assert.deepEqual([one.claimed(7, 0), other.claimed(7, 0)], [slot, noBlock]);
    assert.deepEqual([one.pin(7, 0), other.pin(7, 0), other.claim(7, 0)], [noBlock, noBlock, noBlock]);
    one.publish(slot, 100);
    assert.deepEqual([other.pin(7, 0), one.claimed(7, 0)], [slot, noBlock]);
  });

  it('that could not be filled are free again', () => {
    const blocks = only(threadsOf(1, 1));
    blocks.abandon(blocks.claim(7, 0));
    assert.ok(!has(blocks, 7, 0));
    assert.ok(fill(blocks, 7, 1));
  });

  it('are never taken while somebody refers to them: then there is none', () => {
    const [one, other] = threadsOf(2, 2);
    assert.ok(one && other);
    assert.ok(fill(one, 7, 0) && fill(one, 7, 1));
    const pins = [other.pin(7, 0), other.pin(7, 0), other.pin(7, 1)];
    assert.ok(!fill(one, 7, 2) && !fill(other, 7, 2));
    assert.deepEqual(one.counts(), { usedBytes: 8192, pinnedBytes: 8192, hits: 3, misses: 4 });
    other.unpin(pins[0] ?? noBlock);
    assert.ok(!fill(one, 7, 2), 'one answer of two has ended');
    other.unpin(pins[1] ?? noBlock);
    assert.ok(fill(one, 7, 2));
    assert.ok(has(one, 7, 1) && has(one, 7, 2) && !has(one, 7, 0));
  });

  it('of use stay longer than those that were wanted once, but not for ever', () => {
    const blocks = only(threadsOf(1, 8));
    for (let number = 0; number < 4; number++) fill(blocks, 7, number);
    for (let use = 0; use < 3; use++) for (let number = 0; number < 4; number++) has(blocks, 7, number);
    for (let number = 10; number < 26; number++) fill(blocks, 7, number);
    assert.ok([0, 1, 2, 3].every((number) => has(blocks, 7, number)));
    for (let number = 100; number < 200; number++) fill(blocks, 7, number);
    assert.ok([0, 1, 2, 3].every((number) => !has(blocks, 7, number)));
  });

  it('hold the whole of a file that has as many as there are', () => {
    const blocks = only(threadsOf(1, 64));
    for (let number = 0; number < 64; number++) assert.ok(fill(blocks, 5, number));
    for (let number = 0; number < 64; number++) assert.ok(has(blocks, 5, number));
  });

  it('can be none', () => {
    const blocks = only(threadsOf(1, 0));
    assert.deepEqual([blocks.pin(7, 0), blocks.claim(7, 0), blocks.claimed(7, 0)], [noBlock, noBlock, noBlock]);
    assert.throws(() => new SharedBlocks(blocks.shared, 1, () => 0), RangeError);
  });

  it('that a thread had when it died serve the others again, but for those that others refer to', () => {
    const [main, dying, other] = threadsOf(3, 2);
    assert.ok(main && dying && other);
    assert.ok(fill(dying, 7, 0));
    dying.pin(7, 0);
    dying.claim(7, 1);
    assert.ok(!fill(other, 7, 2));
    main.threadEnded(1);
    assert.ok(fill(other, 7, 2) && fill(other, 7, 3));
    // Died after it had claimed a block that it then had seen to be pinned.
    const pinned = other.pin(7, 3);
    const words = main.layout.words(main.shared);
    words[main.layout.recordOf(pinned)] = 2 + 1;
    main.threadEnded(1);
    assert.ok(fill(main, 7, 4) && !has(main, 7, 2));
    const second = main.pin(7, 4);
    assert.ok(second !== pinned && !fill(main, 7, 5));
    assert.equal(other.block(pinned)[0], 3);
  });
});

/** What another thread does at the very moment that this one calls the function of `Atomics`: before its effect, or after. */
function meanwhile(context: TestContext, name: 'add' | 'compareExchange', when: 'before' | 'after', act: () => void) {
  const original = Atomics[name] as (...words: unknown[]) => number;
  const step = context.mock.method(Atomics, name, (...words: unknown[]) => {
    step.mock.restore();
    if (when === 'before') act();
    const result = original(...words);
    if (when === 'after') act();
    return result;
  });
}

describe('a block of which two threads want different things at the same moment', () => {
  it('is not had by a reader that saw it before it was taken for another one', (context) => {
    const [reader, taker] = threadsOf(2, 1);
    assert.ok(reader && taker);
    assert.ok(fill(taker, 7, 0));
    meanwhile(context, 'add', 'before', () => assert.ok(fill(taker, 7, 1)));
    assert.equal(reader.pin(7, 0), noBlock);
    assert.equal(reader.counts().pinnedBytes, 0);
    assert.ok(has(reader, 7, 1));
  });

  it('is not had by a reader that saw it before somebody began to fill it anew', (context) => {
    const [reader, taker] = threadsOf(2, 1);
    assert.ok(reader && taker);
    assert.ok(fill(taker, 7, 0));
    let slot = noBlock;
    meanwhile(context, 'add', 'before', () => {
      slot = taker.claim(7, 0);
    });
    assert.equal(reader.pin(7, 0), noBlock);
    taker.publish(slot, 100);
    assert.equal(reader.pin(7, 0), slot);
  });

  it('is put back by a taker that finds it pinned once it has it', (context) => {
    const [reader, taker] = threadsOf(2, 1);
    assert.ok(reader && taker);
    assert.ok(fill(taker, 7, 0));
    let slot = noBlock;
    meanwhile(context, 'compareExchange', 'before', () => {
      slot = reader.pin(7, 0);
    });
    assert.equal(taker.claim(7, 1), noBlock);
    assert.notEqual(slot, noBlock);
    assert.ok(has(reader, 7, 0));
  });

  it('is only missed by a reader that comes while a taker looks', (context) => {
    const [reader, taker] = threadsOf(2, 1);
    assert.ok(reader && taker);
    assert.ok(fill(taker, 7, 0));
    meanwhile(context, 'compareExchange', 'after', () => assert.equal(reader.pin(7, 0), noBlock));
    assert.notEqual(taker.claim(7, 1), noBlock);
  });

  it('goes to one of two takers', (context) => {
    const [one, other] = threadsOf(2, 1);
    assert.ok(one && other);
    let slot = noBlock;
    meanwhile(context, 'compareExchange', 'before', () => {
      slot = other.claim(7, 0);
    });
    assert.equal(one.claim(7, 1), noBlock);
    assert.equal(other.claimed(7, 0), slot);
  });
});

interface Told {
  readonly hits: number;
  readonly fills: number;
  readonly wrong: number;
}

describe('shared blocks of threads that run at the same time', () => {
  /** A thread that uses them at random. */
  class User {
    readonly worker: Worker;
    told: Told = { hits: 0, fills: 0, wrong: 0 };
    turns = 0;
    readonly ended: Promise<void>;
    #wake: (() => void) | undefined;

    constructor(shared: SharedArrayBuffer, thread: number, seed: number) {
      this.worker = new Worker(new URL('./testing/block-user.ts', import.meta.url), {
        workerData: { shared, thread, seed: seed + thread },
      });
      this.worker.on('message', (told: Told) => {
        this.told = told;
        this.turns++;
        this.#wake?.();
      });
      this.ended = new Promise((resolve, reject) => {
        this.worker.on('exit', () => resolve());
        this.worker.on('error', reject);
      });
    }

    async hasTurned(turns: number): Promise<void> {
      const until = this.turns + turns;
      while (this.turns < until) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }

    async stop(): Promise<void> {
      this.worker.postMessage('stop');
      await this.ended;
    }
  }

  it('are always what was asked for, whoever else claims, fills or dies', async (context) => {
    const seed = Math.floor(Math.random() * 2 ** 31);
    context.diagnostic(`seed ${seed}`);
    const layout = new BlockLayout({ blocks: 24, blockBytes: 4096, threads: 4 });
    const shared = layout.allocate();
    const main = new SharedBlocks(shared, 0, Math.random);
    const users = [1, 2].map((thread) => new User(shared, thread, seed));
    const deaths: User[] = [];
    for (let death = 0; death < 8; death++) {
      const mortal = new User(shared, 3, seed + 10 * death);
      deaths.push(mortal);
      await mortal.hasTurned(1 + (death % 3));
      await mortal.worker.terminate();
      main.threadEnded(3);
    }
    await Promise.all(users.map((user) => user.hasTurned(5)));
    await Promise.all(users.map((user) => user.stop()));
    for (const { told } of [...users, ...deaths]) {
      assert.equal(told.wrong, 0);
      assert.ok(told.hits > 0 && told.fills > 0, `nothing happened: ${JSON.stringify(told)}`);
    }
    // Those that stopped still hold a few.
    main.threadEnded(1);
    main.threadEnded(2);
    assert.equal(main.counts().pinnedBytes, 0);
    for (let number = 0; number < 24; number++) assert.ok(fill(main, 99, number));
  });
});
