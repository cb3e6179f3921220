import assert from 'node:assert/strict';
import { ftruncateSync, writeSync } from 'node:fs';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { AppError } from '../core/errors.ts';
import { ociManifest } from '../core/media-types.ts';
import { SharedUse } from '../core/shared-use.ts';
import type { BlobAnswer, BlobLease, Keep } from './depot.ts';
import { PullWorld, staleAfterMs, tagTtlMs } from './testing/pull-world.ts';
import { testImage } from './testing/test-image.ts';

const image = testImage(1);
const other = testImage(2);
const { digest } = image.manifest;

describe('an answer that may be given again', () => {
  let world: PullWorld;

  beforeEach(() => {
    world = new PullWorld();
    world.hub.push('library/app', 'latest', image);
  });

  afterEach(() => world[Symbol.asyncDispose]());

  const get = (reference: string, method: 'GET' | 'HEAD' = 'GET') => world.soon(world.manifest(reference, { method }));
  const stands = (keep: Keep | undefined) =>
    keep !== undefined && keep.change === world.changes.value && world.clock.now() < keep.untilMs;

  async function pulled(): Promise<void> {
    await get('latest');
    await read(await world.soon(world.blob(image.layer.digest)));
  }

  async function read(answer: BlobAnswer): Promise<Buffer> {
    return world.soon(world.bytesOf(answer));
  }

  async function lent(): Promise<BlobLease> {
    const answer = await world.soon(world.blob(image.layer.digest, { gateway: 0 }));
    assert.ok(answer.kind === 'body' && answer.lease !== undefined);
    answer.body.close();
    return answer.lease;
  }

  it('by a digest stands until something is lost, whether it was here or fetched', async () => {
    const fetched = await get(digest);
    assert.equal(fetched.served, 'led');
    assert.ok(stands(fetched.keep));
    const hit = await get(digest);
    assert.equal(hit.served, 'hit');
    world.clock.advance(365 * 24 * 3600 * 1000);
    assert.ok(stands(hit.keep) && stands((await get(digest, 'HEAD')).keep));
    world.changes.bump();
    assert.ok(!stands(hit.keep));
  });

  it('by a tag stands until the tag is to be revalidated', async () => {
    for (const method of ['GET', 'HEAD'] as const) {
      const { keep } = await get('latest', method);
      assert.ok(keep);
    }
    world.clock.advance(tagTtlMs / 2);
    const later = await get('latest');
    assert.ok(stands(later.keep));
    world.clock.advance(tagTtlMs / 2 - 1);
    assert.ok(stands(later.keep));
    world.clock.advance(1);
    assert.ok(!stands(later.keep));
    const revalidated = await get('latest');
    assert.equal(revalidated.served, 'revalidated');
    assert.ok(stands(revalidated.keep));
  });

  it('by a tag that turns out to have moved stands no more, in no variant of the question', async () => {
    await get('latest');
    world.clock.advance(tagTtlMs - 1);
    const inTime = await world.soon(world.manifest('latest', { accept: ociManifest }));
    world.hub.push('library/app', 'latest', other);
    world.clock.advance(1);
    assert.ok(stands(inTime.keep));
    assert.equal((await get('latest')).digest, other.manifest.digest);
    assert.ok(!stands(inTime.keep));
  });

  it('is none that is stale', async () => {
    await get('latest');
    world.clock.advance(tagTtlMs);
    world.hub.before = () => {
      throw new AppError('UPSTREAM_FAILED', 'test');
    };
    const failed = await get('latest');
    assert.deepEqual([failed.served, failed.keep], ['stale', undefined]);
    assert.equal((await get('latest', 'HEAD')).keep, undefined);
    world.clock.advance(10_000);
    world.hub.before = () => new Promise<never>(() => {});
    const late = await world.soon(world.manifest('latest'), staleAfterMs);
    assert.deepEqual([late.served, late.keep], ['stale', undefined]);
  });

  it('names the change before anything was looked at: what changes while upstream is asked ends it', async () => {
    world.hub.before = () => world.changes.bump();
    const byTag = await get('latest');
    assert.ok(byTag.keep !== undefined && !stands(byTag.keep));
    const byDigest = await get(digest);
    assert.ok(stands(byDigest.keep));
  });

  it('to HEAD of a blob stands until something is lost', async () => {
    await get('latest');
    const answer = await world.soon(world.blob(image.layer.digest, { method: 'HEAD' }));
    assert.ok(answer.kind === 'head' && stands(answer.keep));
  });

  it('is a lease, for a gateway that can have one, on the whole of what is stored', async () => {
    await pulled();
    const anybody = await world.soon(world.blob(image.layer.digest));
    assert.ok(anybody.kind === 'body' && anybody.lease === undefined);
    anybody.body.close();
    const part = await world.soon(world.blob(image.layer.digest, { gateway: 1, range: 'bytes=5-9' }));
    assert.ok(part.kind === 'body' && part.lease !== undefined);
    const { lease } = part;
    assert.equal(lease.sizeBytes, image.layer.bytes.length);
    assert.deepEqual(part.body.storage, {
      kind: 'file',
      fd: lease.fd,
      fileId: lease.fileId,
      sizeBytes: lease.sizeBytes,
    });
    assert.ok(stands(lease.keep));
    part.body.close();
    world.assertNothingLeft();
  });

  it('is no lease while the blob is being fetched', async () => {
    await get('latest');
    const led = await world.soon(world.blob(image.layer.digest, { gateway: 0 }));
    assert.ok(led.kind === 'body' && led.lease === undefined);
    assert.deepEqual(await read(led), Buffer.from(image.layer.bytes));
  });

  it('is a lease that ends when the content turns out to be damaged', async () => {
    await pulled();
    const lease = await lent();
    await world.store.condemn(image.layer.digest, lease.fd, 'the test says so');
    assert.ok(!stands(lease.keep));
    assert.equal(new SharedUse(new Int32Array(lease.words), lease.index).enter(), false);
  });

  it('is a lease whose reader goes on from where it was, whatever has become of the file', async () => {
    await pulled();
    const { bytes } = image.layer;
    for (const isWrong of [false, true]) {
      const lease = await lent();
      const use = new SharedUse(new Int32Array(lease.words), lease.index);
      assert.ok(use.enter());
      if (isWrong) writeSync(lease.fd, Buffer.from([~(bytes[10] ?? 0)]), 0, 1, 10);
      ftruncateSync(lease.fd, 1500);
      await world.store.condemn(image.layer.digest, lease.fd, 'another reader says so');
      await read(await world.soon(world.blob(image.layer.digest)));
      const answer = await world.soon(world.blob(image.layer.digest, { leased: lease.fileId }));
      use.leave();
      assert.ok(answer.kind === 'body' && answer.lease === undefined);
      const { body } = answer;
      await world.soon(body.unreadable(1500, new AppError('STORAGE_FAILED', 'it ends there'), world.never));
      const rest = world.soon(world.bytesOf(answer, { from: 1500 }));
      // What was handed out before is vouched for as ever (P4).
      if (isWrong) await assert.rejects(rest, { code: 'CONTENT_MISMATCH' });
      else assert.deepEqual(await rest, Buffer.from(bytes.subarray(1500)));
      await world.soon(world.quiet());
      world.assertNothingLeft();
    }
    assert.notEqual(await world.store.sizeOf(image.layer.digest), undefined, 'what was fetched anew stays');
  });

  it('stands no longer than what was believed of its size', async () => {
    await pulled();
    world.catalog.link(world.scope(), [{ digest: image.layer.digest, sizeBytes: 7, mediaType: undefined }]);
    const head = await world.soon(world.blob(image.layer.digest, { method: 'HEAD' }));
    const lease = await lent();
    assert.ok(!stands(lease.keep), 'it was found to be another while that was asked');
    assert.ok(head.kind === 'head' && !stands(head.keep));
    assert.ok(stands((await lent()).keep));
  });
});

describe('what gateways answer by themselves', () => {
  it('is seen among the pulls, and counts as use', async () => {
    await using world = new PullWorld();
    world.hub.push('library/app', 'latest', image);
    await world.soon(world.manifest('latest'));
    const touched: string[] = [];
    world.catalog.touch = (used) => void touched.push(used);
    world.clock.advance(5000);
    const scope = world.scope();
    world.depot.noteHits([
      { scope, digest, method: 'GET', reference: { kind: 'digest', digest }, count: 40 },
      { scope, digest, method: 'HEAD', reference: { kind: 'digest', digest }, count: 9 },
      { scope, digest: image.layer.digest, method: 'GET', reference: undefined, count: 3 },
    ]);
    const [pull] = await world.board.snapshots();
    assert.equal(pull?.pulls, 41);
    assert.equal(pull?.lastAskedAtMs, world.clock.now());
    assert.deepEqual(touched, [digest, digest, image.layer.digest]);
  });
});

describe('a manifest that is here', () => {
  it('costs as many look-ups whatever it references, until something is lost', async () => {
    await using world = new PullWorld();
    world.hub.push('library/app', 'latest', image);
    await world.soon(world.manifest('latest'));
    await world.soon(world.manifest(digest));
    const lookUps = () => {
      let count = 0;
      const linked = world.catalog.linked.bind(world.catalog);
      world.catalog.linked = (scope, of) => {
        count++;
        return linked(scope, of);
      };
      return () => count;
    };
    const counted = lookUps();
    await world.soon(world.manifest(digest));
    assert.equal(counted(), 1);
    world.changes.bump();
    await world.soon(world.manifest(digest));
    assert.equal(counted(), 1 + 1 + image.blobs.length);
  });
});
