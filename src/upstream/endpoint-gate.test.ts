import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AppError } from '../core/errors.ts';
import { acquireTimeoutMs, GateWorld, settle, type Visit } from './testing/gate-world.ts';

const isIn = ({ pass }: Visit) => pass !== undefined;

function at(visits: readonly Visit[], index: number): Visit {
  const visit = visits[index];
  assert.ok(visit);
  return visit;
}

describe('the gate of an endpoint', () => {
  it('lets in as many bodies as the limit allows, and the next when one ends', async () => {
    const world = new GateWorld({ bodies: 3 });
    const visits = await world.visits(5, 'blob-body');
    assert.deepEqual(visits.map(isIn), [true, true, true, false, false]);
    assert.deepEqual(world.gate.snapshot(), { limit: 3, inFlight: 3, queued: 2, pauses: [] });
    await world.answer(at(visits, 1), 200);
    assert.deepEqual(visits.map(isIn), [true, true, true, true, false]);
  });

  it('keeps manifests and lists out of the line of bodies', async () => {
    const world = new GateWorld({ bodies: 1 });
    await world.visits(5, 'blob-body');
    for (const what of ['manifest-get', 'manifest-head', 'blob-head', 'other'] as const) {
      assert.ok(isIn(await world.visit(what)), what);
    }
  });

  it('bounds what is no body, too', async () => {
    const world = new GateWorld();
    const visits = await world.visits(1001, 'manifest-get');
    assert.equal(visits.filter(isIn).length, 1000);
    assert.equal(visits.at(-1)?.error?.code, 'OVERLOADED');
  });

  it('says what is waited for, how many are ahead, and when the wait is over', async () => {
    const world = new GateWorld({ bodies: 1 });
    const [first, second, third] = await world.visits(3, 'blob-body');
    assert.ok(first && second && third);
    assert.deepEqual(first.reasons, []);
    await world.answer(first, 200);
    await world.answer(second, 200);
    assert.deepEqual(second.reasons, ['a free connection to a.example (0 ahead)', undefined]);
    assert.deepEqual(third.reasons, [
      'a free connection to a.example (1 ahead)',
      'a free connection to a.example (0 ahead)',
      undefined,
    ]);
  });

  it('asks how urgent each is when there is a turn to give, not when they came', async () => {
    const world = new GateWorld({ bodies: 1 });
    const first = await world.visit('blob-body');
    let waiters = 1;
    const early = await world.visit('blob-body', { urgency: () => ({ waiters: 8, missingBytes: 1000 }) });
    const late = await world.visit('blob-body', { urgency: () => ({ waiters, missingBytes: 1000 }) });
    waiters = 500;
    await world.answer(first, 200);
    assert.ok(isIn(late) && !isIn(early));
  });

  it('refuses at once what is optional and finds no room', async () => {
    const world = new GateWorld({ bodies: 2 });
    const [first] = await world.visits(1, 'blob-body');
    assert.equal(world.gate.hasRoom(), true);
    assert.ok(isIn(await world.visit('blob-body', { optional: true })));
    assert.equal(world.gate.hasRoom(), false);
    const refused = await world.visit('blob-body', { optional: true });
    assert.equal(refused.error?.code, 'OVERLOADED');
    assert.deepEqual(refused.reasons, []);
    assert.ok(first);
    await world.answer(first, 200);
    assert.equal(world.gate.hasRoom(), true);
  });

  it('does not look at everybody in a long line whenever one comes or leaves', async () => {
    const world = new GateWorld({ bodies: 1 });
    const first = await world.visit('blob-body');
    let looks = 0;
    let tellings = 0;
    const abort = new AbortController();
    const urgency = () => {
      looks++;
      return { waiters: 1, missingBytes: undefined };
    };
    const crowd = Array.from({ length: 2000 }, () =>
      world.gate.enter({ what: 'blob-body', urgency, waiting: () => tellings++ }, abort.signal).catch(() => {}),
    );
    assert.ok(tellings >= 2000, 'everybody hears at once that they wait');
    assert.ok(looks + tellings < 10_000, `${looks} looks, ${tellings} tellings`);
    looks = 0;
    await world.answer(first, 200);
    assert.ok(looks <= 2000, `${looks} looks to find the next one`);
    looks = tellings = 0;
    abort.abort();
    await Promise.all(crowd);
    assert.ok(looks + tellings < 5000, `${looks} looks, ${tellings} tellings`);
    assert.equal(world.clock.pending, 0);
  });

  it('tells a long line twice a second where everybody stands', async () => {
    const world = new GateWorld({ bodies: 1 });
    const [first, second, ...others] = await world.visits(100, 'blob-body');
    assert.ok(first && second);
    assert.equal(others.at(-1)?.reasons.at(-1), 'a free connection to a.example (98 ahead)');
    await world.answer(first, 200);
    await world.answer(second, 200);
    await world.later(500);
    assert.equal(others.at(-1)?.reasons.at(-1), 'a free connection to a.example (96 ahead)');
    assert.equal(world.clock.pending, others.length - 1, 'but for how long each waits, no timer is left');
    world.gate[Symbol.dispose]();
    await settle();
    assert.equal(world.clock.pending, 0);
  });

  it('gives up on who waited too long, and says that it was busy', async () => {
    const world = new GateWorld({ bodies: 1 });
    const [, waiting] = await world.visits(2, 'blob-body');
    await world.later(acquireTimeoutMs);
    assert.equal(waiting?.error?.code, 'OVERLOADED');
    assert.deepEqual(world.refused, ['connections']);
    assert.equal(world.gate.snapshot().queued, 0);
    assert.equal(world.clock.pending, 0);
  });

  it('forgets who leaves the line, and tells the others that they have moved up', async () => {
    const world = new GateWorld({ bodies: 1 });
    const [first, second, third] = await world.visits(3, 'blob-body');
    second?.abort.abort(new AppError('CANCELLED', 'left'));
    await settle();
    assert.equal(second?.error?.code, 'CANCELLED');
    assert.equal(third?.reasons.at(-1), 'a free connection to a.example (0 ahead)');
    assert.ok(first);
    await world.answer(first, 200);
    assert.ok(third && isIn(third));
    assert.equal(world.clock.pending, 0);
    await world.answer(third, 200);
    assert.equal(world.gate.snapshot().inFlight, 0);
  });

  it('gives nothing to who had left before it came', async () => {
    const world = new GateWorld();
    await assert.rejects(
      world.gate.enter({ what: 'blob-body' }, AbortSignal.abort(new AppError('CANCELLED', 'left'))),
      {
        code: 'CANCELLED',
      },
    );
    assert.equal(world.gate.snapshot().inFlight, 0);
  });

  it('counts a pass that was given at the moment its owner left until it is ended', async () => {
    const world = new GateWorld({ bodies: 1 });
    const [first, second] = await world.visits(2, 'blob-body');
    first?.pass?.ended('done');
    second?.abort.abort();
    await settle();
    assert.equal(second?.error, undefined);
    assert.equal(world.gate.snapshot().inFlight, 1);
    second?.pass?.ended('left');
    assert.equal(world.gate.snapshot().inFlight, 0);
  });

  it('takes an end once, and nothing after it', async () => {
    const world = new GateWorld({ bodies: 2 });
    const [first] = await world.visits(2, 'blob-body');
    first?.pass?.ended('done');
    first?.pass?.ended('failed');
    first?.pass?.answered(429, 60_000);
    assert.deepEqual(world.gate.snapshot(), { limit: 2, inFlight: 1, queued: 0, pauses: [] });
  });

  it('tells who waits in line of a pause at once', async () => {
    const world = new GateWorld({ bodies: 1 });
    const [first, second] = await world.visits(2, 'blob-body');
    first?.pass?.answered(429, 7000);
    await settle();
    assert.deepEqual([second?.error?.code, second?.error?.retryAfterMs], ['UPSTREAM_RATE_LIMITED', 7000]);
    assert.equal(world.clock.pending, 0);
  });

  it('leaves who waits in line alone when a pause is not about them', async () => {
    const world = new GateWorld({ bodies: 1 });
    const [first, second] = await world.visits(2, 'blob-body');
    await world.answered('manifest-get', 429, 7000);
    assert.equal(second?.error, undefined);
    assert.ok(first);
    await world.answer(first, 200);
    assert.ok(second?.pass);
  });

  it('tells everybody in line when it closes, and whoever comes', async () => {
    const world = new GateWorld({ bodies: 1 });
    const [first, second] = await world.visits(2, 'blob-body');
    world.gate[Symbol.dispose]();
    await settle();
    assert.equal(second?.error?.code, 'SHUTTING_DOWN');
    assert.equal((await world.visit('manifest-get')).error?.code, 'SHUTTING_DOWN');
    first?.pass?.ended('done');
    assert.equal(world.clock.pending, 0);
  });
});

describe('the limit of bodies', () => {
  const limitAfter = async (lesson: (world: GateWorld, first: Visit) => Promise<void> | void) => {
    const world = new GateWorld({ bodies: 12 });
    await lesson(world, await world.visit('blob-body'));
    await settle();
    return world.gate.snapshot().limit;
  };

  it('is halved by 429, 503 and 504, by a connection that fails and by an answer that does not come', async () => {
    for (const status of [429, 503, 504]) {
      assert.equal(await limitAfter((world, visit) => world.answer(visit, status)), 6, `${status}`);
    }
    assert.equal(await limitAfter((_, { pass }) => pass?.ended('failed')), 6);
  });

  it('is not lowered by other answers, by who leaves, or by a body that breaks off after a good beginning', async () => {
    for (const status of [200, 206, 401, 403, 404, 500]) {
      assert.equal(await limitAfter((_, { pass }) => pass?.answered(status, undefined)), 12, `${status}`);
    }
    for (const status of [401, 403, 404]) {
      const limit = await limitAfter((_, { pass }) => {
        pass?.answered(status, undefined);
        pass?.ended('refused');
      });
      assert.equal(limit, 12, `${status}`);
    }
    assert.equal(await limitAfter((_, { pass }) => pass?.ended('left')), 12);
    assert.equal(
      await limitAfter((_, { pass }) => {
        pass?.answered(200, undefined);
        pass?.ended('failed');
      }),
      12,
    );
  });

  it('says nothing of requests that are no bodies', async () => {
    assert.equal(await limitAfter((world) => world.answered('manifest-get', 503).then(() => {})), 12);
  });

  it('that falls below what is under way lets nobody in until enough of it has ended', async () => {
    const world = new GateWorld({ bodies: 12 });
    const visits = await world.visits(13, 'blob-body');
    await world.answer(at(visits, 0), 503);
    assert.equal(world.gate.snapshot().inFlight, 11);
    for (let index = 1; index <= 5; index++) await world.answer(at(visits, index), 200);
    assert.equal(isIn(at(visits, 12)), false);
    await world.answer(at(visits, 6), 200);
    assert.equal(isIn(at(visits, 12)), true);
  });

  it('grows again by rounds of successes while there is a use for it', async () => {
    const world = new GateWorld({ bodies: 12 });
    await world.answered('blob-body', 503);
    for (let body = 0; body < 30; body++) await world.answered('blob-body', 200);
    assert.equal(world.gate.snapshot().limit, 6, 'one at a time is no use of six');
    for (const visit of await world.visits(100, 'blob-body')) {
      assert.ok(isIn(visit), 'each that ends lets the next in');
      await world.answer(visit, 200);
    }
    assert.equal(world.gate.snapshot().limit, 12);
  });
});
