import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Channels, type RateLimitEvent } from '../telemetry/channels.ts';
import { publishRateLimit, readRateLimit, untilResetMs } from './rate-limit.ts';
import { readRetryAfter } from './upstream-errors.ts';

const nowMs = Date.UTC(2026, 0, 1);
const nowS = nowMs / 1000;

describe('rate limit headers', () => {
  const forms: [string, Record<string, string>, [number | undefined, number | undefined, number | undefined]][] = [
    ["Docker Hub's", { 'ratelimit-limit': '100;w=21600', 'ratelimit-remaining': '76;w=21600' }, [100, 76, undefined]],
    [
      'a list of windows',
      { 'ratelimit-limit': '10, 10;w=1, 1000;w=3600', 'ratelimit-remaining': '9', 'ratelimit-reset': '1' },
      [10, 9, 1000],
    ],
    ["draft 07's", { ratelimit: 'limit=100, remaining=50, reset=30' }, [100, 50, 30_000]],
    [
      "a later draft's",
      { ratelimit: '"default";r=50;t=30', 'ratelimit-policy': '"default";q=100;w=60' },
      [100, 50, 30_000],
    ],
    [
      "GitHub's",
      { 'x-ratelimit-limit': '5000', 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': `${nowS + 90}` },
      [5000, 0, 90_000],
    ],
    [
      'seconds from now',
      { 'x-ratelimit-limit': '60', 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': '17' },
      [60, 0, 17_000],
    ],
    [
      'ms since the epoch',
      { 'x-ratelimit-remaining': '3', 'x-ratelimit-reset': `${nowMs + 2500}` },
      [undefined, 3, 2500],
    ],
    ['a date', { 'x-ratelimit-reset': new Date(nowMs + 5000).toUTCString() }, [undefined, undefined, 5000]],
    ['an ISO date', { 'x-ratelimit-reset': '2026-01-01T00:00:09Z' }, [undefined, undefined, 9000]],
    ['what is over', { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': `${nowS - 5}` }, [undefined, 0, 0]],
    ['nothing', {}, [undefined, undefined, undefined]],
    [
      'nonsense',
      { 'ratelimit-limit': 'lots', 'ratelimit-remaining': '-1', 'ratelimit-reset': 'in May 5' },
      [undefined, undefined, undefined],
    ],
  ];
  for (const [name, headers, [limit, remaining, resetMs]] of forms) {
    it(`are understood: ${name}`, () => {
      assert.deepEqual(readRateLimit(headers, nowMs), { limit, remaining, resetMs });
    });
  }

  it("count a date from the sender's own clock", () => {
    const date = new Date(nowMs - 3_600_000).toUTCString();
    const headers = { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': `${nowS - 3600 + 20}`, date };
    assert.equal(readRateLimit(headers, nowMs).resetMs, 20_000);
  });

  it('are published where they say something', () => {
    const channels = new Channels();
    const events: RateLimitEvent[] = [];
    channels.rateLimit.subscribe((event) => events.push(event));
    publishRateLimit(channels, 'hub', { 'content-type': 'text/html' }, nowMs);
    publishRateLimit(channels, 'hub', { 'ratelimit-remaining': '4', 'ratelimit-reset': '60' }, nowMs);
    assert.deepEqual(events, [{ upstream: 'hub', limit: undefined, remaining: 4, resetMs: 60_000 }]);
  });

  it('tell how long to wait where nothing is left, and only then', () => {
    assert.equal(untilResetMs({ 'ratelimit-remaining': '0;w=60', 'ratelimit-reset': '30' }, nowMs), 30_000);
    assert.equal(untilResetMs({ 'ratelimit-remaining': '12', 'ratelimit-reset': '30' }, nowMs), undefined);
    assert.equal(untilResetMs({ 'ratelimit-remaining': '0' }, nowMs), undefined);
  });

  it('stand in for a Retry-After that is not there, and never for one that is', () => {
    const usedUp = { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': `${nowS + 40}` };
    assert.equal(readRetryAfter(usedUp, nowMs), 40_000);
    assert.equal(readRetryAfter({ ...usedUp, 'retry-after': '3' }, nowMs), 3000);
  });
});
