import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Registry } from 'prom-client';
import { addMemoryGauges } from './memory-gauges.ts';

test('what memory is set aside, and how blocks of hot content do, is read when it is asked for', async () => {
  const registry = new Registry();
  let hits = 5;
  addMemoryGauges(registry, {
    shares: { blocks: 80, queued: 96, 'small-blobs': 16, manifests: 32, prepared: 33 },
    blocks: () => ({ usedBytes: 10, pinnedBytes: 4, hits, misses: 2 }),
    smallBlobBytes: () => 7,
  });
  await registry.metrics();
  hits = 6;
  const text = await registry.metrics();
  for (const line of [
    'onepull_memory_share_bytes{use="prepared"} 33',
    'onepull_memory_block_bytes 10',
    'onepull_memory_block_pinned_bytes 4',
    'onepull_memory_block_hits_total 6',
    'onepull_memory_block_misses_total 2',
    'onepull_memory_small_blob_bytes 7',
  ]) {
    assert.ok(text.split('\n').includes(line), line);
  }
});
