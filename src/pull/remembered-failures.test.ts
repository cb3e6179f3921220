import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AppError } from '../core/errors.ts';
import { VirtualClock } from '../core/testing/virtual-clock.ts';
import { RememberedFailures } from './remembered-failures.ts';

const fault = () => new AppError('UPSTREAM_UNREACHABLE', 'down');
const refusal = () => new AppError('BLOB_UNKNOWN', 'not here');

describe('remembered failures', () => {
  it('count for a second, refusals for five', () => {
    const clock = new VirtualClock();
    const failures = new RememberedFailures(clock);
    failures.remember('fault', fault());
    failures.remember('refusal', refusal());
    clock.advance(999);
    assert.ok(failures.recall('fault'));
    clock.advance(1);
    assert.equal(failures.recall('fault'), undefined);
    clock.advance(3999);
    assert.ok(failures.recall('refusal'));
    clock.advance(1);
    assert.equal(failures.recall('refusal'), undefined);
  });

  it('are not prolonged by those who hear of them late', () => {
    const clock = new VirtualClock();
    const failures = new RememberedFailures(clock);
    const error = refusal();
    failures.remember('key', error);
    clock.advance(4000);
    failures.remember('key', error);
    clock.advance(1000);
    assert.equal(failures.recall('key'), undefined);
    failures.remember('key', error);
    assert.equal(failures.recall('key'), undefined);
  });

  it('keep work from being done again, and are not remembered anew by that', async () => {
    const clock = new VirtualClock();
    const failures = new RememberedFailures(clock);
    let runs = 0;
    const work = async () => {
      runs++;
      throw fault();
    };
    await assert.rejects(failures.guard('key', work), { code: 'UPSTREAM_UNREACHABLE' });
    clock.advance(900);
    await assert.rejects(failures.guard('key', work), { code: 'UPSTREAM_UNREACHABLE' });
    assert.equal(runs, 1);
    clock.advance(100);
    await assert.rejects(failures.guard('key', work));
    assert.equal(runs, 2);
  });

  it('are none of what only concerns us or one caller', () => {
    const failures = new RememberedFailures(new VirtualClock());
    for (const code of ['CANCELLED', 'SHUTTING_DOWN', 'OVERLOADED'] as const) {
      failures.remember('key', new AppError(code, 'test'));
      assert.equal(failures.recall('key'), undefined);
    }
  });

  it('tell of a rest what is left of it, and are not prolonged by being told so', () => {
    const clock = new VirtualClock();
    const failures = new RememberedFailures(clock);
    failures.remember('key', new AppError('UPSTREAM_RATE_LIMITED', 'slow down', { retryAfterMs: 30_000 }));
    clock.advance(400);
    const told = failures.recall('key');
    assert.deepEqual([told?.code, told?.retryAfterMs], ['UPSTREAM_RATE_LIMITED', 29_600]);
    assert.ok(told);
    failures.remember('other', told);
    clock.advance(500);
    assert.equal(failures.recall('other')?.retryAfterMs, 29_100);
    clock.advance(100);
    assert.equal(failures.recall('key'), undefined);
    assert.equal(failures.recall('other'), undefined);
  });

  it('of a rest are not remembered longer than it lasts', () => {
    const clock = new VirtualClock();
    const failures = new RememberedFailures(clock);
    failures.remember('key', new AppError('UPSTREAM_RATE_LIMITED', 'slow down', { retryAfterMs: 300 }));
    clock.advance(299);
    assert.ok(failures.recall('key'));
    clock.advance(1);
    assert.equal(failures.recall('key'), undefined);
  });
});
