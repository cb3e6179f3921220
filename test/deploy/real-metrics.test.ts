import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { describedMetrics } from '../../docs/metrics-page.ts';
import { buildImage } from '../../src/cli/demo/image.ts';
import { secret } from '../cluster/cluster-scene.ts';
import { leavingNothing } from '../integration/scene.ts';
import { PullClient } from '../support/client.ts';
import { needs } from '../support/need.ts';
import { OnepullProcess } from '../support/onepull-process.ts';
import { RedisServer } from '../support/redis-server.ts';
import { ScriptedRegistry } from '../support/scripted-registry.ts';

const skip = needs('promtool', 'redis-server');
const image = buildImage({ seed: 'real metrics', layerSizes: [300_000] });
const documented = new Map(describedMetrics().map((metric) => [metric.name, metric]));

/** What `promtool check metrics` finds to say of ours. `nodejs_*` are named as those of every Node program are. */
async function findings(metrics: string): Promise<string[]> {
  const promtool = spawn('promtool', ['check', 'metrics']);
  promtool.stdin.end(metrics);
  const [said, wrong] = await Promise.all([text(promtool.stdout), text(promtool.stderr)]);
  return `${said}${wrong}`.split('\n').filter((line) => line !== '' && !line.startsWith('nodejs_'));
}

/** Names, and those of labels, of what is ours and not in the reference. */
function unknownIn(metrics: string): string[] {
  return metrics.split('\n').flatMap((line) => {
    const [, name = '', labels = ''] = /^(onepull_\w+)(?:\{(.*)\})? /.exec(line) ?? [];
    if (name === '') return [];
    const metric = documented.get(name) ?? documented.get(name.replace(/_(bucket|sum|count)$/, ''));
    if (metric === undefined) return [name];
    const names = [...labels.matchAll(/(\w+)="(?:[^"\\]|\\.)*"/g)].map(([, label = '']) => label);
    return names.filter((label) => label !== 'le' && !metric.labels.includes(label)).map((label) => `${name} ${label}`);
  });
}

test('a node with threads, in a cluster, gives the metrics of the reference as Prometheus likes them', { skip }, () =>
  leavingNothing(async () => {
    await using registry = await ScriptedRegistry.start();
    await using redis = await RedisServer.start({});
    registry.content.add('org/app', image, 'v1');
    await using onepull = await OnepullProcess.start({
      server: { threads: 2 },
      upstreams: { 'demo.example': { url: registry.url, default: true } },
      cluster: { engine: redis.url, peer: { listen: '127.0.0.1:0', secret } },
    });
    await using client = new PullClient(onepull.url);
    assert.equal((await client.manifest('org/app', 'v1')).status, 200);
    for (const { digest } of image.layers) assert.equal((await client.blob('org/app', digest)).outcome, 'complete');
    await client.manifest('org/none', 'v1');
    const metrics = await onepull.admin.text('/metrics');
    assert.deepEqual(await findings(metrics), []);
    assert.deepEqual(unknownIn(metrics), []);
    for (const name of documented.keys()) assert.ok(metrics.includes(`# TYPE ${name} `), name);
    assert.equal(await onepull.admin.metric('onepull_cluster_nodes'), 1);
    const [app] = image.layers;
    assert.ok(app && !metrics.includes('org/app') && !metrics.includes(app.digest));
  }),
);
