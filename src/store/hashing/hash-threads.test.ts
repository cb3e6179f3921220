import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { digestOf } from '../../core/digest.ts';
import { contentHasherSuite, sampleFile } from '../testing/content-hasher-suite.ts';
import { sampleBytes } from '../testing/sample-content.ts';
import { type HashThread, startHashThread } from './hash-thread.ts';
import { HashThreads } from './hash-threads.ts';

const bytes = sampleBytes(2, 30_000_000);
const digest = digestOf(bytes);

/** Real threads, which a test can end. */
class MortalThreads implements AsyncDisposable {
  readonly started: HashThread[] = [];
  readonly crashes: unknown[] = [];
  readonly hasher: HashThreads;
  /** Whether a thread ends when it is told to take a step, the n-th of all threads. */
  diesAt: (steps: number) => boolean = () => false;
  #steps = 0;
  failStarts = false;

  constructor(maxThreads = 2) {
    this.hasher = new HashThreads(
      {
        start: (listener) => {
          if (this.failStarts) throw new Error('no more threads');
          const thread = startHashThread(listener);
          const mortal: HashThread = {
            stop: () => thread.stop(),
            post: (order) => {
              thread.post(order);
              if (order.kind === 'step' && this.diesAt(++this.#steps)) void thread.stop();
            },
          };
          this.started.push(mortal);
          return mortal;
        },
        crashed: (error) => this.crashes.push(error),
      },
      { maxThreads },
    );
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.hasher[Symbol.asyncDispose]();
  }
}

contentHasherSuite('in threads', () => new MortalThreads().hasher);

describe('the threads that hash', () => {
  it('are started when they are needed, and bounded', async () => {
    await using threads = new MortalThreads(2);
    await using sample = await sampleFile(bytes);
    const hashes = Array.from({ length: 5 }, () => threads.hasher.begin(digest, sample.file.fd));
    assert.equal(threads.started.length, 0);
    await hashes[0]?.advance(10);
    assert.equal(threads.started.length, 1);
    assert.deepEqual(
      await Promise.all(hashes.map((hash) => hash.finish(bytes.length))),
      hashes.map(() => digest),
    );
    assert.equal(threads.started.length, 2);
    await threads.hasher.begin(digest, sample.file.fd).finish(bytes.length);
    assert.equal(threads.started.length, 2);
    assert.deepEqual(threads.crashes, []);
  });

  it('leave nothing when they are disposed of, and who waits for them is told', async () => {
    const threads = new MortalThreads();
    await using sample = await sampleFile(bytes);
    const hash = threads.hasher.begin(digest, sample.file.fd);
    const waiting = assert.rejects(hash.finish(bytes.length), { code: 'SHUTTING_DOWN' });
    await threads[Symbol.asyncDispose]();
    await waiting;
    assert.equal(threads.hasher.threads, 0);
    assert.deepEqual(threads.crashes, []);
    await assert.rejects(threads.hasher.begin(digest, sample.file.fd).advance(1), { code: 'SHUTTING_DOWN' });
    await hash.end();
  });
});

describe('a hash whose thread ends', () => {
  it('begins anew in another one, wherever it was', async () => {
    await using sample = await sampleFile(bytes);
    for (const step of [1, 2, 3, 4]) {
      await using threads = new MortalThreads(1);
      threads.diesAt = (steps) => steps === step;
      const hash = threads.hasher.begin(digest, sample.file.fd);
      await hash.advance(9_000_000);
      assert.equal(await hash.finish(bytes.length), digest, `its thread ended at step ${step}`);
      // It may have answered the last one before.
      if (step < 4) assert.equal(threads.crashes.length, 1);
    }
  });

  it('between two steps begins anew too', async () => {
    await using threads = new MortalThreads(1);
    await using sample = await sampleFile(bytes);
    const hash = threads.hasher.begin(digest, sample.file.fd);
    await hash.advance(1000);
    await threads.started[0]?.stop();
    assert.equal(await hash.finish(bytes.length), digest);
    assert.equal(threads.started.length, 2);
  });

  it('again and again goes on where it is asked for', async () => {
    await using threads = new MortalThreads(1);
    await using sample = await sampleFile(bytes);
    threads.diesAt = () => true;
    const hash = threads.hasher.begin(digest, sample.file.fd);
    await hash.advance(1000);
    assert.equal(await hash.finish(bytes.length), digest);
    assert.equal(threads.started.length, 2);
    assert.equal(threads.crashes.length, 2);
    assert.equal(threads.hasher.threads, 0);
  });

  it('takes the other hashes of it with it, which do the same', async () => {
    await using threads = new MortalThreads(1);
    await using sample = await sampleFile(bytes);
    const hashes = Array.from({ length: 4 }, () => threads.hasher.begin(digest, sample.file.fd));
    for (const hash of hashes) await hash.advance(1000);
    const finished = Promise.all(hashes.map((hash) => hash.finish(bytes.length)));
    await threads.started[0]?.stop();
    assert.deepEqual(
      await finished,
      hashes.map(() => digest),
    );
  });

  it('is hashed where it is asked for where the system has no thread for it', async () => {
    await using threads = new MortalThreads();
    await using sample = await sampleFile(bytes);
    threads.failStarts = true;
    assert.equal(await threads.hasher.begin(digest, sample.file.fd).finish(bytes.length), digest);
    assert.equal(threads.crashes.length, 1);
  });
});
