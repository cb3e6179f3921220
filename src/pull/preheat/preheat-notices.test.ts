import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PreheatWorld } from '../testing/preheat-world.ts';
import { testImage } from '../testing/test-image.ts';

const asker = { client: '10.0.0.9', userAgent: 'curl/8' };

test('a preheat says that it begins and how it ended, who asked for it, and how much it is', async () => {
  await using world = new PreheatWorld();
  const image = testImage(1, 30_000);
  world.hub.push('library/app', 'v1', image);
  const { id } = world.preheats.start({ images: ['app:v1'], platforms: ['linux/amd64'] }, asker);
  const { startedAtMs, endedAtMs } = await world.ended(id);
  const facts = { event: 'preheat', id, images: ['docker.io/library/app:v1'], ...asker };
  const sizeBytes = image.blobs.reduce((sum, { bytes }) => sum + bytes.length, 0);
  assert.deepEqual(world.said, [
    {
      level: 'info',
      message: 'a preheat of 1 image begins',
      ...facts,
      change: 'started',
      platforms: ['linux/amd64'],
    },
    {
      level: 'info',
      message: 'a preheat of 1 image is done: 1 done',
      ...facts,
      change: 'done',
      cancelledBy: undefined,
      imageCounts: { waiting: 0, pulling: 0, done: 1, failed: 0, cancelled: 0 },
      failed: undefined,
      sizeBytes,
      filledBytes: sizeBytes,
      durationMs: (endedAtMs ?? 0) - startedAtMs,
    },
  ]);
});

test('one that failed is a warning that names what failed and why', async () => {
  await using world = new PreheatWorld();
  world.hub.push('library/app', 'v1', testImage(1));
  await world.ended(world.start({ images: ['app:v1', 'app:none'] }));
  const [, { level, message, failed } = {}] = world.said;
  assert.deepEqual([level, message], ['warn', 'a preheat of 2 images failed: 1 done, 1 failed']);
  const [{ image, error }] = failed as [{ image: string; error: string }];
  assert.equal(image, 'docker.io/library/app:none');
  assert.ok(error.length > 0);
});

test('one that is cancelled says by whom; what it may name is bounded', async () => {
  await using world = new PreheatWorld();
  const gate = Promise.withResolvers<void>();
  world.hub.beforeChunk = () => gate.promise;
  world.hub.push('library/app', 'v1', testImage(1, 30_000));
  const images = Array.from({ length: 12 }, (_, tag) => `app:v${tag + 1}`);
  const { id } = world.preheats.start({ images, platforms: [] }, asker);
  await world.quiet();
  world.preheats.cancel(id, { client: '10.0.0.7', userAgent: undefined });
  world.preheats.cancel(id, { client: '10.0.0.8', userAgent: undefined });
  await world.ended(id);
  gate.resolve();
  await world.quiet();
  const [, { level, change, client, cancelledBy, images: named }] = world.said as [unknown, Record<string, unknown>];
  assert.deepEqual([level, change, client, cancelledBy], ['info', 'cancelled', '10.0.0.9', '10.0.0.7']);
  assert.equal((named as string[]).length, 10);
  assert.equal(world.said.length, 2);
});
