import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { GateWorld } from './testing/gate-world.ts';

const all = ['manifest-get', 'manifest-head', 'blob-body', 'blob-head', 'other'] as const;

/** What of it is held up now. */
const heldUp = ({ gate }: GateWorld) => all.filter((what) => gate.restMs(what) > 0);

describe('a pause', () => {
  const cases = [
    ['manifest-get', ['manifest-get'], 'manifests'],
    ['manifest-head', ['manifest-get', 'manifest-head'], 'manifests'],
    ['blob-body', ['blob-body', 'blob-head'], 'blobs'],
    ['blob-head', ['blob-body', 'blob-head'], 'blobs'],
    ['other', all, 'everything'],
  ] as const;
  for (const [what, held, told] of cases) {
    it(`that a 429 on ${what} begins holds up ${held.join(', ')}, and is published`, async () => {
      const world = new GateWorld();
      await world.answered(what, 429, 30_000);
      assert.deepEqual(heldUp(world), held);
      assert.deepEqual(world.pauses, [
        { upstream: 'hub', endpoint: 'a.example', what: told, status: 429, forMs: 30_000 },
      ]);
      assert.equal(world.gate.restReason(what), 'a.example limits us');
      await world.later(30_000);
      assert.deepEqual(heldUp(world), []);
      assert.equal(world.gate.restReason(what), undefined);
    });
  }

  it('is told at once to whoever comes, with what is left of it', async () => {
    const world = new GateWorld();
    await world.answered('manifest-get', 429, 30_000);
    await world.later(12_500);
    const { error } = await world.visit('manifest-get');
    assert.equal(error?.code, 'UPSTREAM_RATE_LIMITED');
    assert.equal(error?.retryAfterMs, 17_500);
    assert.deepEqual(error?.details, { upstream: 'hub' });
    assert.equal(world.clock.pending, 0);
  });

  it('is begun by 503 with Retry-After, as what it is, and not by one without', async () => {
    const world = new GateWorld();
    await world.answered('blob-body', 503);
    assert.deepEqual(heldUp(world), []);
    await world.answered('blob-body', 503, 4000);
    const { error } = await world.visit('blob-body');
    assert.deepEqual([error?.code, error?.status, error?.retryAfterMs], ['UPSTREAM_FAILED', 503, 4000]);
    assert.equal(world.gate.restReason('blob-body'), 'a.example asked for a rest');
  });

  it('without Retry-After takes about a second, doubled by each further refusal up to a minute', async () => {
    const world = new GateWorld();
    const seconds: number[] = [];
    for (let refusal = 0; refusal < 9; refusal++) {
      await world.answered('manifest-get', 429);
      seconds.push(world.gate.restMs('manifest-get') / 1000);
      await world.later(world.gate.restMs('manifest-get'));
    }
    assert.deepEqual(seconds, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
  });

  it('that nobody gave a length has one by chance, so that many who met it do not come back at once', async () => {
    const lengths = [0, 0.999].map(async (chance) => {
      const world = new GateWorld({ random: () => chance });
      await world.answered('manifest-get', 429);
      return world.gate.restMs('manifest-get');
    });
    assert.deepEqual(await Promise.all(lengths), [750, 1250]);
  });

  it('of no length (Retry-After: 0) is guessed as well, so that nobody is asked over and over', async () => {
    const world = new GateWorld();
    await world.answered('manifest-get', 429, 0);
    assert.equal(world.gate.restMs('manifest-get'), 1000);
  });

  it('begins small again after a success', async () => {
    const world = new GateWorld();
    for (const restMs of [1000, 2000]) {
      await world.answered('manifest-get', 429);
      await world.later(restMs);
    }
    await world.answered('manifest-get', 200);
    await world.answered('manifest-get', 429);
    assert.equal(world.gate.restMs('manifest-get'), 1000);
  });

  it('counts a burst that is refused together as one refusal, and tells of it once', async () => {
    const world = new GateWorld();
    for (const visit of await world.visits(10, 'manifest-get')) await world.answer(visit, 429);
    assert.equal(world.gate.restMs('manifest-get'), 1000);
    assert.equal(world.pauses.length, 1);
  });

  it('is believed for an hour at most; then one request finds out', async () => {
    const world = new GateWorld();
    await world.answered('manifest-get', 429, 86_400_000);
    assert.equal(world.gate.restMs('manifest-get'), 3_600_000);
    await world.later(3_600_000);
    const [probe, other] = await world.visits(2, 'manifest-get');
    assert.ok(probe?.pass);
    assert.equal(other?.pass, undefined);
    await world.answer(probe, 429, 86_400_000 - 3_600_000);
    assert.equal(other?.error?.retryAfterMs, 3_600_000);
  });

  it('grows by a longer word, which is published, and never shrinks by a shorter one', async () => {
    const world = new GateWorld();
    const [first, second, third, fourth] = await world.visits(4, 'manifest-get');
    assert.ok(first && second && third && fourth);
    await world.answer(first, 429, 20_000);
    await world.answer(second, 429, 60_000);
    await world.answer(third, 429, 5000);
    await world.answer(fourth, 429);
    assert.equal(world.gate.restMs('manifest-get'), 60_000);
    assert.deepEqual(
      world.pauses.map(({ forMs }) => forMs),
      [20_000, 60_000],
    );
  });

  it('is not ended by the success of a request from before it', async () => {
    const world = new GateWorld();
    const [first, second] = await world.visits(2, 'manifest-get');
    assert.ok(first && second);
    await world.answer(first, 429, 20_000);
    await world.answer(second, 200);
    assert.equal(world.gate.restMs('manifest-get'), 20_000);
    await world.later(20_000);
    const [probe, waiting] = await world.visits(2, 'manifest-get');
    assert.ok(probe?.pass && waiting?.pass === undefined, 'nobody has found out yet');
    await world.answer(probe, 200);
  });

  it('of everything is begun by a token server that limits us, and says nothing of how many bodies are good', async () => {
    const world = new GateWorld({ bodies: 12 });
    const visit = await world.visit('blob-body');
    visit.pass?.answered(401, undefined);
    visit.pass?.answered(429, 8000, 'other');
    visit.pass?.ended('failed');
    assert.deepEqual(heldUp(world), all);
    assert.equal(world.pauses[0]?.what, 'everything');
    assert.equal(world.gate.snapshot().limit, 12);
  });

  it('of manifest GETs lets HEADs go on, and their success says nothing of GETs', async () => {
    const world = new GateWorld();
    await world.answered('manifest-get', 429, 20_000);
    assert.ok((await world.answered('manifest-head', 200)).pass);
    assert.deepEqual(heldUp(world), ['manifest-get']);
  });
});

describe('after a pause', () => {
  const rested = async () => {
    const world = new GateWorld();
    await world.answered('manifest-get', 429, 5000);
    await world.later(5000);
    return world;
  };

  it('one request goes first; its success lets all the others in', async () => {
    const world = await rested();
    const [probe, ...others] = await world.visits(50, 'manifest-get');
    assert.ok(probe?.pass);
    assert.equal(others.filter(({ pass }) => pass !== undefined).length, 0);
    assert.deepEqual(others[7]?.reasons, ['the first answer of a.example after its rest']);
    probe.pass.answered(200, undefined);
    await world.later(0);
    assert.equal(others.filter(({ pass }) => pass !== undefined).length, 49);
    assert.deepEqual(others[7]?.reasons.at(-1), undefined);
    assert.equal(world.clock.pending, 0);
  });

  it('its refusal is told to all the others at once', async () => {
    const world = await rested();
    const [probe, ...others] = await world.visits(50, 'manifest-get');
    probe?.pass?.answered(429, 9000);
    await world.later(0);
    assert.ok(others.every(({ error }) => error?.retryAfterMs === 9000));
    assert.equal(world.gate.snapshot().queued, 0);
    assert.equal(world.clock.pending, 0);
  });

  it('the next goes where the first left, failed, or had no good answer', async () => {
    const world = await rested();
    const [first, second, third, fourth, fifth] = await world.visits(5, 'manifest-get');
    assert.ok(first && second && third && fourth && fifth);
    const passed = () => [second, third, fourth, fifth].filter(({ pass }) => pass !== undefined).length;
    assert.equal(passed(), 0);
    first.pass?.ended('left');
    await world.later(0);
    assert.equal(passed(), 1);
    second.pass?.ended('failed');
    await world.later(0);
    assert.equal(passed(), 2);
    await world.answer(third, 500);
    assert.equal(passed(), 3);
    await world.answer(fourth, 404);
    assert.equal(passed(), 4);
  });

  it('the next goes when the first has no answer for two seconds', async () => {
    const world = await rested();
    const [, second, third] = await world.visits(3, 'manifest-get');
    await world.later(1999);
    assert.equal(second?.pass, undefined);
    await world.later(1);
    assert.ok(second?.pass);
    assert.equal(third?.pass, undefined);
    await world.answer(second, 200);
    assert.ok(third?.pass);
    assert.equal(world.clock.pending, 0);
  });

  it('the question who we are is not yet an answer, unless it is the last word', async () => {
    const world = await rested();
    const [probe, second] = await world.visits(2, 'manifest-get');
    probe?.pass?.answered(401, undefined);
    await world.later(0);
    assert.equal(second?.pass, undefined);
    probe?.pass?.ended('refused');
    await world.later(0);
    assert.ok(second?.pass);
  });

  it('the question who we are does not end it where the answer to it failed, or nobody waits for it any more', async () => {
    for (const outcome of ['failed', 'left'] as const) {
      const world = await rested();
      const [probe, second, third] = await world.visits(3, 'manifest-get');
      probe?.pass?.answered(401, undefined);
      probe?.pass?.ended(outcome);
      await world.later(0);
      assert.ok(second?.pass, 'the next goes first');
      assert.equal(third?.pass, undefined, 'and the others wait for its answer');
    }
  });

  it('a token that the first request needs does not wait for the first request', async () => {
    const world = new GateWorld();
    await world.answered('other', 429, 5000);
    await world.later(5000);
    const [probe, second] = await world.visits(2, 'manifest-get');
    assert.equal(second?.pass, undefined);
    assert.ok((await world.answered('other', 200)).pass);
    assert.ok(second?.pass, 'a token was given: the pause is over');
    assert.ok(probe?.pass);
  });

  it('what was sent before the pause does not count as the first request', async () => {
    const world = new GateWorld();
    const old = await world.visit('manifest-get');
    await world.answered('manifest-get', 429, 5000);
    await world.later(5000);
    const [probe, second] = await world.visits(2, 'manifest-get');
    await world.answer(old, 200);
    assert.equal(second?.pass, undefined);
    assert.ok(probe);
    await world.answer(probe, 200);
    assert.ok(second?.pass);
  });

  it('an old refusal that comes late makes it rest again, whatever the first request hears', async () => {
    const world = new GateWorld();
    const old = await world.visit('manifest-get');
    await world.answered('manifest-get', 429, 5000);
    await world.later(5000);
    const [probe, second] = await world.visits(2, 'manifest-get');
    await world.answer(old, 429, 60_000);
    assert.equal(second?.error?.retryAfterMs, 60_000);
    assert.ok(probe);
    await world.answer(probe, 200);
    assert.equal(world.gate.restMs('manifest-get'), 60_000);
  });

  it('the first body decides with its headers, not with its end', async () => {
    const world = new GateWorld();
    await world.answered('blob-body', 429, 5000);
    await world.later(5000);
    const [probe] = await world.visits(1, 'blob-body');
    assert.equal(world.gate.hasRoom(), false);
    probe?.pass?.answered(206, undefined);
    assert.equal(world.gate.restMs('blob-body'), 0);
    assert.ok((await world.visit('blob-head')).pass);
  });
});
