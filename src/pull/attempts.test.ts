import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AppError } from '../core/errors.ts';
import { VirtualClock } from '../core/testing/virtual-clock.ts';
import { retryDefaults, retryPolicy } from '../routing/retry-policy.ts';
import { Channels, type RetryEvent } from '../telemetry/channels.ts';
import { type AttemptDeps, withAttempts, withinBound } from './attempts.ts';

const boundMs = 20_000;
const never = new Promise<never>(() => {});

const settle = () => new Promise((resolve) => setImmediate(resolve));

const options = { boundMs, upstream: 'hub', kind: 'manifest' } as const;

function deps(clock: VirtualClock, maxAttempts = 10) {
  const channels = new Channels();
  const retries: RetryEvent[] = [];
  channels.retry.subscribe((event) => retries.push(event));
  const retry = ({ retryable, attempt, retryAfterMs }: Parameters<AttemptDeps['retry']>[0]) =>
    retryable && attempt < maxAttempts ? (retryAfterMs ?? 100) : undefined;
  return { clock, retry, channels, retries };
}

const limited = (retryAfterMs: number) =>
  new AppError('UPSTREAM_RATE_LIMITED', 'slow down', { retryAfterMs, details: { upstream: 'hub' } });

describe('attempts', () => {
  it('go on until one succeeds, and leave no timer', async () => {
    const clock = new VirtualClock();
    let attempts = 0;
    const outcome = withAttempts(deps(clock), options, async () => {
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

  it('are one where upstream is known to be down, and fit what is left of the patience where that is new', async () => {
    const failing = async (downForMs: number, code: 'UPSTREAM_UNREACHABLE' | 'UPSTREAM_FAILED') => {
      const clock = new VirtualClock();
      const own = { ...deps(clock), retry: retryPolicy(retryDefaults, () => 0.5) };
      let attempts = 0;
      const outcome = withAttempts(own, { ...options, outageMs: () => downForMs + clock.monotonic() }, async () => {
        attempts++;
        throw new AppError(code, 'broken');
      });
      let isOver = false;
      outcome.catch(() => {
        isOver = true;
      });
      for (await settle(); !isOver; await settle()) clock.advance(100);
      return { attempts, tookMs: clock.monotonic() };
    };
    for (const code of ['UPSTREAM_UNREACHABLE', 'UPSTREAM_FAILED'] as const) {
      assert.deepEqual(await failing(60_000, code), { attempts: 1, tookMs: 0 });
    }
    const [early, late] = [await failing(0, 'UPSTREAM_UNREACHABLE'), await failing(3000, 'UPSTREAM_UNREACHABLE')];
    assert.ok(early.tookMs >= 4000 && early.tookMs <= 4700, `${early.tookMs} ms`);
    assert.ok(late.tookMs >= 1000 && late.tookMs <= 2500, `${late.tookMs} ms`);
    assert.ok(late.attempts < early.attempts);
  });

  it('tell who has something better to do when they have failed twice', async () => {
    const clock = new VirtualClock();
    const told: number[] = [];
    let attempts = 0;
    const onRest = () => told.push(attempts);
    const outcome = withAttempts(deps(clock), { ...options, onRest }, async () => {
      if (++attempts < 4) throw new AppError('UPSTREAM_FAILED', 'broken');
      return 'done';
    });
    for (let turn = 0; turn < 4; turn++) {
      await settle();
      clock.advance(100);
    }
    assert.equal(await outcome, 'done');
    assert.deepEqual(told, [2, 3]);
  });

  it('end with the last failure when the policy gives up', async () => {
    const clock = new VirtualClock();
    const outcome = withAttempts(deps(clock, 1), options, async () => {
      throw new AppError('UPSTREAM_FAILED', 'broken');
    });
    await assert.rejects(outcome, { code: 'UPSTREAM_FAILED' });
    assert.equal(clock.pending, 0);
  });

  it('end within the bound, although one never settles', async () => {
    const clock = new VirtualClock();
    let aborted: AbortSignal | undefined;
    const outcome = withAttempts(deps(clock), options, (signal) => {
      aborted = signal;
      return never;
    });
    outcome.catch(() => {});
    clock.advance(boundMs);
    await assert.rejects(outcome, { code: 'UPSTREAM_TIMEOUT' });
    assert.equal(aborted?.aborted, true);
    assert.equal(clock.pending, 0);
  });

  it('end at once where there is no time for a rest, and tell all of it', async () => {
    const clock = new VirtualClock();
    let rests = 0;
    const outcome = withAttempts(deps(clock), { ...options, onRest: () => rests++ }, async () => {
      throw limited(boundMs);
    });
    await assert.rejects(outcome, {
      code: 'UPSTREAM_RATE_LIMITED',
      retryAfterMs: boundMs,
      details: { upstream: 'hub' },
    });
    assert.equal(rests, 0);
    assert.equal(clock.pending, 0);
  });

  it('count against the time that is left what has passed of it', async () => {
    const clock = new VirtualClock();
    let attempts = 0;
    const outcome = withAttempts(deps(clock), options, async () => {
      attempts++;
      throw limited(8000);
    });
    outcome.catch(() => {});
    for (let turn = 0; turn < 2; turn++) {
      await settle();
      clock.advance(8000);
    }
    // 4 of the 20 seconds are left.
    await assert.rejects(outcome, { code: 'UPSTREAM_RATE_LIMITED', retryAfterMs: 8000 });
    assert.equal(attempts, 3);
    assert.equal(clock.monotonic(), 16_000);
  });

  it('wait for a rest that there is time for, and say so', async () => {
    const clock = new VirtualClock();
    let rests = 0;
    let attempts = 0;
    const outcome = withAttempts(deps(clock), { ...options, onRest: () => rests++ }, async () => {
      if (++attempts === 1) throw limited(8000);
      return 'done';
    });
    await settle();
    assert.equal(rests, 1);
    clock.advance(8000);
    assert.equal(await outcome, 'done');
  });

  it('tell the policy how long they can wait', async () => {
    const clock = new VirtualClock();
    const told: (number | undefined)[] = [];
    const retry: AttemptDeps['retry'] = ({ patienceMs, attempt }) => {
      told.push(patienceMs);
      return attempt < 3 ? 1000 : undefined;
    };
    const outcome = withAttempts({ ...deps(clock), retry }, options, async () => {
      throw limited(1000);
    });
    outcome.catch(() => {});
    for (let turn = 0; turn < 2; turn++) {
      await settle();
      clock.advance(1000);
    }
    await assert.rejects(outcome);
    assert.deepEqual(told, [20_000, 19_000, 18_000]);
  });

  describe('that fail at once, each time', () => {
    /** Until it fails: how long it was tried, and how often. */
    async function tried(code: 'UPSTREAM_FAILED' | 'UPSTREAM_UNREACHABLE' | 'UPSTREAM_DENIED', failures = 1000) {
      const clock = new VirtualClock();
      let attempts = 0;
      let isOver = false;
      const retry = retryPolicy(retryDefaults, () => 0.5);
      const outcome = withAttempts({ ...deps(clock), retry }, options, async () => {
        if (attempts++ < failures) throw new AppError(code, 'broken');
      }).finally(() => {
        isOver = true;
      });
      outcome.catch(() => {});
      for (let turn = 0; turn < 1000 && !isOver; turn++) {
        await settle();
        if (!isOver) clock.advance(clock.nextDueInMs ?? 0);
      }
      return { outcome, attempts, tookMs: clock.monotonic() };
    }

    it('do not end as long as there is patience, and are few', async () => {
      const { outcome, attempts, tookMs } = await tried('UPSTREAM_FAILED');
      await assert.rejects(outcome, { code: 'UPSTREAM_FAILED' });
      assert.ok(tookMs >= 15_000 && tookMs < boundMs, `given up after ${tookMs} ms`);
      assert.ok(attempts > 5 && attempts < 12, `${attempts} attempts`);
    });

    it('are worth it where five of them fail within two seconds', async () => {
      const { outcome } = await tried('UPSTREAM_FAILED', 5);
      await outcome;
    });

    it('end within seconds where nobody is there', async () => {
      const { outcome, tookMs } = await tried('UPSTREAM_UNREACHABLE');
      await assert.rejects(outcome, { code: 'UPSTREAM_UNREACHABLE' });
      assert.ok(tookMs >= 4000 && tookMs < 6000, `given up after ${tookMs} ms`);
    });

    it('end at once where another attempt makes no sense', async () => {
      const { outcome, attempts } = await tried('UPSTREAM_DENIED');
      await assert.rejects(outcome, { code: 'UPSTREAM_DENIED' });
      assert.equal(attempts, 1);
    });
  });

  it('are published as they begin, with what led to them; the first is none', async () => {
    const clock = new VirtualClock();
    const given = deps(clock, 2);
    const outcome = withAttempts(given, options, async () => {
      throw new AppError('UPSTREAM_FAILED', 'broken');
    });
    outcome.catch(() => {});
    await settle();
    assert.deepEqual(given.retries, []);
    clock.advance(100);
    await assert.rejects(outcome);
    assert.deepEqual(given.retries, [{ upstream: 'hub', kind: 'manifest', cause: 'UPSTREAM_FAILED', failover: false }]);
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
