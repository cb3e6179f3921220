import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AppError, type ErrorCode } from '../core/errors.ts';
import { VirtualClock } from '../core/testing/virtual-clock.ts';
import { Random } from '../flights/testing/random.ts';
import { type Candidate, EndpointRace } from './endpoint-race.ts';
import { failure, never } from './testing/test-client.ts';

/** An endpoint that answers when the test says so. */
class Asked implements Candidate<string> {
  readonly name: string;
  signal: AbortSignal | undefined;
  shut = false;
  sound = true;
  isSettled = false;
  readonly openings = new Set<(cause: ErrorCode) => void>();
  readonly #answer = Promise.withResolvers<string>();

  constructor(name: string) {
    this.name = name;
    // Whoever is not asked is not heard, either.
    this.#answer.promise.catch(() => {});
  }

  get state(): 'not asked' | 'asked' | 'aborted' {
    if (this.signal === undefined) return 'not asked';
    return this.signal.aborted ? 'aborted' : 'asked';
  }

  ask(signal: AbortSignal): Promise<string> {
    assert.equal(this.signal, undefined, `${this.name} is asked once`);
    this.signal = signal;
    return this.#answer.promise;
  }

  isShut(): boolean {
    return this.shut;
  }

  isSound(): boolean {
    return this.sound;
  }

  shutError(): AppError {
    return new AppError('UPSTREAM_UNREACHABLE', `${this.name} is not asked for now`);
  }

  onOpened(callback: (cause: ErrorCode) => void): () => void {
    this.openings.add(callback);
    return () => this.openings.delete(callback);
  }

  async succeed(): Promise<void> {
    this.isSettled = true;
    this.#answer.resolve(this.name);
    await settled();
  }

  async fail(code: ErrorCode): Promise<void> {
    this.isSettled = true;
    this.#answer.reject(new AppError(code, `${this.name} failed`));
    await settled();
  }
}

function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function race(options: { count?: number; hedgeAfterMs?: number; budget?: number; signal?: AbortSignal } = {}) {
  const { count = 2, hedgeAfterMs, budget = 1, signal = never } = options;
  const clock = new VirtualClock();
  const endpoints = Array.from({ length: count }, (_, n) => new Asked('ABC'[n] ?? '?'));
  const [a, b, c] = endpoints as [Asked, Asked, Asked];
  const events: string[] = [];
  let left = budget;
  const listener = {
    mayHedge: () => left-- > 0,
    hedged: (outcome: string) => events.push(`hedge ${outcome}`),
    failedOver: (cause: ErrorCode) => events.push(cause),
  };
  const contest = new EndpointRace({ clock, listener }, endpoints, { patienceMs: 8000, hedgeAfterMs });
  const start = () => {
    const result = contest.run(signal);
    result.catch(() => {});
    return result;
  };
  const assertOver = () => {
    assert.equal(clock.pending, 0, 'no timer is left');
    assert.equal(endpoints.flatMap(({ openings }) => [...openings]).length, 0, 'no listener is left');
  };
  return { clock, endpoints, a, b, c, events, start, assertOver };
}

describe('a request to several endpoints', () => {
  it('is answered by the first, and nobody else is asked', async () => {
    const { clock, a, b, events, start } = race();
    const result = start();
    await a.succeed();
    assert.equal(await result, 'A');
    assert.deepEqual([b.state, events, clock.pending], ['not asked', [], 0]);
  });

  for (const code of [
    'UPSTREAM_UNREACHABLE',
    'MANIFEST_UNKNOWN',
    'UPSTREAM_UNAUTHORIZED',
    'UPSTREAM_INVALID',
  ] as const) {
    it(`goes on to the next at once when one fails with ${code}`, async () => {
      const { a, b, events, start } = race();
      const result = start();
      await a.fail(code);
      assert.equal(b.state, 'asked');
      await b.succeed();
      assert.equal(await result, 'B');
      assert.deepEqual(events, [code]);
    });
  }

  it('goes on to the next when one is silent for too long, and still takes its answer', async () => {
    const { clock, a, b, events, start, assertOver } = race();
    const result = start();
    clock.advance(7999);
    assert.equal(b.state, 'not asked');
    clock.advance(1);
    assert.deepEqual([a.state, b.state, events], ['asked', 'asked', ['UPSTREAM_TIMEOUT']]);
    await b.fail('UPSTREAM_UNREACHABLE');
    await a.succeed();
    assert.equal(await result, 'A');
    assertOver();
  });

  it('aborts whoever is still asked once it is answered', async () => {
    const { clock, a, b, start } = race();
    const result = start();
    clock.advance(8000);
    await b.succeed();
    assert.equal(await result, 'B');
    assert.equal(a.state, 'aborted');
    await a.fail('UPSTREAM_TIMEOUT');
  });

  it('moves on as soon as the one that it waits for turns out to be down', async () => {
    const { a, b, events, start } = race();
    const result = start();
    for (const callback of [...a.openings]) callback('UPSTREAM_FAILED');
    assert.equal(b.state, 'asked');
    await b.succeed();
    assert.equal(await result, 'B');
    assert.deepEqual(events, ['UPSTREAM_FAILED']);
  });

  it('does not leave the last one when that turns out to be down', async () => {
    const { a, b, start } = race();
    const result = start();
    await a.fail('UPSTREAM_FAILED');
    for (const callback of [...b.openings]) callback('UPSTREAM_FAILED');
    await b.succeed();
    assert.equal(await result, 'B');
  });

  it('goes on to the third at once when the second fails while the first is overdue', async () => {
    const { clock, b, c, start } = race({ count: 3 });
    const result = start();
    clock.advance(8000);
    await b.fail('UPSTREAM_UNREACHABLE');
    assert.equal(c.state, 'asked');
    await c.succeed();
    assert.equal(await result, 'C');
  });

  it('does not ask who is shut once another has answered, and then does not know', async () => {
    const { a, b, start, clock } = race();
    b.shut = true;
    const result = start();
    await a.fail('MANIFEST_UNKNOWN');
    await failure(result, 'UPSTREAM_UNREACHABLE');
    assert.deepEqual([b.state, clock.pending], ['not asked', 0]);
  });

  it('asks who is shut when all others failed', async () => {
    const { a, b, start } = race();
    b.shut = true;
    const result = start();
    await a.fail('UPSTREAM_FAILED');
    await b.succeed();
    assert.equal(await result, 'B');
  });

  it('fails when all have, with what says most', async () => {
    const { clock, a, b, c, start } = race({ count: 3 });
    const result = start();
    await a.fail('UPSTREAM_UNREACHABLE');
    await b.fail('UPSTREAM_RATE_LIMITED');
    await c.fail('MANIFEST_UNKNOWN');
    await failure(result, 'UPSTREAM_RATE_LIMITED');
    assert.equal(clock.pending, 0);
  });

  it('ends at once when the caller aborts, with the caller’s reason', async () => {
    const abort = new AbortController();
    const { clock, a, b, start } = race({ signal: abort.signal });
    const result = start();
    clock.advance(8000);
    abort.abort(new AppError('PULL_DEADLINE', 'too late'));
    await failure(result, 'PULL_DEADLINE');
    assert.deepEqual([a.state, b.state, clock.pending], ['aborted', 'aborted', 0]);
    await failure(race({ signal: abort.signal }).start(), 'PULL_DEADLINE');
  });
});

describe('a hedge', () => {
  it('that answers first has won, and the first is aborted', async () => {
    const { clock, a, b, events, start } = race({ hedgeAfterMs: 100 });
    const result = start();
    clock.advance(99);
    assert.equal(b.state, 'not asked');
    clock.advance(1);
    await b.succeed();
    assert.equal(await result, 'B');
    assert.deepEqual([a.state, events, clock.pending], ['aborted', ['hedge won'], 0]);
  });

  it('has lost when the first answers after all', async () => {
    const { clock, a, b, events, start } = race({ hedgeAfterMs: 100 });
    const result = start();
    clock.advance(100);
    await a.succeed();
    assert.equal(await result, 'A');
    assert.deepEqual([b.state, events], ['aborted', ['hedge lost']]);
  });

  it('that fails changes nothing for the first, and its failure counts at the end', async () => {
    const { clock, a, b, events, start } = race({ hedgeAfterMs: 100 });
    const result = start();
    clock.advance(100);
    await b.fail('UPSTREAM_UNREACHABLE');
    assert.equal(a.state, 'asked');
    await a.fail('MANIFEST_UNKNOWN');
    await failure(result, 'UPSTREAM_UNREACHABLE');
    assert.deepEqual(events, ['hedge failed']);
  });

  it('is not sent without a budget, nor to who is not sound', async () => {
    for (const [budget, sound] of [
      [0, true],
      [1, false],
    ] as const) {
      const { clock, a, b, events, start } = race({ hedgeAfterMs: 100, budget });
      b.sound = sound;
      const result = start();
      clock.advance(7999);
      assert.equal(b.state, 'not asked');
      await a.succeed();
      assert.equal(await result, 'A');
      assert.deepEqual(events, []);
    }
  });

  it('is not sent when the first has failed before', async () => {
    const { clock, a, b, c, events, start } = race({ count: 3, hedgeAfterMs: 100 });
    const result = start();
    await a.fail('UPSTREAM_FAILED');
    clock.advance(100);
    assert.deepEqual([b.state, c.state], ['asked', 'not asked']);
    await b.succeed();
    assert.equal(await result, 'B');
    assert.deepEqual(events, ['UPSTREAM_FAILED']);
  });
});

describe('whatever happens in whatever order', () => {
  const codes: readonly ErrorCode[] = [
    'UPSTREAM_FAILED',
    'MANIFEST_UNKNOWN',
    'UPSTREAM_RATE_LIMITED',
    'UPSTREAM_TIMEOUT',
  ];
  const firstSeed = Number(process.env.SEED ?? 1);

  it(`a request ends by an answer, the best failure or its abort, and leaves nothing (seeds from ${firstSeed})`, async () => {
    for (let seed = firstSeed; seed < firstSeed + 300; seed++) {
      const random = new Random(seed);
      const abort = new AbortController();
      const { clock, endpoints, start, assertOver } = race({ count: 3, hedgeAfterMs: 500, signal: abort.signal });
      for (const endpoint of endpoints) endpoint.shut = random.chance(0.25);
      const outcome = start().then(
        (name) => name,
        (error: AppError) => error.code,
      );
      let isOver = false;
      void outcome.then(() => {
        isOver = true;
      });
      let winner: string | undefined;
      for (let step = 0; step < 40 && !isOver; step++) {
        const asked = endpoints.filter(({ state }) => state === 'asked');
        const one = random.pick(asked);
        const what = random.below(6);
        if (what === 0) clock.advance(random.below(9000));
        else if (what === 1 && step > 25) abort.abort(new AppError('CANCELLED', 'enough'));
        else if (what === 2) for (const callback of [...(one?.openings ?? [])]) callback('UPSTREAM_FAILED');
        else if (what === 3) await one?.fail(random.pick(codes) ?? 'UPSTREAM_FAILED');
        else if (what === 4 && one !== undefined && !one.isSettled) {
          winner ??= one.name;
          await one.succeed();
        }
        await settled();
      }
      abort.abort(new AppError('CANCELLED', 'enough'));
      const result = await outcome;
      if (winner !== undefined) assert.equal(result, winner, `seed ${seed}`);
      else
        assert.ok(
          ['CANCELLED', 'UPSTREAM_UNREACHABLE', ...codes].includes(result as ErrorCode),
          `seed ${seed}: ${result}`,
        );
      assertOver();
      assert.ok(
        endpoints.every(({ state, isSettled }) => state !== 'asked' || isSettled),
        `seed ${seed}`,
      );
    }
  });
});
