import assert from 'node:assert/strict';
import { test } from 'node:test';
import { leanPull } from '../../bench/support/clients/lean-pull.ts';
import { buildImage, type Image } from '../../src/cli/demo/image.ts';
import { corrupt, cut, type Fault, status } from '../support/faults.ts';
import { type Match, ScriptedRegistry } from '../support/scripted-registry.ts';

const image: Image = buildImage({ seed: 'lean', layerSizes: [300_000, 100_000, 5_000] });
const options = { verify: true, deadlineMs: 10_000 };

async function registryWithImage(): Promise<ScriptedRegistry> {
  const registry = await ScriptedRegistry.start();
  registry.content.add('bench/app', image, 'v1');
  return registry;
}

function target({ url: origin }: ScriptedRegistry) {
  return { origin, repository: 'bench/app', tag: 'v1' };
}

test('a pull asks for all of an image once and counts every byte', async () => {
  await using registry = await registryWithImage();
  const outcomes = await Promise.all(Array.from({ length: 4 }, () => leanPull(target(registry), options)));
  for (const { result, bytes, error } of outcomes) {
    assert.equal(result, 'complete', error ?? '');
    assert.equal(bytes, image.totalBytes);
  }
  assert.equal(registry.tally.count({ kind: 'manifest', method: 'HEAD' }), 4);
  assert.equal(registry.tally.count({ kind: 'blob', method: 'GET' }), 4 * 4);
});

test('a pull that goes wrong is told as failed, with what went wrong', async () => {
  const blob: Match = { kind: 'blob', reference: image.layers[0]?.digest ?? '' };
  const cases: [Match, Fault, RegExp][] = [
    [{ kind: 'manifest', method: 'HEAD' }, status(404), /HEAD of the tag: status 404/],
    [blob, status(500), /GET of a blob: status 500/],
    [blob, cut(1000), /closed before the answer was complete/],
    [blob, corrupt(299_999), /wrong digest/],
  ];
  for (const [match, fault, message] of cases) {
    await using registry = await registryWithImage();
    registry.next(match, fault);
    const { result, error } = await leanPull(target(registry), options);
    assert.equal(result, 'failed');
    assert.match(error ?? '', message);
  }
});

test('a pull whose time is up is unfinished, not failed', async () => {
  await using registry = await registryWithImage();
  const hold = registry.hold(image.config.digest, 0);
  const { result } = await leanPull(target(registry), { verify: false, deadlineMs: 100 });
  assert.equal(result, 'unfinished');
  hold.release();
});
