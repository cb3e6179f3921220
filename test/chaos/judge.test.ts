import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Digest } from '../../src/core/digest.ts';
import type { RequestFailure } from './chaos-pull.ts';
import type { Target } from './fault-kinds.ts';
import { FaultLog } from './fault-log.ts';
import { judge, type Verdict } from './judge.ts';
import { alpha, beta } from './world.ts';

const options = { headerTimeoutMs: 10_000, recoveryMs: 1000 };
const digest = `sha256:${'a'.repeat(64)}` as Digest;

/** A blob that was refused with 502 within the second from 100,000 on. */
const refused: RequestFailure = {
  what: 'GET blob',
  upstream: alpha,
  repository: 'org/app',
  reference: digest,
  startedAt: 100_000,
  endedAt: 101_000,
  outcome: 'status',
  status: 502,
  retryAfter: undefined,
  message: '',
};
const cut: RequestFailure = { ...refused, outcome: 'cut', status: 200 };

type Span = readonly [kind: string, target: Target, from: number, to: number];

function verdict(failure: RequestFailure, spans: readonly Span[], flips: readonly number[] = []): Verdict {
  const log = new FaultLog();
  for (const [id, [kind, target, from, to]] of spans.entries()) {
    log.begin({ id, kind, target, fromMs: from, lengthMs: to - from, seed: id }, from).to = to;
  }
  return judge(failure, { log, flips: flips.map((at) => ({ digest, at })) }, options);
}

const broken = (cause: Verdict['cause']) => ({ cause, isPromiseBroken: true });
const allowed = (cause: Verdict['cause']) => ({ cause, isPromiseBroken: false });

describe('a failure that a client saw', () => {
  test('breaks a promise when nothing was wrong, or only what is to be survived', () => {
    assert.deepEqual(verdict(refused, []), broken('while a source worked'));
    assert.deepEqual(
      verdict(refused, [
        ['cut', 'a1', 0, 200_000],
        ['stall', 'a2', 0, 200_000],
      ]),
      broken('while a source worked'),
    );
  });

  test('breaks a promise when one endpoint was out and the other was not', () => {
    assert.deepEqual(verdict(refused, [['away', 'a1', 0, 200_000]]), broken('while a source worked'));
    assert.deepEqual(
      verdict(refused, [
        ['away', 'a1', 0, 200_000],
        ['away', 'b1', 0, 200_000],
      ]),
      broken('while a source worked'),
    );
  });

  test('is allowed when all endpoints of its upstream were out at one moment of it', () => {
    const spans: Span[] = [
      ['away', 'a1', 100_200, 100_600],
      ['hole', 'a2', 100_500, 100_900],
    ];
    assert.deepEqual(verdict(refused, spans), allowed('all sources out'));
    assert.deepEqual(verdict({ ...refused, upstream: beta }, [['away', 'b1', 0, 100_100]]), allowed('all sources out'));
    assert.deepEqual(verdict(cut, spans), allowed('all sources out'));
  });

  test('is not allowed when they were out one after the other, or long before, or after it', () => {
    const turns: Span[] = [
      ['away', 'a1', 98_000, 98_900],
      ['away', 'a2', 100_500, 100_900],
    ];
    assert.deepEqual(verdict(refused, turns), broken('while a source worked'));
    const before: Span[] = [
      ['away', 'a1', 90_000, 98_900],
      ['away', 'a2', 90_000, 98_900],
    ];
    assert.deepEqual(verdict(refused, before), broken('while a source worked'));
    const after: Span[] = [
      ['away', 'a1', 101_100, 102_000],
      ['away', 'a2', 101_100, 102_000],
    ];
    assert.deepEqual(verdict(refused, after), broken('while a source worked'));
  });

  test('has to be told with a fitting status and in time, whatever was out', () => {
    const out: Span[] = [['away', 'b1', 0, 200_000]];
    assert.deepEqual(verdict({ ...refused, upstream: beta, status: 401 }, out), broken('wrong answer'));
    assert.deepEqual(
      verdict({ ...refused, upstream: beta, outcome: 'no answer', status: undefined }, out),
      broken('wrong answer'),
    );
    assert.deepEqual(verdict({ ...refused, upstream: beta, startedAt: 80_000 }, out), broken('too late'));
    assert.deepEqual(verdict({ ...refused, upstream: beta, outcome: 'late' }, out), broken('too late'));
  });

  test('may be a cut where bytes were wrong, on their way or on disk, but never wrong bytes', () => {
    const wrong: Span[] = [['corrupt', 'a1', 100_000, 100_500]];
    assert.deepEqual(verdict(cut, wrong), allowed('damaged upstream'));
    assert.deepEqual(verdict(refused, wrong), broken('while a source worked'));
    assert.deepEqual(verdict(cut, [], [99_000]), allowed('damaged on disk'));
    assert.deepEqual(verdict(cut, [], [102_000]), broken('while a source worked'));
    assert.deepEqual(verdict({ ...cut, outcome: 'wrong whole' }, wrong), allowed('damaged upstream'));
    assert.deepEqual(verdict({ ...cut, outcome: 'wrong whole' }, []), broken('while a source worked'));
    assert.deepEqual(verdict({ ...cut, outcome: 'wrong bytes' }, wrong, [99_000]), broken('wrong bytes'));
  });

  test('may be a refusal while a bound is exceeded, if it says when to come again', () => {
    const spans: Span[] = [['overload', 'clients', 99_000, 101_000]];
    assert.deepEqual(verdict({ ...refused, status: 503, retryAfter: '1' }, spans), allowed('refused'));
    assert.deepEqual(verdict({ ...refused, status: 503 }, spans), broken('while a source worked'));
    assert.deepEqual(verdict({ ...refused, status: 503, retryAfter: '1' }, []), broken('while a source worked'));
  });
});
