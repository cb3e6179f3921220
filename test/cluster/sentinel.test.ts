import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { buildImage } from '../../src/cli/demo/image.ts';
import { TemporaryDirectory } from '../support/loopback.ts';
import { needs } from '../support/need.ts';
import { pull } from '../support/pull.ts';
import { SentinelSetup } from '../support/redis-sentinel.ts';
import { clusterOf, inCluster, untilAllAreHeard } from './cluster-scene.ts';

const skip = needs('redis-server', 'redis-cli');
const images = ['before', 'between', 'after'].map((seed) => buildImage({ seed, layerSizes: [3_000, 600_000] }));
const [before, between, after] = images;
assert.ok(before && between && after);

test('the primary dies and its replica is promoted: nodes go on sharing, without a restart', { skip }, async () => {
  await using setup = await SentinelSetup.start();
  const engine = await setup.url();
  await inCluster({ nodes: 2, late: true, configuration: () => ({ cluster: { engine } }) }, async (scene) => {
    const { registry, nodes } = scene;
    const pullAll = (name: string) => Promise.all(nodes.map(({ url }) => pull(url, `org/${name}`, 'v1')));
    await untilAllAreHeard(nodes);
    registry.content.add('org/before', before, 'v1');
    await pullAll('before');
    assert.equal(registry.tally.bytesSent(), before.totalBytes);

    await setup.primary[Symbol.asyncDispose]();
    registry.content.add('org/between', between, 'v1');
    await pullAll('between');
    for (const node of nodes) {
      await node.admin.until(
        async () => (await clusterOf(node)).cluster.engine.isUp,
        (isUp) => !isUp,
      );
    }
    await setup.failOver();
    await untilAllAreHeard(nodes);
    registry.tally.reset();
    registry.content.add('org/after', after, 'v1');
    await pullAll('after');
    assert.equal(registry.tally.bytesSent(), after.totalBytes);
    assert.match(await setup.replica.ask('info', 'replication'), /role:master/);
  });
});

test('engine and Sentinels each want a password of their own, from files', { skip }, async () => {
  await using setup = await SentinelSetup.start({ password: 'of the engine', sentinelPassword: 'of Sentinels' });
  await using folder = await TemporaryDirectory.make();
  const [passwordFile, sentinelPasswordFile] = ['engine', 'sentinels'].map((name) => join(folder.path, name));
  assert.ok(passwordFile && sentinelPasswordFile);
  await writeFile(passwordFile, 'of the engine\n');
  await writeFile(sentinelPasswordFile, 'of Sentinels\n');
  const known = { engine: await setup.url(), passwordFile, sentinelPasswordFile };
  const { sentinelPasswordFile: _, ...unknown } = known;
  const configuration = (index: number) => ({ cluster: index === 0 ? known : unknown });
  await inCluster({ nodes: 2, late: true, configuration }, async ({ nodes: [first, second] }) => {
    assert.ok(first && second);
    await untilAllAreHeard([first]);
    const { text } = await second.admin.get('/readyz');
    assert.match(text, /pulls on its own.*no Sentinel helps: it refuses the user or the password: NOAUTH/);
    assert.doesNotMatch(JSON.stringify(second.log) + text, /of the engine|of Sentinels/);
  });
});
