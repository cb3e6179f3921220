import assert from 'node:assert/strict';
import { test } from 'node:test';
import { endpoint } from '../../../test/web/states.ts';
import { standingWords, upstreamState } from './upstream-words.ts';

const nowMs = 1_800_000_000_000;
const plain = (text: string) => text.replaceAll('\u00a0', ' ');
const open = { state: 'open', reason: 'refused', openedAtMs: nowMs - 1000, probeAtMs: nowMs + 9000 } as const;

test('an endpoint that fails is out of use where another one is sound, and asked all the same where none is', () => {
  const words = (...more: Parameters<typeof endpoint>) => plain(standingWords(endpoint(...more), nowMs));
  assert.equal(words('a', { standing: 'shut', breaker: open }), 'out of use, next probe in 9 s');
  assert.equal(
    words('a', { standing: 'failing', breaker: open }),
    'fails, asked once for each request, next probe in 9 s',
  );
  assert.equal(
    words('a', { standing: 'failing', breaker: { ...open, state: 'half-open' } }),
    'fails, asked once for each request, a probe is under way',
  );
  assert.equal(words('a', { standing: 'degraded' }), 'degraded');
});

test('an upstream is said to fail where its endpoints do, and to work with trouble where one of them is of use', () => {
  const failing = endpoint('a', { standing: 'failing', breaker: open });
  assert.equal(upstreamState([failing]), 'failing');
  assert.equal(upstreamState([failing, endpoint('b', { standing: 'resting' })]), 'failing');
  assert.equal(upstreamState([endpoint('a', { standing: 'resting' })]), 'out');
  assert.equal(upstreamState([endpoint('a', { standing: 'shut', breaker: open }), endpoint('b')]), 'partly');
  assert.equal(upstreamState([endpoint('a', { standing: 'degraded' })]), 'partly');
  assert.equal(upstreamState([endpoint('a')]), 'sound');
});
