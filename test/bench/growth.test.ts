import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import { blobsPerImage, cachedImage, imagesOf, ownBlobs } from '../../bench/growth/cache-content.ts';
import { growthChart } from '../../bench/growth/chart.ts';
import { crowd } from '../../bench/growth/crowd.ts';
import type { ClientsSample } from '../../bench/growth/measure-clients.ts';
import type { ServerSample } from '../../bench/growth/measure-server.ts';
import type { StoreSample } from '../../bench/growth/measure-store.ts';
import { fullRun, quickRun } from '../../bench/growth/parameters.ts';
import { growthReport } from '../../bench/growth/report.ts';
import { runGrowth } from '../../bench/growth/run.ts';
import { summariseClients, summariseSizes } from '../../bench/growth/summary.ts';
import { judge } from '../../bench/growth/targets.ts';
import { describeMachine } from '../../bench/support/machine.ts';
import { buildImage } from '../../src/cli/demo/image.ts';
import { digestOf } from '../../src/core/digest.ts';
import { ScriptedRegistry } from '../support/scripted-registry.ts';

function server(told: Partial<ServerSample>, perSecond = 1000): ServerSample {
  const hit = { p50Ms: 1, p99Ms: 2, failed: 0, errors: [], perSecond } as const;
  return {
    round: 1,
    blobs: 100,
    readyMs: 500,
    firstHitMs: 510,
    startBytes: 1e8,
    hits: [
      { ...hit, asked: 'digest', spread: 'hot' },
      { ...hit, asked: 'digest', spread: 'random' },
    ],
    longestPauseMs: 5,
    stopMs: 20,
    ...told,
  };
}

function store(blobs: number, round = 1): StoreSample {
  const lookUps = { linkedUs: blobs, tagUs: blobs, findUs: blobs, repositoriesUs: 10 };
  return { round, blobs, hot: lookUps, random: lookUps, index: { ms: 5, longestPauseMs: 1, sizeBytes: 100 } };
}

function clients(told: Partial<ClientsSample>): ClientsSample {
  return {
    round: 1,
    connections: 10,
    content: 'manifest',
    perSecond: 1000,
    bytesPerSecond: 1e6,
    p50Ms: 1,
    p99Ms: 2,
    fairness: 0.9,
    failed: 0,
    errors: [],
    cpuMs: 100,
    seconds: 1,
    residentBytes: 1e8,
    ...told,
  };
}

test('the same image is always the same, and what its manifest names is what is stored', () => {
  const [image, again] = [cachedImage(7), cachedImage(7)];
  assert.deepEqual(image, again);
  for (const { digest, bytes } of [image.manifest, ...image.references]) assert.equal(digestOf(bytes), digest);
  const named = image.references.map(({ digest }) => digest);
  const { config, layers } = JSON.parse(Buffer.from(image.manifest.bytes).toString());
  assert.deepEqual(
    [config, ...layers].map(({ digest }: { digest: string }) => digest),
    named,
  );
});

test('images of one thousand share a base layer, which is stored once, and nothing else', () => {
  const images = Array.from({ length: 50 }, (_, n) => cachedImage(n));
  const digests = images.flatMap((image) => ownBlobs(image).map(({ digest }) => digest));
  assert.equal(new Set(digests).size, digests.length);
  assert.equal(digests.length, 50 * blobsPerImage + 1);
  assert.equal(imagesOf(1_000_000), 100_000);
  const all = new Set([...digests, ...ownBlobs(cachedImage(1000)).map(({ digest }) => digest)]);
  for (const { references } of images) for (const { digest } of references) assert.ok(all.has(digest));
});

test('a cache is compared with the smallest one of the same round', () => {
  const servers = [
    server({ blobs: 1000, round: 1, readyMs: 600 }, 500),
    server({ blobs: 100, round: 1, readyMs: 300 }, 1000),
    server({ blobs: 100, round: 2, readyMs: 600 }, 2000),
    server({ blobs: 1000, round: 2, readyMs: 600 }, 2000),
  ];
  const stores = [store(100), store(1000), store(100, 2), store(1000, 2)];
  const [least, largest] = summariseSizes(servers, stores);
  assert.deepEqual(least?.hits[0]?.rateRatio, { median: 1, min: 1, max: 1 });
  assert.deepEqual(largest?.readyRatio, { median: 1.5, min: 1, max: 2 });
  assert.deepEqual(largest?.hits[0]?.rateRatio, { median: 0.75, min: 0.5, max: 1 });
  assert.equal(largest?.lookUpRatio.median, 10);
});

test('connections are compared with the fewest of the same round and content', () => {
  const rows = summariseClients([
    clients({ connections: 1000, perSecond: 500, failed: 2, errors: ['status 503'] }),
    clients({ perSecond: 1000 }),
    clients({ content: 'blob', perSecond: 10 }),
    clients({ content: 'blob', connections: 1000, perSecond: 20 }),
  ]);
  assert.deepEqual(
    rows.map(({ content, connections, rateRatio }) => [content, connections, rateRatio.median]),
    [
      ['blob', 10, 1],
      ['blob', 1000, 2],
      ['manifest', 10, 1],
      ['manifest', 1000, 0.5],
    ],
  );
  const broken = judge({ sizes: [], upkeep: [], clients: rows }).filter(({ met }) => !met);
  assert.deepEqual(
    broken.map(({ measured }) => measured),
    ['2 failed'],
  );
});

test('a start beyond a second, and hits that are slower than those of the smallest cache, miss the target', () => {
  const verdictsOf = (readyMs: number, perSecond: number, readyAfterKillMs: number) => {
    const servers = [server({}), server({ blobs: 1e6, readyMs }, perSecond)];
    const work = { ms: 1, longestPauseMs: 1 };
    const list = { page: work, search: work, sizes: work };
    const upkeep = [{ blobs: 1e6, readyAfterKillMs, walk: work, list, eviction: { ...work, blobs: 10 } }];
    return judge({ sizes: summariseSizes(servers, [store(100), store(1e6)]), upkeep, clients: [] }).map(
      ({ met }) => met,
    );
  };
  assert.deepEqual(verdictsOf(999, 900, 999), [true, true, true]);
  assert.deepEqual(verdictsOf(1001, 1000, 500), [false, true, true]);
  assert.deepEqual(verdictsOf(500, 1000, 1001), [true, false, true]);
  assert.deepEqual(verdictsOf(500, 890, 500), [true, true, false]);
});

test('a crowd counts complete answers of connections that each go on by themselves, and tells what failed', async () => {
  await using registry = await ScriptedRegistry.start();
  const image = buildImage({ seed: 'crowd', layerSizes: [5000] });
  registry.content.add('bench/app', image, 'v1');
  const path = `/v2/bench/app/blobs/${image.layers[0]?.digest}`;
  const request = { origin: registry.url, connections: 4, durationMs: 200, warmUpMs: 50 };
  const good = await crowd(request, () => path);
  assert.equal(good.failed, 0);
  assert.ok(good.answers > 4 && good.bytes >= good.answers * 5000);
  assert.ok(good.fairness > 0 && good.fairness <= 1);
  const bad = await crowd(request, () => `${path}0`);
  assert.equal(bad.answers, 0);
  assert.equal(bad.failed, 4);
  assert.match(bad.errors.join(), /status 40/);
});

test('a small run measures all there is, is written as a report and a chart, and leaves no folder', async () => {
  const folders = async () => (await readdir(tmpdir())).filter((name) => name.startsWith('onepull-growth-'));
  const before = new Set(await folders());
  const parameters = { ...quickRun, rounds: 1, sizes: [100, 300], clients: [2, 5], loadMs: 100, hotBlobBytes: 100_000 };
  const samples = await runGrowth(parameters, () => {});
  assert.deepEqual(
    (await folders()).filter((name) => !before.has(name)),
    [],
  );
  const [sizes, rows] = [summariseSizes(samples.servers, samples.stores), summariseClients(samples.clients)];
  assert.deepEqual(
    sizes.map(({ blobs }) => blobs),
    [100, 300],
  );
  for (const { hits } of sizes) for (const { failed, perSecond } of hits) assert.ok(failed === 0 && perSecond.min > 0);
  for (const { failed, perSecond, residentBytes } of rows) {
    assert.ok(failed === 0 && perSecond.min > 0 && residentBytes.min > 0);
  }
  const { upkeep } = samples;
  const verdicts = judge({ sizes, upkeep, clients: rows });
  const machine = describeMachine('test');
  const report = growthReport({ machine, parameters, sizes, upkeep, clients: rows, verdicts });
  assert.doesNotMatch(report, /NaN|undefined/);
  assert.doesNotMatch(growthChart(sizes, rows, ['a note']), /NaN|undefined/);
});

test('the whole run goes to a million blobs and 5,000 connections', () => {
  assert.equal(Math.max(...fullRun.sizes), 1_000_000);
  assert.equal(Math.max(...fullRun.clients), 5000);
});
