import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EndpointSnapshot } from './upstream-snapshot.ts';
import { upstreamWarnings } from './upstream-warnings.ts';

function endpoint(name: string, standing: EndpointSnapshot['standing']): EndpointSnapshot {
  const reason = `${name} cannot be reached`;
  return {
    name,
    preference: 1,
    standing,
    breaker: standing === 'failing' || standing === 'shut' ? { state: 'open', reason } : { state: 'closed' },
    health: { errorRatio: 0 },
    pauses: [],
    bodies: { limit: 16, inFlight: 0, queued: 0 },
  };
}

test('an upstream is warned of when none of its endpoints answers as it should, with what the first one fails of', () => {
  const upstreams = [
    { name: 'sound', endpoints: [endpoint('a', 'sound')] },
    { name: 'limited', endpoints: [endpoint('a', 'resting')] },
    { name: 'half', endpoints: [endpoint('a', 'shut'), endpoint('b', 'sound')] },
    { name: 'out', endpoints: [endpoint('a', 'failing')] },
    { name: 'all-out', endpoints: [endpoint('b', 'failing'), endpoint('c', 'failing')] },
  ];
  assert.deepEqual(upstreamWarnings(upstreams), [
    'out fails, what is not here cannot be had: a cannot be reached',
    'all-out fails, what is not here cannot be had: b cannot be reached',
  ]);
});
