import assert from 'node:assert/strict';
import { truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { buildImage, type Content } from '../../src/cli/demo/image.ts';
import { GatewayCrew } from '../../src/gateway/threads/gateway-crew.ts';
import { inCluster, untilAllAreHeard } from '../cluster/cluster-scene.ts';
import { inScene, leavingNothing, type Scene } from '../integration/scene.ts';
import { PullClient } from '../support/client.ts';
import * as faults from '../support/faults.ts';
import { needs } from '../support/need.ts';
import { OnepullApp } from '../support/onepull-app.ts';
import { ScriptedRegistry } from '../support/scripted-registry.ts';
import { MetricHistory } from './metric-history.ts';

const skip = needs('promtool');
const image = buildImage({ seed: 'alerts', layerSizes: [300_000, 200_000] });
const [layer, other] = image.layers as [Content, Content];

/** Of what there is nowhere. */
function digestOf(number: number): `sha256:${string}` {
  return `sha256:${number.toString(16).padStart(64, '0')}`;
}

async function scraped(history: MetricHistory, onepull: OnepullApp, instance = 'a'): Promise<void> {
  history.scrape(instance, await onepull.admin.text('/metrics'));
}

async function pullAll(client: PullClient): Promise<void> {
  assert.equal((await client.manifest('org/app', 'v1')).status, 200);
  for (const { digest } of image.layers) assert.equal((await client.blob('org/app', digest)).outcome, 'complete');
}

/** What a node is asked all day: pulls, what it has, and what there is not. */
async function usualWork({ registry, client }: Pick<Scene, 'registry' | 'client'>): Promise<void> {
  registry.content.add('org/app', image, 'v1');
  await pullAll(client);
  for (let count = 0; count < 10; count++) {
    await client.manifest('org/none', `v${count}`);
    await client.blob('org/app', digestOf(count));
  }
  await pullAll(client);
}

for (const threads of [0, 2]) {
  const how = threads === 0 ? 'in one thread' : 'with threads';
  test(`nothing fires at a first start, in usual work, and after a restart, ${how}`, { skip }, () =>
    inScene({ configuration: { server: { threads } } }, async ({ registry, onepull }) => {
      const history = new MetricHistory();
      await scraped(history, onepull);
      history.goesOn('a', 30);
      await history.assertFiring();
      for (let run = 0; run < 2; run++) {
        await using client = new PullClient(onepull.url);
        await scraped(history, onepull);
        await usualWork({ registry, client });
        await scraped(history, onepull);
        history.goesOn('a', 120);
        await history.assertFiring();
        if (run === 0) await onepull.restart();
      }
    }),
  );
}

test('an upstream that is away: tags are stale, pulls fail and clients hear of it', { skip }, () =>
  inScene({ upstream: { tagTtl: '0s' } }, async ({ registry, onepull, client }) => {
    registry.content.add('org/app', image, 'v1');
    assert.equal((await client.manifest('org/app', 'v1')).status, 200);
    await registry.goAway();
    const history = new MetricHistory();
    // Errors have no series before the first of them.
    for (const { digest } of [layer, other]) {
      assert.equal((await client.manifest('org/app', 'v1')).status, 200);
      assert.ok((await client.blob('org/app', digest)).status >= 500);
      await scraped(history, onepull);
    }
    history.goesOn('a', 60);
    await history.assertFiring(
      ['OnepullClientErrors', 'a'],
      ['OnepullEndpointOut', 'a'],
      ['OnepullPullsFail', 'a'],
      ['OnepullStaleServed', 'a'],
      ['OnepullUpstreamFails', 'a'],
      ['OnepullWarns', 'a'],
    );
    await registry.comeBack();
  }),
);

test('one endpoint of two that is away, which clients do not notice', { skip }, () =>
  leavingNothing(async () => {
    await using away = await ScriptedRegistry.start();
    await using registry = await ScriptedRegistry.start();
    const endpoints = [away.url, registry.url];
    await using onepull = await OnepullApp.start({ upstreams: { 'demo.example': { endpoints, default: true } } });
    await using client = new PullClient(onepull.url);
    registry.content.add('org/app', image, 'v1');
    const history = new MetricHistory();
    await scraped(history, onepull);
    await away.goAway();
    let asked = 0;
    await onepull.admin.until(
      async () => {
        const repository = `org/app${asked++}`;
        registry.content.add(repository, image, 'v1');
        assert.equal((await client.manifest(repository, 'v1')).status, 200);
        return onepull.admin.metric('onepull_breaker_open');
      },
      (open) => open === 1,
    );
    await pullAll(client);
    await scraped(history, onepull);
    history.goesOn('a', 15);
    await history.assertFiring(['OnepullEndpointOut', 'a']);
    await away.comeBack();
  }),
);

test('an upstream that limits us, for long or again and again', { skip }, () =>
  inScene({}, async ({ registry, onepull, client }) => {
    registry.content.add('org/app', image, 'v1');
    const limits = { 'ratelimit-limit': '100;w=21600', 'ratelimit-remaining': '5;w=21600' };
    registry.always({ kind: 'manifest', method: 'GET' }, faults.status(429, { ...limits, 'retry-after': '1200' }));
    const history = new MetricHistory();
    await scraped(history, onepull);
    assert.equal((await client.manifest('org/app', 'v1')).status, 429);
    await scraped(history, onepull);
    // Gauges stay: the rest is as long all the while.
    history.goesOn('a', 10);
    await history.assertFiring(['OnepullRateLimited', 'a'], ['OnepullRateLimitNearlyUsed', 'a']);
    registry.behave();
  }),
);

test('bounds that are reached, once or all the time', { skip }, () =>
  inScene({ configuration: { server: { maxResponses: 1 } } }, async ({ registry, onepull, client }) => {
    registry.content.add('org/app', image, 'v1');
    const history = new MetricHistory();
    await scraped(history, onepull);
    const hold = registry.hold(layer.digest, 100_000);
    const held = client.blob('org/app', layer.digest);
    await hold.reached;
    for (let count = 0; count < 5; count++) {
      await using refused = new PullClient(onepull.url);
      assert.equal((await refused.blob('org/app', other.digest)).status, 503);
    }
    hold.release();
    assert.equal((await held).outcome, 'complete');
    await scraped(history, onepull);
    history.goesOn('a', 15);
    await history.assertFiring(['OnepullRefuses', 'a']);
  }),
);

test('a disk that takes nothing: clients are served, and nothing is kept', { skip }, () =>
  inScene({ configuration: { storage: { minFree: '1000TiB' } } }, async ({ registry, onepull, client }) => {
    registry.content.add('org/app', image, 'v1');
    const history = new MetricHistory();
    await scraped(history, onepull);
    await pullAll(client);
    await scraped(history, onepull);
    history.goesOn('a', 30);
    // The catalog is in memory as well, which no other metric tells.
    await history.assertFiring(['OnepullPassesThrough', 'a'], ['OnepullPullsFail', 'a'], ['OnepullWarns', 'a']);
  }),
);

test('blobs that are larger than the cache pass through all day, and nothing fires', { skip }, () =>
  inScene({ configuration: { storage: { maxSize: '1MiB' } } }, async ({ registry, onepull, client }) => {
    const large = buildImage({ seed: 'alerts, large', layerSizes: [1_500_000, 1_300_000] });
    registry.content.add('org/large', large, 'v1');
    const history = new MetricHistory();
    await scraped(history, onepull);
    assert.equal((await client.manifest('org/large', 'v1')).status, 200);
    for (let count = 0; count < 3; count++) {
      for (const { digest } of large.layers) {
        assert.equal((await client.blob('org/large', digest)).outcome, 'complete');
      }
    }
    assert.equal(await onepull.admin.metric('onepull_passed_through_total', { cause: 'too-large' }), 6);
    await scraped(history, onepull);
    history.goesOn('a', 30);
    await history.assertFiring();
  }),
);

test('content that the disk has damaged', { skip }, () =>
  inScene({}, async ({ registry, onepull, client }) => {
    registry.content.add('org/app', image, 'v1');
    await pullAll(client);
    await onepull.assertIdle();
    const history = new MetricHistory();
    await scraped(history, onepull);
    await onepull.stop();
    await truncate(join(onepull.dataFolder, 'blobs', 'sha256', layer.digest.slice('sha256:'.length)), 100);
    await onepull.startAgain();
    await using again = new PullClient(onepull.url);
    await scraped(history, onepull);
    assert.equal((await again.blob('org/app', layer.digest)).outcome, 'complete');
    await scraped(history, onepull);
    await history.assertFiring(['OnepullDamagedContent', 'a']);
  }),
);

test('a warning of /readyz that stands', { skip }, () =>
  inScene({ configuration: { storage: { maxSize: '1MiB' } } }, async ({ registry, onepull, client }) => {
    const large = buildImage({ seed: 'alerts, pinned', layerSizes: [1_000_000] });
    registry.content.add('org/large', large, 'v1');
    assert.equal((await client.manifest('org/large', 'v1')).status, 200);
    for (const { digest } of large.layers) {
      assert.equal((await client.blob('org/large', digest)).outcome, 'complete');
    }
    await onepull.assertIdle();
    const history = new MetricHistory();
    await scraped(history, onepull);
    assert.equal(await onepull.admin.metric('onepull_warnings'), 0);
    await onepull.admin.change('PUT', '/api/v1/pins?image=demo.example/org/large:v1');
    // What is pinned is summed up beside the answer.
    await onepull.admin.until(
      () => onepull.admin.metric('onepull_warnings'),
      (warnings) => warnings === 1,
    );
    await scraped(history, onepull);
    history.goesOn('a', 15);
    await history.assertFiring(['OnepullWarns', 'a']);
  }),
);

test('a thread that dies, after which nothing that was counted goes back', { skip }, () =>
  inScene({ configuration: { server: { threads: 2 } } }, async ({ registry, onepull, client }) => {
    const { gateway, admin } = onepull;
    assert.ok(gateway instanceof GatewayCrew);
    await usualWork({ registry, client });
    const history = new MetricHistory();
    const before = countersIn(await admin.text('/metrics'));
    await scraped(history, onepull);
    gateway.breakDown(0, 'throw');
    await admin.until(
      () => admin.metric('onepull_gateways_replaced_total'),
      (replaced) => replaced === 1,
    );
    await admin.until(
      () => admin.metric('onepull_gateways'),
      (running) => running === 2,
    );
    const after = countersIn(await admin.text('/metrics'));
    for (const [series, value] of before) assert.ok((after.get(series) ?? -1) >= value, series);
    await scraped(history, onepull);
    await history.assertFiring(['OnepullGatewaysDie', 'a']);
  }),
);

test(
  'an engine that is down is said of each node, and nothing is while it is up',
  { skip: skip || needs('redis-server') },
  () =>
    inCluster({ nodes: 2 }, async ({ registry, nodes, stopEngine, startEngine }) => {
      const [a, b] = nodes as [OnepullApp, OnepullApp];
      await untilAllAreHeard(nodes);
      const history = new MetricHistory();
      const scrapeBoth = async () => {
        await scraped(history, a, 'a');
        await scraped(history, b, 'b');
      };
      await scrapeBoth();
      for (const { url } of nodes) {
        await using client = new PullClient(url);
        await usualWork({ registry, client });
      }
      await scrapeBoth();
      for (const instance of ['a', 'b']) history.goesOn(instance, 60);
      await history.assertFiring();
      await stopEngine();
      for (const { admin } of nodes) {
        await admin.until(
          () => admin.metric('onepull_cluster_engine_up'),
          (up) => up === 0,
        );
      }
      await scrapeBoth();
      await scrapeBoth();
      for (const instance of ['a', 'b']) history.goesOn(instance, 5);
      await history.assertFiring(['OnepullClusterEngineDown', 'a'], ['OnepullClusterEngineDown', 'b']);
      await startEngine();
    }),
);

function countersIn(text: string): Map<string, number> {
  const counters = new Set([...text.matchAll(/^# TYPE (\w+) (?:counter|histogram)$/gm)].map(([, name = '']) => name));
  const samples = text.split('\n').flatMap((line) => {
    const [, series = '', name = '', value] = /^((\w+?)(?:_(?:bucket|sum|count))?(?:\{.*\})?) (\S+)$/.exec(line) ?? [];
    return counters.has(name) ? [[series, Number(value)] as const] : [];
  });
  assert.ok(samples.length > 50);
  return new Map(samples);
}
