import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import { AppError } from '../core/errors.ts';
import { VirtualClock } from '../core/testing/virtual-clock.ts';
import type { SourceStanding } from './source.ts';
import { SourceRoster } from './source-roster.ts';
import { ScriptedSource } from './testing/scripted-source.ts';

const failed = () => new AppError('UPSTREAM_FAILED', 'broken');
const missing = () => new AppError('BLOB_UNKNOWN', 'not here');
const limited = (retryAfterMs: number) => new AppError('UPSTREAM_RATE_LIMITED', 'later', { retryAfterMs });

describe('a roster of sources', () => {
  let clock: VirtualClock;
  let roster: SourceRoster;
  let a: ScriptedSource;
  let b: ScriptedSource;
  let c: ScriptedSource;

  beforeEach(() => {
    clock = new VirtualClock();
    roster = new SourceRoster(clock);
    [a, b, c] = ['a', 'b', 'c'].map((name) => new ScriptedSource(name, new Uint8Array())) as [
      ScriptedSource,
      ScriptedSource,
      ScriptedSource,
    ];
    for (const source of [a, b, c]) roster.add(source);
  });

  function stands(source: ScriptedSource, changes: Partial<SourceStanding>): void {
    source.standsAt = { ...source.standsAt, ...changes };
  }

  it('asks in the order in which they came, all else being equal', () => {
    assert.equal(roster.next(), a);
    assert.equal(roster.add(new ScriptedSource('a', new Uint8Array())), false);
    assert.equal(roster.size, 3);
  });

  it('asks the cheapest, unless it has more faults, unless the other rests', () => {
    stands(b, { cost: -1 });
    assert.equal(roster.next(), b);
    roster.failed(b, failed());
    assert.equal(roster.next(), a);
    stands(a, { restMs: 10 });
    stands(c, { restMs: 20 });
    assert.equal(roster.next(), b);
    stands(b, { restMs: 15 });
    assert.equal(roster.next(), a);
  });

  it('knows of a rest from the source itself, and from whoever watches it', () => {
    roster.failed(a, limited(1000));
    stands(a, { restMs: 400 });
    assert.equal(roster.restMs(a), 1000);
    clock.advance(700);
    assert.equal(roster.restMs(a), 400);
    roster.rests(b, limited(50));
    assert.equal(roster.restMs(b), 50);
    assert.equal(roster.hasFailed(b), false);
  });

  it('knows who may be asked at once instead of another', () => {
    stands(b, { restMs: 10 });
    assert.equal(roster.alternativeTo(a), c);
    roster.failed(c, missing());
    assert.equal(roster.alternativeTo(a), undefined);
    roster.failed(a, failed());
    assert.equal(roster.unfailed(), undefined);
  });

  it('asks one that brought a wrong body after those that only failed', () => {
    roster.broughtWrong(new Set([a]), new AppError('CONTENT_MISMATCH', 'wrong'), true);
    for (let turn = 0; turn < 5; turn++) for (const source of [b, c]) roster.failed(source, failed());
    assert.equal(roster.next(), b);
  });

  it('sets one aside that brought a wrong body, until the others are not worth waiting for', () => {
    roster.broughtWrong(new Set([a]), new AppError('CONTENT_MISMATCH', 'wrong'), true);
    for (const source of [b, c]) roster.rests(source, limited(60_000));
    assert.equal(roster.next(), b);
    assert.equal(roster.alternativeTo(b), undefined);
    assert.equal(roster.resort(), true);
    assert.equal(roster.next(), a);
    assert.equal(roster.resort(), false);
    roster.add(new ScriptedSource('d', new Uint8Array()));
    assert.equal(roster.next()?.name, 'd');
  });

  it('asks one that brought a wrong body where all others refuse', () => {
    roster.broughtWrong(new Set([a]), new AppError('CONTENT_MISMATCH', 'wrong'), true);
    for (const source of [b, c]) roster.failed(source, missing());
    assert.equal(roster.next(), a);
    assert.equal(roster.resort(), false);
  });

  it('does not let those rest for the sake of one that is set aside', () => {
    stands(b, { restMs: 30_000 });
    stands(c, { restMs: 20_000 });
    assert.equal(roster.restMs(b), 30_000);
    roster.broughtWrong(new Set([a]), new AppError('CONTENT_MISMATCH', 'wrong'), true);
    assert.deepEqual([roster.restMs(b), roster.restMs(c)], [0, 0]);
    roster.rests(b, limited(700));
    assert.equal(roster.restMs(b), 700, 'its own word counts');
    stands(c, { restMs: 0 });
    assert.equal(roster.restMs(b), 30_000);
  });

  it('asks one that serves ranges rather than one that does not', () => {
    roster.ignoredRange(a);
    assert.equal(roster.next(), b);
    for (const source of [b, c]) roster.failed(source, failed());
    assert.equal(roster.next(), a);
  });

  it('cannot tell who was wrong where several brought a body', () => {
    roster.broughtWrong(new Set([a, b]), new AppError('CONTENT_MISMATCH', 'wrong'), true);
    roster.failed(c, failed());
    roster.failed(c, failed());
    assert.equal(roster.next(), a);
  });

  it('does not take a source for a liar where an earlier fill left a part of the body', () => {
    roster.broughtWrong(new Set([a]), new AppError('CONTENT_MISMATCH', 'wrong'), false);
    for (const source of [b, c, b, c]) roster.failed(source, failed());
    assert.equal(roster.next(), a);
  });

  describe('of which nobody is left to ask', () => {
    const told = () => roster.verdict();

    it('says that the blob is not there only where nobody says otherwise', () => {
      for (const source of [a, b, c]) roster.failed(source, missing());
      assert.equal(told().code, 'BLOB_UNKNOWN');
      roster.failed(b, new AppError('UPSTREAM_DENIED', 'not for you'));
      roster.failed(c, missing());
      assert.equal(told().code, 'UPSTREAM_DENIED');
    });

    it('tells a failure that may pass rather than a refusal', () => {
      roster.failed(a, failed());
      roster.failed(b, missing());
      assert.equal(told().code, 'UPSTREAM_FAILED');
    });

    it('tells of limits the one that ends first, with the time that is left', () => {
      roster.failed(a, limited(9000));
      roster.failed(b, limited(5000));
      roster.failed(c, failed());
      clock.advance(1000);
      assert.equal(told().code, 'UPSTREAM_RATE_LIMITED');
      assert.equal(told().retryAfterMs, 4000);
    });

    it('forgets a limit whose time is over', () => {
      roster.failed(a, limited(1000));
      roster.failed(b, failed());
      clock.advance(1000);
      assert.equal(told().code, 'UPSTREAM_FAILED');
    });

    it('says when to come back where one is known to be down', () => {
      roster.failed(a, failed());
      stands(a, { restMs: 7000 });
      assert.equal(told().retryAfterMs, 7000);
    });

    it('has something to tell where nobody was ever asked', () => {
      assert.equal(new SourceRoster(clock).verdict().code, 'UPSTREAM_UNREACHABLE');
    });
  });
});
