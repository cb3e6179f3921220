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

test('a count that begins anew at 2^32 in one thread goes on', async () => {
  const registry = new Registry();
  const others = 3_000_000_000;
  let hits = others + 2 ** 32 - 1;
  addMemoryGauges(registry, {
    shares: { blocks: 0, queued: 0, 'small-blobs': 0, manifests: 0, prepared: 0 },
    blocks: () => ({ usedBytes: 0, pinnedBytes: 0, hits, misses: 0 }),
    smallBlobBytes: () => 0,
  });
  const shown = async () => Number(/^onepull_memory_block_hits_total (.*)$/m.exec(await registry.metrics())?.[1]);
  const before = await shown();
  hits = others + 4;
  assert.equal((await shown()) - before, 5);
});
