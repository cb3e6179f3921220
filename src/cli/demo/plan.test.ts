import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultNodes, mostNodes, planFor } from './plan.ts';

function seconds(nodes: number): number {
  const { layerSizes, lineBytesPerSecond } = planFor(nodes);
  return (nodes * layerSizes.reduce((sum, size) => sum + size, 0)) / lineBytesPerSecond;
}

test('the crowd takes about a minute on its own, however large it is', () => {
  for (const nodes of [defaultNodes, 51, 333, mostNodes]) {
    assert.ok(seconds(nodes) > 45 && seconds(nodes) < 60, `${nodes} nodes: ${seconds(nodes)} s`);
  }
  assert.ok(seconds(3) < 5);
});
