import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildImage, type Content } from '../../src/cli/demo/image.ts';
import { cannotFail, FailingDisk } from '../../src/store/testing/small-disk.ts';
import { PullClient } from '../support/client.ts';
import { Leaks } from '../support/leaks.ts';
import { OnepullProcess } from '../support/onepull-process.ts';
import { ScriptedRegistry } from '../support/scripted-registry.ts';
import { assertWhole, told } from './world.ts';

const repository = 'org/app';
const image = buildImage({ seed: 'failing', layerSizes: [1_500_000, 1_000_000, 3_000_000, 50_000] });
const [kept, missing, running, small] = image.layers as [Content, Content, Content, Content];

test('a disk that turns read-only under a running onepull: hits go on, misses are whole or told, nothing is wrong', {
  skip: await cannotFail(),
}, async () => {
  const leaks = await Leaks.watch();
  {
    await using disk = await FailingDisk.make(64 * 2 ** 20);
    await using registry = await ScriptedRegistry.start();
    registry.content.add(repository, image, 'v1');
    await using onepull = await OnepullProcess.start({
      storage: { path: `${disk.path}/data`, minFree: '1MiB' },
      upstreams: { 'demo.example': { url: registry.url, default: true } },
    });
    await using client = new PullClient(onepull.url);
    assert.equal((await client.manifest(repository, 'v1')).status, 200);
    assertWhole(await client.blob(repository, kept.digest), kept);
    const hold = registry.hold(running.digest, 1_000_000);
    const follower = client.blob(repository, running.digest);
    await hold.reached;

    await disk.fail();
    hold.release();
    const followed = await follower;
    if (followed.outcome === 'complete') assertWhole(followed, running);
    assertWhole(await client.blob(repository, kept.digest), kept);
    assert.equal(registry.tally.bodies(kept.digest).length, 1);
    assert.equal(
      (await client.manifest(repository, 'v1')).status,
      200,
      'what the catalog cannot be told fails no pull',
    );
    for (const blob of [missing, small]) {
      const answer = await client.blob(repository, blob.digest);
      if (answer.status === 200) assertWhole(answer, blob);
      else assert.match(told(answer), /^50[03] (UNKNOWN|UNAVAILABLE)$/);
    }
    const ready = await fetch(`${onepull.adminUrl}/readyz`);
    assert.equal(ready.status, 200);
    assert.match(await ready.text(), /"warnings":\[.*the disk fails: read-only file system/);
    assert.ok(onepull.isRunning);
  }
  await leaks.assertNone();
});
