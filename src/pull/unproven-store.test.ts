import assert from 'node:assert/strict';
import { ftruncateSync, writeSync } from 'node:fs';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { AppError } from '../core/errors.ts';
import type { StoredBlob } from '../store/content-store.ts';
import { sampleBytes } from '../store/testing/sample-content.ts';
import { PullWorld, type ReadOptions } from './testing/pull-world.ts';
import { testImage } from './testing/test-image.ts';

const image = testImage(1, 12_000);
const { digest, bytes } = image.layer;
const size = bytes.length;
const failed = new AppError('STORAGE_FAILED', 'input/output error');

describe('a blob in the store', () => {
  let world: PullWorld;
  let proof: PromiseWithResolvers<void> | undefined;
  const condemned: string[] = [];

  beforeEach(async () => {
    world = new PullWorld();
    world.hub.chunkBytes = 500;
    condemned.length = 0;
    proof = undefined;
    world.hub.push('library/app', 'latest', image);
    await world.soon(world.manifest('latest'));
    await pull();
    await world.soon(world.quiet());
    world.hub.calls.length = 0;
    const [open, condemn] = [world.store.open.bind(world.store), world.store.condemn.bind(world.store)];
    world.store.open = async (wanted) => {
      const blob: StoredBlob | undefined = await open(wanted);
      return blob && { ...blob, proof: proof?.promise };
    };
    world.store.condemn = (wanted, fd, reason) => {
      condemned.push(reason);
      return condemn(wanted, fd, reason);
    };
  });

  afterEach(async () => {
    await world.soon(world.quiet());
    world.assertNothingLeft();
    await world[Symbol.asyncDispose]();
  });

  const fetches = () => world.hub.count('GET blob');
  const pull = async (options: ReadOptions & { range?: string } = {}) =>
    world.bytesOf(await world.soon(world.blob(digest, options)), options);

  /** Cuts off what is on disk while it is open. */
  async function truncate(toBytes: number): Promise<void> {
    const blob = await world.memory.open(digest);
    if (blob !== undefined) ftruncateSync(blob.fd, toBytes);
  }

  /** What the store does when its own hash is another. */
  async function disprove(): Promise<void> {
    const there = await world.memory.open(digest);
    await world.memory.condemn(digest, there?.fd ?? -1);
    const denied = proof;
    proof = undefined;
    denied?.reject(failed);
  }

  it('is served up to its end before it is proven, and to the end then', async () => {
    proof = Promise.withResolvers();
    const answer = await world.soon(world.blob(digest));
    assert.ok(answer.kind === 'body');
    assert.equal(answer.body.readableTo(0), size - 100);
    const all = world.bytesOf(answer);
    all.catch(() => {});
    await world.quiet();
    proof.resolve();
    assert.ok((await world.soon(all)).equals(bytes));
    assert.equal(fetches(), 0);
  });

  it('is served in parts that end before that without waiting', async () => {
    proof = Promise.withResolvers();
    assert.ok((await pull({ range: 'bytes=0-11899' })).equals(bytes.subarray(0, 11_900)));
    await disprove();
  });

  it('that is proven wrong is cut for whom has some of it, and fetched anew for the next', async () => {
    proof = Promise.withResolvers();
    await assert.rejects(pull({ onBlock: disprove }), { code: 'STORAGE_FAILED' });
    assert.ok((await pull()).equals(bytes));
    assert.equal(fetches(), 1);
  });

  it('that has another size than the manifest says is not served before it is proven', async () => {
    world.catalog.link(world.scope(), [{ digest, sizeBytes: size + 1, mediaType: undefined }]);
    proof = Promise.withResolvers();
    const right = world.blob(digest);
    await world.quiet();
    proof.resolve();
    assert.ok((await world.bytesOf(await world.soon(right))).equals(bytes));
    assert.equal(fetches(), 0);
    world.catalog.link(world.scope(), [{ digest, sizeBytes: size, mediaType: undefined }]);
    await truncate(5000);
    const open = world.store.open.bind(world.store);
    world.store.open = async (wanted) => {
      const blob = await open(wanted);
      return blob && { ...blob, sizeBytes: condemned.length === 0 ? 5000 : blob.sizeBytes };
    };
    proof = Promise.withResolvers();
    const wrong = world.blob(digest);
    await world.quiet();
    condemned.push('by the store');
    await disprove();
    assert.ok((await world.bytesOf(await world.soon(wrong))).equals(bytes));
    assert.equal(fetches(), 1);
  });

  it('that is proven wrong is not continued with content of another size than was told', async () => {
    const scope = world.scope('library/sizeless');
    world.catalog.link(scope, [{ digest, sizeBytes: undefined, mediaType: undefined }]);
    world.hub.pushBlob('library/sizeless', digest, bytes);
    const open = world.store.open.bind(world.store);
    world.store.open = async (wanted) => {
      const blob = await open(wanted);
      return blob && { ...blob, sizeBytes: 5000 };
    };
    proof = Promise.withResolvers();
    const answer = await world.soon(world.blob(digest, { scope }));
    assert.ok(answer.kind === 'body' && answer.sizeBytes === 5000);
    await disprove();
    world.store.open = open;
    // Another one fetches it anew, and has not come far.
    const gate = Promise.withResolvers<void>();
    world.hub.beforeChunk = (offset) => (offset === 2000 ? gate.promise : undefined);
    const next = await world.soon(world.blob(digest));
    await world.quiet();
    await assert.rejects(world.bytesOf(answer), { code: 'CONTENT_MISMATCH' });
    gate.resolve();
    assert.ok((await world.bytesOf(next)).equals(bytes));
  });

  it('is hashed in haste for whom waits for its end, and for nobody before that', async () => {
    proof = Promise.withResolvers();
    const open = world.store.open.bind(world.store);
    let hurried = 0;
    world.store.open = async (wanted) => {
      const blob = await open(wanted);
      return blob && { ...blob, hurry: () => void hurried++ };
    };
    assert.ok((await pull({ range: 'bytes=0-999' })).equals(bytes.subarray(0, 1000)));
    assert.equal(hurried, 0);
    const whole = await world.soon(world.blob(digest));
    const all = world.bytesOf(whole);
    await world.quiet();
    assert.equal(hurried, 1);
    proof.resolve();
    assert.ok((await all).equals(bytes));
    world.catalog.link(world.scope(), [{ digest, sizeBytes: size + 1, mediaType: undefined }]);
    proof = Promise.withResolvers();
    const doubted = world.blob(digest);
    await world.quiet();
    assert.equal(hurried, 2);
    proof.resolve();
    assert.ok((await world.bytesOf(await world.soon(doubted))).equals(bytes));
  });

  it('of another size than the manifest says is held by nobody who has left before it is proven', async () => {
    world.catalog.link(world.scope(), [{ digest, sizeBytes: size + 1, mediaType: undefined }]);
    proof = Promise.withResolvers();
    const leaving = new AbortController();
    const answer = world.blob(digest, { signal: leaving.signal });
    await world.quiet();
    leaving.abort(new AppError('CANCELLED', 'left'));
    await assert.rejects(world.soon(answer), { code: 'CANCELLED' });
    assert.equal(world.store.openBlobs, 0);
  });

  it('that is proven wrong starts over for whom has none of it', async () => {
    proof = Promise.withResolvers();
    const whole = await world.soon(world.blob(digest));
    const part = world.bytesOf(await world.soon(world.blob(digest, { range: 'bytes=-50' })));
    await world.quiet();
    await disprove();
    assert.ok((await world.bytesOf(whole)).equals(bytes));
    assert.ok((await part).equals(bytes.subarray(-50)));
    assert.equal(await world.store.sizeOf(digest), size);
  });

  it('that cannot be read is condemned and starts over, for all who asked', async () => {
    await truncate(0);
    const answers = await world.soon(Promise.all(Array.from({ length: 5 }, () => world.blob(digest))));
    const bodies = await Promise.all(answers.map((answer) => world.bytesOf(answer)));
    assert.ok(bodies.every((body) => body.equals(bytes)));
    assert.equal(fetches(), 1);
    assert.ok(condemned.length > 0);
    assert.equal(await world.store.sizeOf(digest), size);
  });

  it('that cannot be read in its middle is condemned, and goes on from upstream', async () => {
    for (const [range, start, end] of [
      [undefined, 0, size],
      ['bytes=2000-8999', 2000, 9000],
      ['bytes=2000-', 2000, size],
    ] as const) {
      const answer = await world.soon(world.blob(digest, range === undefined ? {} : { range }));
      const onBlock = (offset: number) => (offset === 5000 ? truncate(5000) : undefined);
      const body = await world.bytesOf(answer, { mostBytes: 1000, onBlock });
      assert.ok(body.equals(bytes.subarray(start, end)), `${range}`);
      assert.equal(condemned.length, 1);
      // The next one fetches it anew.
      assert.ok((await pull()).equals(bytes));
      await world.soon(world.quiet());
      condemned.length = 0;
    }
  });

  it('of which what was handed out was damaged is cut, not completed', async () => {
    const answer = await world.soon(world.blob(digest));
    const stored = await world.memory.open(digest);
    assert.ok(stored && answer.kind === 'body');
    writeSync(stored.fd, sampleBytes(9, 10), 0, 10, 100);
    const onBlock = (offset: number) => (offset === 5000 ? truncate(5000) : undefined);
    await assert.rejects(world.bytesOf(answer, { mostBytes: 1000, onBlock }), { code: 'CONTENT_MISMATCH' });
  });
});
