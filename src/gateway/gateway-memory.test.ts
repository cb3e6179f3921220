import assert from 'node:assert/strict';
import { test } from 'node:test';
import { divideMemory } from '../core/memory-budget.ts';
import { BlockLayout } from './blocks/block-layout.ts';
import { gatewayMemory } from './gateway-memory.ts';

const MiB = 1024 * 1024;

test('gateways together take no more than their shares, whatever their number', () => {
  for (const totalMiB of [32, 33, 100, 256, 1000]) {
    for (const gateways of [0, 1, 2, 64]) {
      const budget = divideMemory(totalMiB * MiB);
      const { bufferBytes, preparedBytes, blocks } = gatewayMemory(budget, gateways);
      const layout = BlockLayout.of(blocks);
      const many = Math.max(1, gateways);
      assert.ok(bufferBytes * many <= budget.queuedBytes && preparedBytes * many <= budget.preparedBytes);
      assert.ok(layout.blocks * layout.blockBytes <= budget.blockCacheBytes && layout.blocks > 0);
      assert.equal(layout.threads, many);
    }
  }
});
