import assert from 'node:assert/strict';
import { test } from 'node:test';
import { leanLoad } from '../../bench/support/clients/lean-load.ts';
import type { LoadRequest } from '../../bench/support/load/load.ts';
import { buildImage, type Image } from '../../src/cli/demo/image.ts';
import { cut, status } from '../support/faults.ts';
import { ScriptedRegistry } from '../support/scripted-registry.ts';

const sizeBytes = 300_000;
const image: Image = buildImage({ seed: 'load', layerSizes: [sizeBytes] });
const digest = image.layers[0]?.digest ?? '';
const load = { connections: 4, durationMs: 200 };

async function registryWithImage(): Promise<ScriptedRegistry> {
  const registry = await ScriptedRegistry.start();
  registry.content.add('bench/app', image, 'v1');
  return registry;
}

function request({ url: origin }: ScriptedRegistry, others: Partial<LoadRequest> = {}): LoadRequest {
  return { origin, method: 'GET', path: `/v2/bench/app/blobs/${digest}`, headers: {}, sizeBytes, ...others };
}

test('each connection asks again until the time is up, and what is received is counted', async () => {
  await using registry = await registryWithImage();
  const { requests, bytes, errors } = await leanLoad(request(registry), load);
  assert.deepEqual(errors, []);
  assert.ok(requests >= 4, `${requests}`);
  assert.ok(bytes >= requests * sizeBytes, `${bytes} bytes of ${requests} answers`);
  const asked = registry.tally.count({ kind: 'blob', method: 'GET' });
  assert.ok(asked >= requests && asked <= requests + 4, `${asked} were asked for, ${requests} came`);
});

test('parts of a body are asked for all over it', async () => {
  await using registry = await registryWithImage();
  const { requests, errors } = await leanLoad(request(registry, { rangeBytes: 50_000 }), load);
  assert.deepEqual(errors, []);
  assert.ok(requests >= 6, `${requests}`);
  const ranges = registry.tally.requests({ kind: 'blob' }).map(({ headers }) => headers.range);
  assert.equal(new Set(ranges).size, 6);
});

test('HEAD brings answers without a body', async () => {
  await using registry = await registryWithImage();
  const { requests, bytes, errors } = await leanLoad(request(registry, { method: 'HEAD' }), load);
  assert.deepEqual(errors, []);
  assert.ok(requests > 0);
  assert.equal(bytes, 0);
});

test('an answer that is not what it should be makes the whole worth nothing', async () => {
  await using registry = await registryWithImage();
  const cases = [
    [status(503), /status 503/],
    [cut(1000), /closed before/],
  ] as const;
  for (const [fault, message] of cases) {
    registry.next({ kind: 'blob' }, fault);
    const { errors } = await leanLoad(request(registry), load);
    assert.equal(errors.length, 1);
    assert.match(errors[0] ?? '', message);
  }
  const { errors } = await leanLoad(request(registry, { sizeBytes: sizeBytes + 1 }), load);
  assert.match(errors[0] ?? '', /300000 bytes instead of 300001/);
});
