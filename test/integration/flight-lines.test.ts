import assert from 'node:assert/strict';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { buildImage, type Content } from '../../src/cli/demo/image.ts';
import { cut, status } from '../support/faults.ts';
import type { LogLine } from '../support/onepull-process.ts';
import { inScene, type Scene } from './scene.ts';

const image = buildImage({ seed: 'flight lines', layerSizes: [3_000_000] });
const [layer] = image.layers as [Content];

/** The lines of the layer's transfers that ended so, once there are as many. */
async function lines({ onepull }: Pick<Scene, 'onepull'>, change: string, count = 1): Promise<LogLine[]> {
  const told = () => onepull.log.filter((line) => line.change === change && line.digest === layer.digest);
  await onepull.admin.until(
    async () => told().length,
    (there) => there >= count,
  );
  return told();
}

test('a transfer that fails half way says of which image and endpoint it was, how much came, and what stays', () =>
  inScene({}, async ({ registry, onepull, client }) => {
    registry.content.add('org/app', image, 'v1');
    await client.manifest('org/app', 'v1');
    registry.next({ reference: layer.digest }, cut(1_500_000));
    registry.always({ reference: layer.digest }, status(404));
    assert.equal((await client.blob('org/app', layer.digest)).outcome, 'cut');
    const [line] = await lines({ onepull }, 'failed');
    const { host } = new URL(registry.url);
    assert.deepEqual([line?.error, line?.level], ['BLOB_UNKNOWN', 'info']);
    assert.deepEqual([line?.upstream, line?.source, line?.endpoint], ['demo.example', 'demo.example/org/app', host]);
    assert.deepEqual([line?.sizeBytes, line?.receivedBytes], [layer.bytes.length, 1_500_000]);
    const [ended] = await onepull.admin.until(
      async () => (await onepull.admin.flights()).filter(({ digest }) => digest === layer.digest),
      ([flight]) => flight?.state === 'failed',
    );
    const left = await stat(join(onepull.dataFolder, 'ingest', `${layer.digest.replace(':', '-')}.part`));
    assert.deepEqual([line?.filledBytes, line?.keptBytes, left.size], [1_500_000, 1_500_000, 1_500_000]);
    assert.deepEqual([ended?.state, ended?.filledBytes, ended?.notKept], ['failed', 1_500_000, undefined]);
    registry.behave();
    // That upstream has it not is remembered for a moment.
    await onepull.admin.until(
      () => client.blob('org/app', layer.digest),
      (answer) => answer.status === 200,
    );
    const [done] = await lines({ onepull }, 'done');
    assert.deepEqual([done?.endpoint, done?.keptBytes], [host, layer.bytes.length]);
    assert.equal(done?.receivedBytes, layer.bytes.length - 1_500_000);
  }));

test('a blob that is larger than the cache says so in the log, the metrics and the API', () =>
  inScene({ configuration: { storage: { maxSize: '1MiB' } } }, async ({ registry, onepull, client }) => {
    registry.content.add('org/app', image, 'v1');
    await client.manifest('org/app', 'v1');
    const hold = registry.hold(layer.digest, 1_000_000);
    const pulled = client.blob('org/app', layer.digest);
    await hold.reached;
    const flying = (await onepull.admin.flights()).find(({ digest }) => digest === layer.digest);
    assert.equal(flying?.notKept, 'too-large');
    hold.release();
    assert.equal((await pulled).outcome, 'complete');
    const [line] = await lines({ onepull }, 'passed');
    assert.deepEqual([line?.notKept, line?.level], ['too-large', 'info']);
    assert.match(String(line?.message), /without being kept/);
    assert.deepEqual([line?.receivedBytes, line?.keptBytes], [layer.bytes.length, 0]);
    assert.equal(line?.endpoint, new URL(registry.url).host);
    const ends = (result: string) => onepull.admin.metric('onepull_flight_ends_total', { result });
    assert.deepEqual([await ends('passed'), await ends('done'), await ends('failed')], [1, 0, 0]);
  }));

test('on a full disk an operator is warned that nothing is kept, once', () =>
  inScene({ configuration: { storage: { minFree: '1000TiB' } } }, async ({ registry, onepull, client }) => {
    registry.content.add('org/app', image, 'v1');
    await client.manifest('org/app', 'v1');
    for (let pull = 0; pull < 2; pull++) assert.equal((await client.blob('org/app', layer.digest)).outcome, 'complete');
    const passed = await lines({ onepull }, 'passed', 2);
    assert.deepEqual(
      passed.map(({ level, notKept }) => [level, notKept]),
      [
        ['warn', 'disk-full'],
        ['info', 'disk-full'],
      ],
    );
    const failed = await lines({ onepull }, 'failed');
    assert.ok(failed.every(({ level, error }) => level === 'info' && error === 'STORAGE_FULL'));
  }));
