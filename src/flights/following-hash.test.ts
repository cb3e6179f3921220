import assert from 'node:assert/strict';
import type { FileHandle } from 'node:fs/promises';
import { describe, it } from 'node:test';
import { type Digest, digestOf } from '../core/digest.ts';
import { AppError } from '../core/errors.ts';
import type { ContentHash, ContentHasher } from '../store/content-hasher.ts';
import { startHashThread } from '../store/hashing/hash-thread.ts';
import { HashThreads } from '../store/hashing/hash-threads.ts';
import { sampleFile } from '../store/testing/content-hasher-suite.ts';
import { sampleBytes } from '../store/testing/sample-content.ts';
import { FillBody } from './fill-body.ts';
import type { FillStorage } from './fill-storage.ts';
import { Random } from './testing/random.ts';

const bytes = sampleBytes(3, 5_000_000);
const digest = digestOf(bytes);

/** A hash that does what the test says. */
class ScriptedHash implements ContentHash {
  readonly calls: { kind: 'advance' | 'finish'; to: number; outcome: PromiseWithResolvers<void> }[] = [];
  isEnded = false;

  advance(to: number): Promise<void> {
    return this.#call('advance', to);
  }

  async finish(to: number): Promise<Digest> {
    await this.#call('finish', to);
    return digestOf(bytes.subarray(0, to));
  }

  async end(): Promise<void> {
    this.isEnded = true;
    for (const { outcome } of this.calls) outcome.reject(new AppError('CANCELLED', 'ended'));
  }

  #call(kind: 'advance' | 'finish', to: number): Promise<void> {
    const outcome = Promise.withResolvers<void>();
    this.calls.push({ kind, to, outcome });
    return outcome.promise;
  }
}

class TestStorage implements FillStorage {
  readonly view: FillStorage['view'];
  readonly resumed: FillStorage['resumed'];
  readonly #file: FileHandle | undefined;
  holds = 0;

  constructor(file: FileHandle | undefined, leftBytes: number) {
    this.#file = file;
    this.view = { kind: 'file', fd: file?.fd ?? -1 };
    this.resumed = { filled: leftBytes === 0 ? [] : [{ start: 0, end: leftBytes }], sizeBytes: undefined };
  }

  async write(given: Uint8Array, offset: number): Promise<void> {
    await this.#file?.write(given, 0, given.length, offset);
  }

  async record(): Promise<void> {}
  async commit(): Promise<void> {}
  async discard(): Promise<void> {}
  async close(): Promise<void> {}

  hold(): () => void {
    this.holds++;
    return () => {
      this.holds--;
    };
  }
}

function scripted(leftBytes = 0, sizeBytes: number | undefined = 1000, hashStepBytes = 1) {
  const hash = new ScriptedHash();
  const storage = new TestStorage(undefined, leftBytes);
  const hasher: ContentHasher = { begin: () => hash };
  const body = new FillBody(storage, { digest, sizeBytes, holdBackBytes: 10, hasher, hashStepBytes });
  const steps = () => hash.calls.map(({ kind, to }) => `${kind} ${to}`);
  const settle = async (how: (outcome: PromiseWithResolvers<void>) => void) => {
    const last = hash.calls.at(-1);
    if (last !== undefined) how(last.outcome);
    await new Promise(setImmediate);
  };
  return { hash, storage, body, steps, settle };
}

describe('a hash that follows a body', () => {
  it('is told of the prefix only, and of all that came meanwhile at once', async () => {
    const { body, steps, settle } = scripted();
    body.wrote(500, bytes.subarray(500, 600));
    assert.deepEqual(steps(), []);
    body.wrote(0, bytes.subarray(0, 100));
    for (let at = 100; at < 400; at += 100) body.wrote(at, bytes.subarray(at, at + 100));
    assert.deepEqual(steps(), ['advance 100']);
    await settle((outcome) => outcome.resolve());
    assert.deepEqual(steps(), ['advance 100', 'advance 400']);
    body.wrote(400, bytes.subarray(400, 500));
    body.wrote(600, bytes.subarray(600, 1000));
    await settle((outcome) => outcome.resolve());
    assert.deepEqual(steps().slice(2), ['finish 1000']);
    const hashed = body.hashed();
    await settle((outcome) => outcome.resolve());
    assert.equal(await hashed, digestOf(bytes.subarray(0, 1000)));
  });

  it('is not told of less than a step, but at the end', async () => {
    for (const sizeBytes of [1000, undefined]) {
      const { body, steps, settle } = scripted(0, sizeBytes, 400);
      for (let at = 0; at < 500; at += 100) body.wrote(at, bytes.subarray(at, at + 100));
      assert.deepEqual(steps(), ['advance 400']);
      await settle((outcome) => outcome.resolve());
      assert.deepEqual(steps(), ['advance 400']);
      for (let at = 500; at < 1000; at += 100) body.wrote(at, bytes.subarray(at, at + 100));
      await settle((outcome) => outcome.resolve());
      body.setSize(1000);
      const hashed = body.hashed();
      await settle((outcome) => outcome.resolve());
      await settle((outcome) => outcome.resolve());
      assert.equal(steps().at(-1), 'finish 1000');
      assert.equal(await hashed, digestOf(bytes.subarray(0, 1000)));
    }
  });

  it('of a body of unknown size is finished when its end is known', async () => {
    const { body, steps, settle } = scripted(0, undefined);
    body.wrote(0, bytes.subarray(0, 300));
    await settle((outcome) => outcome.resolve());
    body.setSize(300);
    const hashed = body.hashed();
    await settle((outcome) => outcome.resolve());
    assert.deepEqual(steps(), ['advance 300', 'finish 300']);
    assert.equal(await hashed, digestOf(bytes.subarray(0, 300)));
  });

  it('holds the storage while it is at work, and no longer', async () => {
    const { body, storage, settle } = scripted(200);
    assert.equal(storage.holds, 1);
    await settle((outcome) => outcome.resolve());
    assert.equal(storage.holds, 0);
    body.wrote(200, bytes.subarray(200, 300));
    assert.equal(storage.holds, 1);
    await body.end();
    assert.equal(storage.holds, 0);
    body.wrote(300, bytes.subarray(300, 400));
    assert.equal(storage.holds, 0);
  });

  it('ends with a body that is broken', async () => {
    const { body, hash, steps } = scripted(200);
    body.markBroken(new AppError('CONTENT_MISMATCH', 'test'));
    body.wrote(200, bytes.subarray(200, 1000));
    await new Promise(setImmediate);
    assert.equal(hash.isEnded, true);
    assert.deepEqual(steps(), ['advance 200']);
  });

  it('says that the file cannot be read back when it is asked for, whenever that was', async () => {
    const { body, settle } = scripted(200);
    await settle((outcome) => outcome.reject(new AppError('STORAGE_FAILED', 'it is shorter than it was')));
    body.wrote(200, bytes.subarray(200, 1000));
    const message = 'cannot read back a fill: it is shorter than it was';
    await assert.rejects(body.hashed(), { code: 'STORAGE_FAILED', message });
  });
});

describe('a hash in another thread', () => {
  it('is of what was written, in whatever order that came, and who of them was ended', async () => {
    const seed = Math.floor(Math.random() * 2 ** 31);
    const random = new Random(seed);
    const crashed = (error: unknown) => assert.fail(`a thread ended: ${error}`);
    await using hasher = new HashThreads({ start: startHashThread, crashed }, { maxThreads: 2 });
    const fills = Array.from({ length: 6 }, async (_, index) => {
      const leftBytes = index % 3 === 0 ? random.below(bytes.length) : 0;
      await using sample = await sampleFile(bytes.subarray(0, leftBytes));
      const storage = new TestStorage(sample.file, leftBytes);
      const body = new FillBody(storage, { digest, sizeBytes: bytes.length, holdBackBytes: 10, hasher });
      const missing = Array.from({ length: 50 }, (_, part) => part * 100_000).filter((at) => at + 100_000 > leftBytes);
      if (index % 2 === 0) missing.sort(() => random.below(3) - 1);
      for (const at of missing) {
        const start = Math.max(at, leftBytes);
        const chunk = bytes.subarray(start, at + 100_000);
        await storage.write(chunk, start);
        body.wrote(start, chunk);
        if (index === 5 && at > 2_000_000) return void (await body.end());
      }
      assert.equal(await body.hashed(), digest, `seed ${seed}, fill ${index}`);
      await body.end();
      assert.equal(storage.holds, 0);
    });
    await Promise.all(fills);
  });
});
