import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AppError, type ErrorCode } from '../core/errors.ts';
import { VirtualClock } from '../core/testing/virtual-clock.ts';
import { Channels } from '../telemetry/channels.ts';
import { EndpointWatch } from './endpoint-watch.ts';

function watched(isOnly = false) {
  const clock = new VirtualClock();
  const channels = new Channels();
  const moves: string[] = [];
  channels.breaker.subscribe(({ state, reason }) => moves.push(reason === undefined ? state : `${state}: ${reason}`));
  const probes: (PromiseWithResolvers<void> & { signal: AbortSignal })[] = [];
  const probe = (signal: AbortSignal) => {
    const answer = Promise.withResolvers<void>();
    signal.addEventListener('abort', () => answer.reject(signal.reason));
    probes.push({ ...answer, signal });
    return answer.promise;
  };
  const watch = new EndpointWatch(
    { clock, channels, random: () => 1, probe },
    { upstream: 'hub', endpoint: 'a.example', isOnly },
  );
  const fail = (code: ErrorCode = 'UPSTREAM_UNREACHABLE', times = 1) => {
    for (let n = 0; n < times; n++) watch.failed(new AppError(code, 'refused'));
  };
  return { clock, watch, moves, probes, fail };
}

function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

describe('an endpoint under watch', () => {
  it('is probed after its breaker’s period and comes back when the probe answers', async () => {
    const { clock, watch, moves, probes, fail } = watched();
    fail('UPSTREAM_UNREACHABLE', 2);
    assert.ok(watch.isShut);
    assert.equal(watch.shutMs, 1000);
    clock.advance(999);
    assert.equal(probes.length, 0);
    clock.advance(1);
    assert.equal(probes.length, 1);
    assert.ok(watch.isShut);
    probes[0]?.resolve();
    await settled();
    assert.ok(!watch.isShut);
    assert.deepEqual(moves, ['open: refused', 'half-open: refused', 'closed']);
    assert.equal(clock.pending, 0);
  });

  it('is probed soon, however often it was in vain, when it is wanted', async () => {
    const { clock, watch, probes, fail } = watched();
    fail('UPSTREAM_TIMEOUT', 2);
    for (let n = 0; n < 6; n++) {
      clock.advance(clock.nextDueInMs ?? 0);
      probes[n]?.reject(new AppError('UPSTREAM_TIMEOUT', 'silent'));
      await settled();
    }
    assert.ok(watch.shutMs >= 30_000);
    for (let n = 0; n < 3; n++) watch.wanted();
    assert.deepEqual([watch.shutMs, clock.pending], [1000, 1]);
    clock.advance(1000);
    assert.equal(probes.length, 7);
    watch.wanted();
    probes[6]?.resolve();
    await settled();
    watch.wanted();
    assert.deepEqual([watch.isShut, probes.length, clock.pending], [false, 7, 0]);
  });

  it('is probed again, later each time, as long as the probes fail', async () => {
    const { clock, watch, probes, fail } = watched();
    fail('UPSTREAM_TIMEOUT', 2);
    for (const [n, periodMs] of [1000, 2000, 4000].entries()) {
      clock.advance(periodMs - 1);
      assert.equal(probes.length, n);
      clock.advance(1);
      assert.equal(probes.length, n + 1);
      probes[n]?.reject(new AppError('UPSTREAM_TIMEOUT', 'silent'));
      await settled();
    }
    assert.equal(watch.shutReason, 'silent');
    await watch[Symbol.asyncDispose]();
    assert.equal(clock.pending, 0);
  });

  it('is not thought worse of for a probe that could not be made for want of a descriptor', async () => {
    const { clock, watch, moves, probes, fail } = watched();
    fail('UPSTREAM_TIMEOUT', 2);
    const { lastError } = watch.health;
    clock.advance(1000);
    probes[0]?.reject(new AppError('OVERLOADED', 'no descriptor'));
    await settled();
    assert.deepEqual(watch.health.lastError, lastError);
    assert.deepEqual(moves, ['open: refused', 'half-open: refused', 'open: refused']);
    await watch[Symbol.asyncDispose]();
  });

  it('is never probed without a failure', () => {
    const { clock, watch, moves, probes } = watched();
    clock.advance(3_600_000);
    assert.deepEqual([probes.length, moves, watch.isShut, clock.pending], [0, [], false, 0]);
  });

  it('tells for how long it has been down, and nothing of that once a request has succeeded', async () => {
    const { clock, watch, fail } = watched();
    fail('UPSTREAM_UNREACHABLE', 1);
    clock.advance(500);
    assert.equal(watch.outageMs, 0);
    fail('UPSTREAM_UNREACHABLE', 1);
    clock.advance(900);
    assert.equal(watch.outageMs, 1400);
    watch.answered(1, clock.monotonic());
    assert.equal(watch.outageMs, 0);
    fail('UPSTREAM_UNREACHABLE', 2);
    assert.equal(watch.outageMs, 0);
    await watch[Symbol.asyncDispose]();
  });

  it('that is the only one does not go to and fro where some of what it is asked for works', async () => {
    const { clock, watch, moves, fail } = watched(true);
    for (let n = 0; n < 50; n++) {
      watch.answered(1, clock.monotonic());
      clock.advance(900);
      fail('UPSTREAM_FAILED', 9);
    }
    assert.deepEqual([moves, watch.outageMs], [[], 0]);
    clock.advance(100);
    fail('UPSTREAM_FAILED', 1);
    assert.deepEqual([moves, watch.outageMs], [['open: refused'], 100]);
    await watch[Symbol.asyncDispose]();
  });

  it('has been down all the while where probes succeed and no request does', async () => {
    const { clock, watch, probes, fail } = watched();
    fail('UPSTREAM_FAILED', 4);
    for (let n = 0; n < 3; n++) {
      clock.advance(clock.nextDueInMs ?? 0);
      probes[n]?.resolve();
      await settled();
      assert.deepEqual([watch.isShut, watch.outageMs], [false, 0]);
      fail('UPSTREAM_FAILED', 4);
    }
    assert.equal(watch.outageMs, 1000 + 2000 + 4000);
    clock.advance(clock.nextDueInMs ?? 0);
    probes[3]?.resolve();
    await settled();
    watch.answered(1, clock.monotonic());
    fail('UPSTREAM_FAILED', 4);
    assert.equal(watch.outageMs, 0);
    await watch[Symbol.asyncDispose]();
  });

  it('is not thought down since an outage of long ago that only a probe ended', async () => {
    const { clock, watch, probes, fail } = watched();
    fail('UPSTREAM_UNREACHABLE', 2);
    clock.advance(1000);
    probes[0]?.resolve();
    await settled();
    clock.advance(3_600_000);
    fail('UPSTREAM_UNREACHABLE', 2);
    assert.equal(watch.outageMs, 0);
    await watch[Symbol.asyncDispose]();
  });

  it('is not shut for answers, limits or what is our own fault', () => {
    const { watch, fail } = watched();
    for (const code of ['MANIFEST_UNKNOWN', 'UPSTREAM_DENIED', 'UPSTREAM_RATE_LIMITED', 'OVERLOADED'] as const) {
      fail(code, 20);
    }
    assert.ok(!watch.isShut);
    assert.equal(watch.snapshot().health.lastError, undefined);
  });

  it('comes back by a request that was sent meanwhile, and its probe is called off', async () => {
    const { clock, watch, moves, probes, fail } = watched();
    fail('UPSTREAM_UNREACHABLE', 2);
    clock.advance(1000);
    watch.answered(20, clock.monotonic());
    assert.ok(!watch.isShut);
    assert.ok(probes[0]?.signal.aborted);
    await settled();
    assert.equal(moves.at(-1), 'closed');
    // What the probe that was called off says is nothing to the next one.
    fail('UPSTREAM_UNREACHABLE', 2);
    probes[0]?.resolve();
    await settled();
    assert.ok(watch.isShut);
    await watch[Symbol.asyncDispose]();
  });

  it('forgets its failures when it comes back', async () => {
    const { clock, watch, probes, fail } = watched();
    fail('UPSTREAM_FAILED', 4);
    clock.advance(1000);
    probes[0]?.resolve();
    await settled();
    fail('UPSTREAM_FAILED', 1);
    assert.ok(!watch.isShut);
  });

  it('tells who waits for it, once, with what it was found by', async () => {
    const { watch, fail } = watched();
    const told: string[] = [];
    const stop = watch.onOpened((cause) => told.push(cause));
    watch.onOpened((cause) => told.push(`also ${cause}`));
    fail('UPSTREAM_UNREACHABLE', 1);
    assert.deepEqual(told, []);
    stop();
    fail('UPSTREAM_TIMEOUT', 3);
    assert.deepEqual(told, ['also UPSTREAM_TIMEOUT']);
    await watch[Symbol.asyncDispose]();
  });

  it('weighs wrong content heavily', async () => {
    const { watch, fail } = watched();
    fail('CONTENT_MISMATCH', 1);
    assert.ok(!watch.isShut);
    fail('UPSTREAM_INTERRUPTED', 1);
    assert.ok(watch.isShut);
    await watch[Symbol.asyncDispose]();
  });

  it('leaves nothing behind when it is disposed of in the midst of a probe', async () => {
    const { clock, watch, moves, probes, fail } = watched();
    fail('UPSTREAM_UNREACHABLE', 2);
    clock.advance(1000);
    await watch[Symbol.asyncDispose]();
    assert.ok(probes[0]?.signal.aborted);
    fail('UPSTREAM_UNREACHABLE', 5);
    assert.deepEqual([clock.pending, moves.length], [0, 2]);
  });
});
