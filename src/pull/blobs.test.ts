import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { AppError, type ErrorCode } from '../core/errors.ts';
import { sampleBytes } from '../store/testing/sample-content.ts';
import type { BlobAnswer } from './depot.ts';
import { PullWorld } from './testing/pull-world.ts';
import { testImage } from './testing/test-image.ts';

const image = testImage(1);
const { digest, bytes } = image.layer;
const never = new Promise<never>(() => {});

describe('a blob', () => {
  let world: PullWorld;

  beforeEach(() => {
    world = new PullWorld();
    world.hub.push('library/app', 'latest', image);
  });

  afterEach(() => world[Symbol.asyncDispose]());

  const blob = (options: Parameters<PullWorld['blob']>[1] = {}) => world.soon(world.blob(digest, options));
  const pulledManifest = () => world.soon(world.manifest('latest'));

  async function cached(): Promise<void> {
    await pulledManifest();
    await world.bytesOf(await blob());
    world.hub.calls.length = 0;
  }

  function partOf(answer: BlobAnswer): unknown {
    return answer.kind === 'body' ? answer.part : answer.kind;
  }

  it('that a manifest names is fetched without asking whether it is there', async () => {
    await pulledManifest();
    const answer = await blob();
    assert.ok(answer.kind === 'body');
    assert.deepEqual([answer.sizeBytes, answer.part, answer.served], [bytes.length, undefined, 'led']);
    assert.ok((await world.bytesOf(answer)).equals(bytes));
    assert.deepEqual(world.hub.calls.slice(1), [`GET blob library/app ${digest}`]);
    await world.quiet();
    world.assertNothingLeft();
  });

  it('is served from the store once it is there', async () => {
    await cached();
    const answer = await blob();
    assert.ok(answer.kind === 'body');
    assert.equal(answer.served, 'hit');
    assert.ok((await world.bytesOf(answer)).equals(bytes));
    assert.deepEqual(world.hub.calls, []);
    world.assertNothingLeft();
  });

  it('costs one request, however many ask at once', async () => {
    await pulledManifest();
    const answers = await world.soon(Promise.all(Array.from({ length: 256 }, () => world.blob(digest))));
    const bodies = await Promise.all(answers.map((answer) => world.bytesOf(answer)));
    assert.ok(bodies.every((body) => body.equals(bytes)));
    assert.equal(world.hub.count('GET blob'), 1);
    const served = answers.map((answer) => answer.kind === 'body' && answer.served);
    assert.equal(served.filter((how) => how === 'led').length, 1);
    await world.quiet();
    world.assertNothingLeft();
  });

  it('of a repository that no manifest told of is confirmed by one HEAD, for all who ask, and remembered', async () => {
    const answers = await world.soon(Promise.all(Array.from({ length: 20 }, () => world.blob(digest))));
    for (const answer of answers) assert.ok((await world.bytesOf(answer)).equals(bytes));
    assert.ok((await world.bytesOf(await blob())).equals(bytes));
    assert.deepEqual([world.hub.count('HEAD blob'), world.hub.count('GET blob')], [1, 1]);
    assert.equal(world.coalesced.filter((kind) => kind === 'blob-head').length, 19);
  });

  it('is not fetched by HEAD, known or not', async () => {
    for (const how of ['unknown', 'confirmed'] as const) {
      const answer = await blob({ method: 'HEAD' });
      assert.ok(answer.kind === 'head');
      assert.equal(answer.sizeBytes, bytes.length, how);
    }
    await pulledManifest();
    await blob({ method: 'HEAD' });
    assert.equal(world.hub.count('GET blob'), 0);
    assert.equal(world.hub.count('HEAD blob'), 1);
    assert.equal(world.flights.size, 0);
  });

  it('has the size that a manifest claims, whatever a HEAD says that ends later', async () => {
    const { promise: headEnds, resolve } = Promise.withResolvers<void>();
    world.hub.headSizeBytes = 7;
    world.hub.before = (call) => (call.startsWith('HEAD blob') ? headEnds : undefined);
    const asked = world.blob(digest, { method: 'HEAD' });
    await pulledManifest();
    resolve();
    await world.soon(asked);
    const answer = await blob();
    assert.ok(answer.kind === 'body');
    assert.equal(answer.sizeBytes, bytes.length);
    assert.ok((await world.bytesOf(answer)).equals(bytes));
  });

  it('has the size of its bytes once they are right, whatever a HEAD said', async () => {
    world.hub.headSizeBytes = 7;
    await blob({ method: 'HEAD' });
    assert.equal(world.catalog.linked(world.scope(), digest)?.sizeBytes, 7);
    await world.store.put(digest, bytes);
    assert.ok((await world.bytesOf(await blob())).equals(bytes));
    assert.equal(world.catalog.linked(world.scope(), digest)?.sizeBytes, bytes.length);
  });

  it('is never revealed to a repository that does not have it', async () => {
    await cached();
    for (const scope of [world.scope('library/stranger'), world.scope('library/app', 'ghcr.io')]) {
      for (const method of ['GET', 'HEAD'] as const) {
        await assert.rejects(world.soon(world.blob(digest, { scope, method })), { code: 'BLOB_UNKNOWN' });
      }
    }
  });

  it('is linked, not fetched, where another repository has it too', async () => {
    await cached();
    world.other.pushBlob('org/app', digest, bytes);
    const scope = world.scope('org/app', 'ghcr.io');
    assert.ok((await world.bytesOf(await blob({ scope }))).equals(bytes));
    assert.deepEqual(world.other.calls, [`HEAD blob org/app ${digest}`]);
  });

  it('comes in parts', async () => {
    await cached();
    for (const [range, start, end] of [
      ['bytes=100-199', 100, 200],
      ['bytes=2900-', 2900, 3000],
      ['bytes=-10', 2990, 3000],
      ['bytes=0-99999', 0, 3000],
    ] as const) {
      const answer = await blob({ range });
      assert.deepEqual(partOf(answer), { start, end });
      assert.ok((await world.bytesOf(answer)).equals(bytes.subarray(start, end)));
    }
    const beyond = await blob({ range: 'bytes=3000-' });
    assert.deepEqual(beyond, { kind: 'unsatisfiable', sizeBytes: 3000 });
    world.assertNothingLeft();
  });

  it('comes in parts while it is being fetched, and leaves nobody behind where there is no such part', async () => {
    await pulledManifest();
    const part = await blob({ range: 'bytes=1000-1999' });
    const beyond = await blob({ range: 'bytes=3000-' });
    assert.deepEqual(beyond, { kind: 'unsatisfiable', sizeBytes: 3000 });
    assert.ok((await world.bytesOf(part)).equals(bytes.subarray(1000, 2000)));
    await world.quiet();
    world.assertNothingLeft();
  });

  it('whose size nobody says comes whole', async () => {
    world.hub.saysSize = false;
    const answer = await blob({ range: 'bytes=100-199' });
    assert.ok(answer.kind === 'body');
    assert.deepEqual([answer.sizeBytes, answer.part], [undefined, undefined]);
    assert.ok((await world.bytesOf(answer)).equals(bytes));
  });

  it('whose size upstream says only when it delivers comes with it, and in parts', async () => {
    world.catalog.link(world.scope(), [{ digest, sizeBytes: undefined, mediaType: undefined }]);
    const answer = await blob({ range: 'bytes=100-199' });
    assert.ok(answer.kind === 'body');
    assert.equal(answer.sizeBytes, bytes.length);
    assert.ok((await world.bytesOf(answer)).equals(bytes.subarray(100, 200)));
  });

  it('that is slow to begin is told as late within the bound, and goes on being fetched', async () => {
    world.catalog.link(world.scope(), [{ digest, sizeBytes: undefined, mediaType: undefined }]);
    const gate = Promise.withResolvers<void>();
    world.hub.before = () => gate.promise;
    const asked = world.blob(digest);
    const late = assert.rejects(asked, { code: 'HEADER_TIMEOUT', status: 504 });
    await world.quiet();
    // A source is given up after its own time; the wait for headers is bounded whatever it does.
    for (let ms = 0; ms < 25_000; ms += 5000) await world.later(5000);
    await late;
    gate.resolve();
    await world.soon(world.quiet());
    await world.later(1000);
    assert.ok((await world.bytesOf(await blob())).equals(bytes));
  });

  it('that is refused fails as upstream says, once for all, for seconds', async () => {
    await pulledManifest();
    world.hub.before = (call) => {
      if (call.startsWith('GET blob')) throw new AppError('UPSTREAM_DENIED', 'not for you');
    };
    const failures = Array.from({ length: 20 }, async () => world.bytesOf(await world.blob(digest)));
    const outcomes = await world.soon(Promise.allSettled(failures));
    for (const outcome of outcomes) assert.equal(codeOf(outcome), 'UPSTREAM_DENIED');
    await assert.rejects(blob(), { code: 'UPSTREAM_DENIED' });
    assert.equal(world.hub.count('GET blob'), 1);
    world.assertNothingLeft();
    world.hub.before = () => {};
    world.clock.advance(5000);
    assert.ok((await world.bytesOf(await blob())).equals(bytes));
  });

  it('goes on being fetched when the one who asked first leaves', async () => {
    const gate = Promise.withResolvers<void>();
    world.hub.before = () => gate.promise;
    const leaving = new AbortController();
    const first = world.blob(digest, { signal: leaving.signal });
    const second = world.blob(digest);
    await world.quiet();
    leaving.abort(new AppError('CANCELLED', 'left'));
    await assert.rejects(first, { code: 'CANCELLED' });
    gate.resolve();
    assert.ok((await world.bytesOf(await world.soon(second))).equals(bytes));
    assert.equal(world.hub.count('HEAD blob'), 1);
  });

  it('that is not what its digest says is cut, and not kept', async () => {
    await pulledManifest();
    world.hub.pushBlob('library/app', digest, sampleBytes(7, bytes.length));
    await assert.rejects(world.bytesOf(await blob()), { code: 'CONTENT_MISMATCH' });
    assert.equal(await world.store.sizeOf(digest), undefined);
    world.assertNothingLeft();
  });

  it('that nobody answers for is told so within the bound', async () => {
    world.hub.before = () => never;
    const startMs = world.clock.monotonic();
    await assert.rejects(blob(), { code: 'UPSTREAM_TIMEOUT' });
    assert.ok(world.clock.monotonic() - startMs <= 25_000);
    world.assertNothingLeft();
  });
});

function codeOf(outcome: PromiseSettledResult<unknown>): ErrorCode | undefined {
  return outcome.status === 'rejected' && outcome.reason instanceof AppError ? outcome.reason.code : undefined;
}
