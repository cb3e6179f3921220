import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AppError } from '../../core/errors.ts';
import { PreheatWorld } from '../testing/preheat-world.ts';
import { testImage, testIndex } from '../testing/test-image.ts';

describe('a preheat', () => {
  it('brings an image whole, so that who pulls it then asks upstream nothing', async () => {
    await using world = new PreheatWorld();
    const image = testImage(1, 30_000);
    world.hub.push('library/app', 'v1', image);
    const ended = await world.ended(world.start());
    assert.equal(ended.state, 'done');
    const sizeBytes = image.blobs.reduce((sum, { bytes }) => sum + bytes.length, 0);
    assert.deepEqual([ended.sizeBytes, ended.filledBytes], [sizeBytes, sizeBytes]);
    assert.deepEqual(ended.images[0]?.manifest, image.manifest.digest);
    assert.deepEqual(
      ended.images[0]?.layers.map(({ digest, state }) => [digest, state]),
      image.blobs.map(({ digest }) => [digest, 'done']),
    );
    const asked = world.hub.calls.length;
    await world.manifest('v1');
    for (const { digest, bytes } of image.blobs) {
      assert.deepEqual(await world.bytesOf(await world.blob(digest)), Buffer.from(bytes));
    }
    assert.equal(world.hub.calls.length, asked);
    world.assertNothingLeft();
  });

  it('shares the flight of a client that pulls the same, and upstream brings it once', async () => {
    await using world = new PreheatWorld();
    const image = testImage(1, 30_000);
    world.hub.push('library/app', 'v1', image);
    const gate = Promise.withResolvers<void>();
    world.hub.chunkBytes = 5000;
    world.hub.beforeChunk = (offset) => (offset === 10_000 ? gate.promise : undefined);
    await world.soon(world.manifest('v1'));
    const answer = await world.soon(world.blob(image.layer.digest));
    const id = world.start();
    await world.quiet();
    const [, layer] = world.preheats.get(id)?.images[0]?.layers ?? [];
    assert.deepEqual([layer?.state, layer?.filledBytes], ['pulling', 10_000]);
    gate.resolve();
    assert.deepEqual(await world.bytesOf(answer), Buffer.from(image.layer.bytes));
    assert.equal((await world.ended(id)).state, 'done');
    assert.equal(world.hub.count(`GET blob library/app ${image.layer.digest}`), 1);
    world.assertNothingLeft();
  });

  it('pulls all platforms that an index lists, and nothing that runs nowhere', async () => {
    await using world = new PreheatWorld();
    const [amd64, arm] = [testImage(1), testImage(2)];
    world.pushIndex('v1', { 'linux/amd64': amd64, 'linux/arm/v7': arm });
    const ended = await world.ended(world.start());
    assert.equal(ended.state, 'done');
    assert.deepEqual(ended.images[0]?.platforms, ['linux/amd64', 'linux/arm/v7']);
    assert.equal(ended.images[0]?.layers.length, 4);
    for (const { layer } of [amd64, arm]) assert.notEqual(await world.store.sizeOf(layer.digest), undefined);
  });

  it('pulls the platforms that were asked for, and no byte of others', async () => {
    await using world = new PreheatWorld();
    const [amd64, arm] = [testImage(1), testImage(2)];
    world.pushIndex('v1', { 'linux/amd64': amd64, 'linux/arm64/v8': arm });
    const ended = await world.ended(world.start({ platforms: ['linux/arm64'] }));
    assert.deepEqual([ended.state, ended.images[0]?.platforms], ['done', ['linux/arm64/v8']]);
    assert.equal(await world.store.sizeOf(amd64.layer.digest), undefined);
    assert.equal(world.hub.count(`GET manifest library/app ${amd64.manifest.digest}`), 0);
    assert.notEqual(await world.store.sizeOf(arm.layer.digest), undefined);
  });

  it('of a platform that the image is not for says for which it is', async () => {
    await using world = new PreheatWorld();
    world.pushIndex('v1', { 'linux/amd64': testImage(1), 'linux/arm64': testImage(2) });
    const ended = await world.ended(world.start({ platforms: ['linux/s390x'] }));
    assert.equal(ended.state, 'failed');
    const error = 'there is nothing for linux/s390x: the image is for linux/amd64, linux/arm64';
    assert.equal(ended.images[0]?.error, error);
  });

  it('pulls all that an index lists where it says of none what it runs on', async () => {
    await using world = new PreheatWorld();
    const image = testImage(1);
    world.hub.push('library/app', 'other', image);
    world.hub.pushManifest('library/app', 'v1', testIndex(image.manifest));
    assert.equal((await world.ended(world.start())).state, 'done');
    assert.notEqual(await world.store.sizeOf(image.layer.digest), undefined);
  });

  it('of an unknown image says so, and pulls the others', async () => {
    await using world = new PreheatWorld();
    world.hub.push('library/app', 'v1', testImage(1));
    const ended = await world.ended(world.start({ images: ['app:none', 'app:v1'] }));
    assert.equal(ended.state, 'failed');
    assert.deepEqual(
      ended.images.map(({ image, state, error }) => [image, state, error]),
      [
        ['docker.io/library/app:none', 'failed', 'no tag here'],
        ['docker.io/library/app:v1', 'done', undefined],
      ],
    );
  });

  it('says which layer failed, and why, and pulls the others', async () => {
    await using world = new PreheatWorld();
    const image = testImage(1);
    world.hub.push('library/app', 'v1', image);
    world.hub.before = (call) => {
      if (call.startsWith(`GET blob library/app ${image.layer.digest}`))
        throw new AppError('BLOB_UNKNOWN', 'it is gone');
    };
    const ended = await world.ended(world.start());
    const [config, layer] = ended.images[0]?.layers ?? [];
    assert.equal(config?.state, 'done');
    assert.equal(layer?.state, 'failed');
    assert.match(layer?.error ?? '', /it is gone/);
    assert.match(ended.images[0]?.error ?? '', /it is gone/);
    world.assertNothingLeft();
  });

  for (const [refused, why] of [
    ['GET manifest', 'another attempt: too many'],
    ['GET blob', 'docker.io asked for a rest: 1m 00s left'],
  ] as const) {
    it(`waits out a rest that upstream asks for, and says meanwhile why: ${refused}`, async () => {
      await using world = new PreheatWorld();
      world.hub.push('library/app', 'v1', testImage(1));
      let refusals = 2;
      world.hub.before = (call) => {
        const isRefused = call.startsWith(refused) && refusals-- > 0;
        if (isRefused) throw new AppError('UPSTREAM_RATE_LIMITED', 'too many', { retryAfterMs: 60_000 });
      };
      const id = world.start();
      await world.quiet();
      const [resting] = world.preheats.get(id)?.images ?? [];
      assert.deepEqual([resting?.state, resting?.waitingFor], ['pulling', why]);
      const ended = await world.ended(id);
      assert.deepEqual([ended.state, ended.images[0]?.waitingFor], ['done', undefined]);
    });
  }

  it('that is cancelled asks for no more, while a client goes on with what it shared', async () => {
    await using world = new PreheatWorld();
    const image = testImage(1, 30_000);
    world.hub.push('library/app', 'v1', image);
    const gate = Promise.withResolvers<void>();
    world.hub.chunkBytes = 5000;
    world.hub.beforeChunk = (offset) => (offset === 10_000 ? gate.promise : undefined);
    for (const n of [2, 3]) world.hub.push('library/app', `v${n}`, testImage(n, 30_000));
    const id = world.start({ images: ['app:v1', 'app:v2', 'app:v3'] });
    await world.quiet();
    await world.soon(world.manifest('v1'));
    const answer = await world.soon(world.blob(image.layer.digest));
    assert.equal(world.preheats.cancel(id)?.state, 'cancelled');
    const ended = await world.ended(id);
    assert.equal(ended.state, 'cancelled');
    assert.equal(ended.images.at(-1)?.state, 'cancelled');
    assert.equal(ended.images[0]?.layers.at(-1)?.state, 'cancelled');
    gate.resolve();
    assert.deepEqual(await world.bytesOf(answer), Buffer.from(image.layer.bytes));
    assert.equal(world.preheats.cancel(id)?.endedAtMs, ended.endedAtMs, 'cancelling twice is harmless');
    assert.equal(world.preheats.cancel('no such'), undefined);
    world.assertNothingLeft();
  });

  it('asks where the tag points now, and says so where upstream cannot be asked', async () => {
    await using world = new PreheatWorld();
    const [first, second] = [testImage(1, 1000), testImage(2, 1000)];
    world.hub.push('library/app', 'v1', first);
    await world.ended(world.start());
    world.hub.push('library/app', 'v1', second);
    const fresh = await world.ended(world.start());
    assert.deepEqual([fresh.images[0]?.manifest, fresh.images[0]?.warning], [second.manifest.digest, undefined]);
    assert.equal(world.hub.count('HEAD manifest library/app v1'), 2);
    world.hub.before = () => {
      throw new AppError('UPSTREAM_UNREACHABLE', 'nobody is there');
    };
    const stale = await world.ended(world.start());
    assert.deepEqual([stale.state, stale.images[0]?.manifest], ['done', second.manifest.digest]);
    assert.match(stale.images[0]?.warning ?? '', /^upstream could not be asked where the tag points/);
    world.assertNothingLeft();
  });

  it('looks at the end whether all of it is here: what left meanwhile has failed', async () => {
    await using world = new PreheatWorld();
    const [first, last] = [testImage(1, 30_000), testImage(2, 30_000)];
    world.hub.push('library/app', 'v1', first);
    world.hub.push('library/app', 'v2', last);
    const gate = Promise.withResolvers<void>();
    world.hub.before = (call) => (call.endsWith(last.layer.digest) ? gate.promise : undefined);
    const id = world.start({ images: ['app:v1', 'app:v2'] });
    const stateOfFirst = () => world.preheats.get(id)?.images[0]?.state;
    for (let turn = 0; turn < 100 && stateOfFirst() !== 'done'; turn++) {
      await world.quiet();
      world.clock.advance(50);
    }
    assert.equal(stateOfFirst(), 'done');
    await world.lose(first.layer.digest);
    gate.resolve();
    const ended = await world.ended(id);
    assert.deepEqual([ended.state, ended.images.map(({ state }) => state)], ['failed', ['failed', 'done']]);
    const [image] = ended.images;
    assert.match(image?.error ?? '', new RegExp(`^${first.layer.digest} was here and has left the cache meanwhile`));
    assert.deepEqual([image?.layers[1]?.state, image?.filledBytes], ['failed', first.config.bytes.length]);
    world.assertNothingLeft();
  });

  it('of a manifest that cannot be kept has failed, with the cause, and does not when the disk takes it again', async () => {
    await using world = new PreheatWorld();
    world.hub.push('library/app', 'v1', testImage(1));
    world.store.failPuts = new AppError('STORAGE_FULL', 'no space left on device');
    world.troubles.push('the disk is full');
    const ended = await world.ended(world.start());
    assert.equal(ended.state, 'failed');
    assert.match(ended.images[0]?.error ?? '', /^sha256:\w+ cannot be kept: the disk is full$/);
    world.store.failPuts = undefined;
    world.troubles.pop();
    world.clock.advance(10_000);
    assert.equal((await world.ended(world.start())).state, 'done');
    assert.equal(world.hub.count('GET manifest'), 1);
    world.assertNothingLeft();
  });

  it('of more than the cache holds fetches nothing', async () => {
    await using world = new PreheatWorld({ maxBytes: 1000 });
    world.hub.push('library/app', 'v1', testImage(1, 3000));
    const ended = await world.ended(world.start());
    assert.match(ended.images[0]?.error ?? '', /it has 3\.\d KiB, and the cache holds 1000 B \(storage\.maxSize\)/);
    assert.equal(world.hub.count('GET blob'), 0);
  });

  it('of a layer that the disk cannot take says so, and passes nothing through for nobody', async () => {
    await using world = new PreheatWorld();
    world.hub.push('library/app', 'v1', testImage(1, 50_000));
    world.store.failWrites = new AppError('STORAGE_FULL', 'no space left on device');
    const ended = await world.ended(world.start());
    assert.equal(ended.state, 'failed');
    assert.match(ended.images[0]?.error ?? '', /cannot be kept|no space left/);
    world.assertNothingLeft();
  });
});

describe('preheats', () => {
  it('are refused for what is no image or platform, and when too many run', async () => {
    await using world = new PreheatWorld({ maxRunning: 1 });
    const gate = Promise.withResolvers<void>();
    world.hub.push('library/app', 'v1', testImage(1));
    world.hub.before = () => gate.promise;
    for (const request of [
      { images: [], where: 'body.images' },
      { images: ['app:v1', 'NO:name'], where: 'body.images.1' },
      { images: ['unknown.example/app'], where: 'body.images.0' },
      { platforms: ['linux/arm64', 'linux'], where: 'body.platforms.1' },
      { images: Array.from({ length: 101 }, (_, n) => `app:v${n}`), where: 'body.images' },
    ]) {
      assert.throws(
        () => world.start(request),
        ({ code, details }) => code === 'REQUEST_MALFORMED' && details.where === request.where,
      );
    }
    const id = world.start();
    assert.throws(() => world.start(), { code: 'OVERLOADED' });
    gate.resolve();
    await world.ended(id);
    await world.ended(world.start());
  });

  it('that ended are remembered, the latest first, as many as are allowed', async () => {
    await using world = new PreheatWorld({ maxEnded: 2 });
    world.hub.push('library/app', 'v1', testImage(1));
    for (let n = 0; n < 3; n++) await world.ended(world.start());
    assert.deepEqual(
      world.preheats.list().map(({ id, state, imageCounts }) => [id, state, imageCounts.done]),
      [
        ['preheat-3', 'done', 1],
        ['preheat-2', 'done', 1],
      ],
    );
    assert.equal(world.preheats.get('preheat-1'), undefined);
  });

  it('are shown with their images: all that run, and of those that ended the latest, which do not change', async () => {
    await using world = new PreheatWorld();
    const gate = Promise.withResolvers<void>();
    world.hub.push('library/app', 'v1', testImage(1));
    world.hub.push('library/app', 'v2', testImage(2));
    world.hub.before = (call) => (call.endsWith(' v2') ? gate.promise : undefined);
    const held = world.start({ images: ['app:v2'] });
    await world.ended(world.start());
    const later = await world.ended(world.start());
    const shown = () => world.preheats.latest(1);
    assert.deepEqual(
      shown().map(({ id, images }) => [id, images.length]),
      [
        [later.id, 1],
        [held, 1],
      ],
    );
    assert.equal(shown()[0], shown()[0]);
    world.clock.advance(1000);
    gate.resolve();
    await world.ended(held);
    assert.deepEqual(
      shown().map(({ id }) => id),
      [held],
      'it ended last, although it began first',
    );
  });

  it('of which one took long are remembered by when they ended', async () => {
    await using world = new PreheatWorld({ maxEnded: 1 });
    const gate = Promise.withResolvers<void>();
    world.hub.push('library/app', 'v1', testImage(1));
    world.hub.push('library/app', 'v2', testImage(2));
    world.hub.before = (call) => (call.endsWith(' v2') ? gate.promise : undefined);
    const long = world.start({ images: ['app:v2'] });
    const short = await world.ended(world.start());
    world.clock.advance(1000);
    gate.resolve();
    assert.equal((await world.ended(long)).state, 'done');
    assert.equal(world.preheats.get(short.id), undefined);
  });

  it('pull no more layers at once than they may, however many run', async () => {
    await using world = new PreheatWorld({ layersAtOnce: 2 });
    let [now, most] = [0, 0];
    const gates: (() => void)[] = [];
    world.hub.before = async (call) => {
      if (!call.startsWith('GET blob')) return;
      most = Math.max(most, ++now);
      const gate = Promise.withResolvers<void>();
      gates.push(gate.resolve);
      await gate.promise;
      now--;
    };
    for (const n of [1, 2, 3]) world.hub.push('library/app', `v${n}`, testImage(n));
    const ids = [1, 2, 3].map((n) => world.start({ images: [`app:v${n}`] }));
    for (let turn = 0; turn < 200 && ids.some((id) => world.preheats.get(id)?.endedAtMs === undefined); turn++) {
      await world.quiet();
      gates.shift()?.();
      world.clock.advance(60);
    }
    for (const id of ids) assert.equal(world.preheats.get(id)?.state, 'done');
    assert.equal(most, 2);
  });

  it('are given up when the node shuts down', async () => {
    await using world = new PreheatWorld();
    const gate = Promise.withResolvers<void>();
    world.hub.push('library/app', 'v1', testImage(1));
    world.hub.before = () => gate.promise;
    const id = world.start();
    await world.preheats[Symbol.asyncDispose]();
    assert.equal(world.preheats.get(id)?.state, 'cancelled');
    assert.throws(() => world.start(), { code: 'SHUTTING_DOWN' });
    gate.resolve();
    await world.quiet();
  });
});
