import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newSpanId, newTraceId, parseTraceparent, traceparentOf } from './tracing.ts';

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
const spanId = '00f067aa0ba902b7';

test('a traceparent is read as the W3C says', () => {
  assert.deepEqual(parseTraceparent(`00-${traceId}-${spanId}-01`), { traceId, spanId, isSampled: true });
  assert.deepEqual(parseTraceparent(`00-${traceId}-${spanId}-00`), { traceId, spanId, isSampled: false });
  // A later version may say more behind it, and set other flags.
  assert.deepEqual(parseTraceparent(`01-${traceId}-${spanId}-03-more`), { traceId, spanId, isSampled: true });
});

test('what is none says nothing', () => {
  for (const text of [
    undefined,
    '',
    'nonsense',
    `ff-${traceId}-${spanId}-01`,
    `00-${'0'.repeat(32)}-${spanId}-01`,
    `00-${traceId}-${'0'.repeat(16)}-01`,
    `00-${traceId.toUpperCase()}-${spanId}-01`,
    `00-${traceId}-${spanId}`,
  ]) {
    assert.equal(parseTraceparent(text), undefined, text ?? 'nothing');
  }
});

test('what is sent on is read again', () => {
  const context = { traceId: newTraceId(), spanId: newSpanId() };
  assert.deepEqual(parseTraceparent(traceparentOf(context)), { ...context, isSampled: true });
});
