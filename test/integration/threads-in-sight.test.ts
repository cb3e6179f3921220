import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildImage } from '../../src/cli/demo/image.ts';
import { PullClient } from '../support/client.ts';
import { OnepullProcess } from '../support/onepull-process.ts';
import { ScriptedRegistry } from '../support/scripted-registry.ts';
import { leavingNothing } from './scene.ts';

const image = buildImage({ seed: 'threads-in-sight', layerSizes: [300_000] });
const clients = 24;
const rounds = 5;

function sumOf(metrics: string, name: string, labels = ''): number {
  return metrics
    .split('\n')
    .filter((line) => line.startsWith(`${name}{`) && line.includes(labels))
    .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
}

test('what all threads answered is in the metrics at once, and in the log line by line', () =>
  leavingNothing(async () => {
    await using registry = await ScriptedRegistry.start();
    registry.content.add('org/app', image, 'v1');
    await using onepull = await OnepullProcess.start({
      server: { threads: 2 },
      upstreams: { 'demo.example': { url: registry.url, default: true } },
    });
    const [layer] = image.layers;
    assert.ok(layer);
    let bytes = 0;
    // Each on a connection of its own, which the kernel gives to one thread or the other.
    await Promise.all(
      Array.from({ length: clients }, async () => {
        await using client = new PullClient(onepull.url);
        for (let round = 0; round < rounds; round++) {
          const manifest = await client.manifest('org/app', 'v1');
          const blob = await client.blob('org/app', layer.digest);
          await client.manifest('org/app', 'none');
          bytes += manifest.sizeBytes + blob.sizeBytes;
        }
      }),
    );
    const each = clients * rounds;
    // A thread may hear of the end of an answer a moment after its client.
    const text = await onepull.admin.until(
      () => onepull.admin.text('/metrics'),
      (metrics) => sumOf(metrics, 'onepull_requests_total') === 3 * each,
    );
    const total = (name: string, labels?: string) => sumOf(text, name, labels);
    assert.equal(total('onepull_requests_total', 'route="manifest",method="GET",status="404"'), each);
    assert.equal(total('onepull_request_errors_total', 'MANIFEST_UNKNOWN'), each);
    assert.equal(total('onepull_request_seconds_count'), 3 * each);
    assert.equal(total('onepull_first_byte_seconds_count'), 3 * each);
    assert.equal(total('onepull_first_byte_seconds_bucket', 'le="+Inf"'), 3 * each);
    assert.equal(total('onepull_served_bytes_total'), bytes);
    for (const thread of ['main', 'gateway-0', 'gateway-1']) {
      const ratio = total('onepull_thread_busy_ratio', `"${thread}"`);
      assert.ok(ratio >= 0 && ratio <= 1, `${thread}: ${ratio}`);
    }
    assert.equal(text.match(/^onepull_thread_busy_ratio\{/gm)?.length, 3);
    // What was told before the metrics were shown was written before.
    await onepull.admin.until(
      async () => onepull.log.filter(({ event }) => event === 'request').length,
      (count) => count === 3 * each,
    );
    const lines = onepull.log.filter(({ event }) => event === 'request');
    assert.equal(new Set(lines.map(({ id }) => id)).size, 3 * each);
    assert.equal(new Set(lines.map(({ id }) => String(id).split('-')[0])).size, 2, 'both threads answered');
    assert.equal(lines.filter(({ error }) => error === 'MANIFEST_UNKNOWN').length, each);
    await onepull.terminate();
    assert.equal(onepull.log.at(-1)?.event, 'stopped');
  }));
