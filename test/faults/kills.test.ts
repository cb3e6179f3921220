import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { buildImage } from '../../src/cli/demo/image.ts';
import { digestOf } from '../../src/core/digest.ts';
import { Random } from '../../src/flights/testing/random.ts';
import { Leaks } from '../support/leaks.ts';
import { untilUp } from '../support/loopback.ts';
import { OnepullProcess } from '../support/onepull-process.ts';
import { pull } from '../support/pull.ts';
import { ScriptedRegistry } from '../support/scripted-registry.ts';
import { blobFile, fillsIn } from './world.ts';

const kills = 5;
const clients = 8;
const repository = 'org/app';

test(`kill -9 at ${kills} moments of a burst: every restart goes on, and in the end every byte is right`, async (t) => {
  const seed = Number(process.env.ONEPULL_TEST_SEED ?? Date.now() % 1_000_000);
  t.diagnostic(`ONEPULL_TEST_SEED=${seed}`);
  const random = new Random(seed);
  const leaks = await Leaks.watch();
  {
    await using registry = await ScriptedRegistry.start({ bytesPerSecond: 24_000_000 });
    const image = buildImage({ seed: 'kills', layerSizes: [4_000_000, 50_000, 7_000_000, 5_000_000, 1000] });
    registry.content.add(repository, image, 'v1');
    const upstreams = { 'demo.example': { url: registry.url, default: true } };
    await using onepull = await OnepullProcess.start({ upstreams });
    const burst = () =>
      Promise.allSettled(
        Array.from({ length: clients }, () => pull(onepull.url, repository, 'v1', { expected: image.layers })),
      );
    for (let round = 0; round < kills; round++) {
      const before = registry.tally.bytesSent();
      const killAfter = random.below(image.totalBytes / kills);
      const pulls = burst();
      await Promise.race([pulls, registry.tally.until((tally) => tally.bytesSent() - before >= killAfter)]);
      assert.deepEqual(await onepull.killHard(), { code: null, signal: 'SIGKILL' });
      // Nobody was given a whole that is wrong: `pull` has compared every byte of what was complete.
      for (const outcome of await pulls) {
        if (outcome.status === 'rejected') assert.doesNotMatch(String(outcome.reason), /wrong bytes/);
      }
      await onepull.startAgain();
    }
    for (const outcome of await burst()) assert.equal(outcome.status, 'fulfilled', String(Object(outcome).reason));
    await untilUp(async () => (await onepull.admin.metric('onepull_flights')) === 0, 'the end of the last flight');
    for (const { digest } of [image.manifest, image.config, ...image.layers]) {
      assert.equal(digestOf(await readFile(blobFile(onepull.dataFolder, digest))), digest);
    }
    assert.deepEqual(await fillsIn(onepull.dataFolder), []);
    for (const { digest } of image.layers) assert.equal(registry.tally.concurrency(digest).current, 0);
    assert.deepEqual(await onepull.terminate(), { code: 0, signal: null });
  }
  await leaks.assertNone();
});
