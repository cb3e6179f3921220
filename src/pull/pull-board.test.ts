import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { AppError } from '../core/errors.ts';
import { PullWorld } from './testing/pull-world.ts';
import { testImage, testIndex } from './testing/test-image.ts';

const image = testImage(1);

describe('the board of pulls', () => {
  let world: PullWorld;

  beforeEach(() => {
    world = new PullWorld();
    world.hub.push('library/app', 'latest', image);
  });

  afterEach(() => world[Symbol.asyncDispose]());

  async function only() {
    const [pull, ...others] = await world.board.snapshots();
    assert.ok(pull);
    assert.equal(others.length, 0);
    return pull;
  }

  it('shows an image with its layers, by the name it was asked by', async () => {
    await world.soon(world.manifest('latest'));
    const pull = await only();
    assert.deepEqual([pull.image, pull.state], ['docker.io/library/app:latest', 'incomplete']);
    assert.deepEqual(
      pull.layers.map((layer) => [layer.digest, layer.state]),
      [
        [image.config.digest, 'missing'],
        [image.layer.digest, 'missing'],
      ],
    );
    world.clock.advance(1000);
    await world.soon(world.manifest('latest'));
    assert.deepEqual([(await only()).pulls, (await only()).lastAskedAtMs - pull.firstAskedAtMs], [2, 1000]);
  });

  it('calls the image of an index by the tag of the index', async () => {
    world.hub.pushManifest('library/app', 'multi', testIndex(image.manifest));
    await world.soon(world.manifest('multi'));
    assert.deepEqual(await world.board.snapshots(), []);
    await world.soon(world.manifest(image.manifest.digest));
    assert.equal((await only()).image, 'docker.io/library/app:multi');
  });

  it('calls an image by its tag where a client asks where the tag points and then for the digest', async () => {
    await world.soon(world.manifest('latest', { method: 'HEAD' }));
    await world.soon(world.manifest(image.manifest.digest));
    assert.equal((await only()).image, 'docker.io/library/app:latest');
  });

  it('shows who waits while a layer comes, what it cost, and that it is done', async () => {
    await world.soon(world.manifest('latest'));
    const gate = Promise.withResolvers<void>();
    world.hub.before = () => gate.promise;
    const asked = ['node-1', 'node-2', 'node-2'].map((client) => world.blob(image.layer.digest, { client }));
    await world.quiet();
    const waiting = await only();
    assert.deepEqual([waiting.state, waiting.waiters, waiting.clients], ['waiting', 3, ['node-1', 'node-2']]);
    gate.resolve();
    for (const answer of asked) await world.bytesOf(await answer);
    await world.bytesOf(await world.soon(world.blob(image.config.digest)));
    await world.quiet();
    const done = await only();
    assert.deepEqual([done.state, done.waiters, done.clients], ['done', 0, []]);
    assert.deepEqual([done.upstreamRequests, done.upstreamBytes], [2, done.sizeBytes]);
    assert.equal(done.filledBytes, done.sizeBytes);
  });

  it('counts nothing of what has left the store, however often it was pulled before', async () => {
    const { config, layer } = image;
    await world.soon(world.manifest('latest'));
    for (const { digest } of [config, layer]) await world.bytesOf(await world.soon(world.blob(digest)));
    await world.quiet();
    assert.deepEqual(
      [(await only()).state, (await only()).filledBytes],
      ['done', config.bytes.length + layer.bytes.length],
    );
    for (const { digest } of [config, layer]) await world.lose(digest);
    const left = await only();
    assert.deepEqual([left.state, left.filledBytes], ['incomplete', 0]);
    assert.deepEqual(
      left.layers.map(({ state, filledBytes }) => [state, filledBytes]),
      [
        ['missing', 0],
        ['missing', 0],
      ],
    );
    const gate = Promise.withResolvers<void>();
    world.hub.before = () => gate.promise;
    const asked = world.blob(config.digest);
    await world.quiet();
    const again = await only();
    assert.deepEqual([again.state, again.filledBytes, again.layers[1]?.filledBytes], ['waiting', 0, 0]);
    gate.resolve();
    await world.bytesOf(await world.soon(asked));
    await world.quiet();
    const half = await only();
    assert.deepEqual([half.state, half.filledBytes], ['incomplete', config.bytes.length], 'nobody asks for the layer');
  });

  it('counts what a fill that failed has left on disk, and no more once that is gone', async () => {
    const { layer } = image;
    await world.soon(world.manifest('latest'));
    const half = layer.bytes.length / 2;
    await world.leaveHalf(layer.digest, layer.bytes.subarray(0, half));
    const left = await only();
    assert.deepEqual([left.state, left.filledBytes, left.layers[1]?.state], ['incomplete', half, 'missing']);
  });

  it('shows what failed, and why', async () => {
    await world.soon(world.manifest('latest'));
    world.hub.before = () => {
      throw new AppError('UPSTREAM_DENIED', 'not for you');
    };
    const answer = await world.soon(world.blob(image.layer.digest));
    await assert.rejects(world.bytesOf(answer), { code: 'UPSTREAM_DENIED' });
    await world.quiet();
    const pull = await only();
    assert.deepEqual([pull.state, pull.layers[1]?.error, pull.waiters], ['failed', 'not for you', 0]);
  });

  it('forgets the oldest of many, but none that is on its way', async () => {
    await world.soon(world.manifest('latest'));
    const gate = Promise.withResolvers<void>();
    world.hub.before = (call) => (call.startsWith('GET blob') ? gate.promise : undefined);
    const asked = world.blob(image.layer.digest);
    for (let seed = 10; seed < 215; seed++) {
      world.hub.push('library/app', `v${seed}`, testImage(seed, 10));
      await world.soon(world.manifest(`v${seed}`));
    }
    const pulls = await world.board.snapshots();
    assert.equal(pulls.length, 201);
    assert.equal(pulls[0]?.image, 'docker.io/library/app:v214');
    assert.deepEqual([pulls.at(-1)?.image, pulls.at(-1)?.waiters], ['docker.io/library/app:latest', 1]);
    gate.resolve();
    await world.bytesOf(await world.soon(asked));
  });

  it('shows an image that is here as the same object, until it is asked for, is read, or content leaves', async () => {
    await world.soon(world.manifest('latest'));
    for (const { digest } of [image.config, image.layer]) await world.bytesOf(await world.soon(world.blob(digest)));
    await world.quiet();
    let shown = await only();
    assert.equal(shown.state, 'done');
    const isSame = async () => {
      const before = shown;
      shown = await only();
      return shown === before;
    };
    assert.equal(await isSame(), true);
    await world.soon(world.manifest('latest'));
    assert.deepEqual([await isSame(), shown.pulls], [false, 2]);
    const answer = await world.soon(world.blob(image.layer.digest));
    assert.deepEqual([await isSame(), shown.waiters], [false, 1]);
    await world.bytesOf(answer);
    assert.deepEqual([await isSame(), shown.waiters], [false, 0]);
    assert.equal(await isSame(), true);
    await world.lose(image.layer.digest);
    assert.deepEqual([await isSame(), shown.state, shown.layers[1]?.state], [false, 'incomplete', 'missing']);
    await world.bytesOf(await world.soon(world.blob(image.layer.digest)));
    await world.quiet();
    assert.deepEqual([await isSame(), shown.state], [false, 'done'], 'what came is seen at once');
  });
});
