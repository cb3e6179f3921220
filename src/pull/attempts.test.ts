import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AppError } from '../core/errors.ts';
import { VirtualClock } from '../core/testing/virtual-clock.ts';
import { withAttempts, withinBound } from './attempts.ts';

const boundMs = 20_000;
const never = new Promise<never>(() => {});

const settle = () => new Promise((resolve) => setImmediate(resolve));

function deps(clock: VirtualClock, maxAttempts = 10) {
  const retry = ({ retryable, attempt, retryAfterMs }: Parameters<Parameters<typeof withAttempts>[0]['retry']>[0]) =>
    retryable && attempt < maxAttempts ? (retryAfterMs ?? 100) : undefined;
  return { clock, retry };
}

describe('attempts', () => {
  it('go on until one succeeds, and leave no timer', async () => {
    const clock = new VirtualClock();
    let attempts = 0;
    const outcome = withAttempts(deps(clock), boundMs, async () => {
      if (++attempts < 3) throw new AppError('UPSTREAM_FAILED', 'broken');
      return 'done';
    });
    for (let turn = 0; turn < 3; turn++) {
      await settle();
      clock.advance(100);
    }
    assert.equal(await outcome, 'done');
    assert.equal(clock.pending, 0);
  });

  it('end with the last failure when the policy gives up', async () => {
    const clock = new VirtualClock();
    const outcome = withAttempts(deps(clock, 1), boundMs, async () => {
      throw new AppError('UPSTREAM_FAILED', 'broken');
    });
    await assert.rejects(outcome, { code: 'UPSTREAM_FAILED' });
    assert.equal(clock.pending, 0);
  });

  it('end within the bound, although one never settles', async () => {
    const clock = new VirtualClock();
    let aborted: AbortSignal | undefined;
    const outcome = withAttempts(deps(clock), boundMs, (signal) => {
      aborted = signal;
      return never;
    });
    outcome.catch(() => {});
    clock.advance(boundMs);
    await assert.rejects(outcome, { code: 'UPSTREAM_TIMEOUT' });
    assert.equal(aborted?.aborted, true);
    assert.equal(clock.pending, 0);
  });

  it('tell what upstream said where there is no time for its Retry-After, and how much of that is left', async () => {
    const clock = new VirtualClock();
    const outcome = withAttempts(deps(clock), boundMs, async () => {
      throw new AppError('UPSTREAM_RATE_LIMITED', 'slow down', { retryAfterMs: 25_000, details: { upstream: 'hub' } });
    });
    outcome.catch(() => {});
    await settle();
    clock.advance(boundMs);
    await assert.rejects(outcome, {
      code: 'UPSTREAM_RATE_LIMITED',
      message: 'slow down',
      retryAfterMs: 5000,
      details: { upstream: 'hub' },
    });
    assert.equal(clock.pending, 0);
  });
});

describe('a bounded wait', () => {
  const late = () => new AppError('HEADER_TIMEOUT', 'late');
  const untilAborted = (signal: AbortSignal) =>
    new Promise<never>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));

  it('ends with the bound', async () => {
    const clock = new VirtualClock();
    const outcome = withinBound(clock, 1000, new AbortController().signal, late, untilAborted);
    outcome.catch(() => {});
    clock.advance(1000);
    await assert.rejects(outcome, { code: 'HEADER_TIMEOUT' });
  });

  it('ends when the caller leaves, before or during', async () => {
    const clock = new VirtualClock();
    const caller = new AbortController();
    const during = withinBound(clock, 1000, caller.signal, late, untilAborted);
    caller.abort(new AppError('CANCELLED', 'left'));
    await assert.rejects(during, { code: 'CANCELLED' });
    const before = withinBound(clock, 1000, caller.signal, late, async (signal) => signal.aborted);
    assert.equal(await before, true);
    assert.equal(clock.pending, 0);
  });
});
