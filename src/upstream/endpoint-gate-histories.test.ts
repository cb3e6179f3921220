import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Random } from '../flights/testing/random.ts';
import { greatestHeadStartMs } from '../routing/queue-order.ts';
import type { GateWhat } from './endpoint-gate.ts';
import { acquireTimeoutMs, GateWorld, settle, type Visit } from './testing/gate-world.ts';

/**
 * Random histories of one gate: requests that come, leave, are answered well, refused, cut or forgotten, and time that
 * passes. After every step its invariants are checked; at the end all that is under way ends, and nothing may be left.
 *
 *   HISTORIES=5000 SEED=1 node --test src/upstream/endpoint-gate-histories.test.ts
 */
const histories = Number(process.env.HISTORIES ?? 150);
const firstSeed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
const stepsPerHistory = 120;
const whats: readonly GateWhat[] = ['manifest-get', 'manifest-head', 'blob-body', 'blob-body', 'blob-head', 'other'];
const statuses = [200, 200, 200, 206, 401, 404, 429, 500, 503, 504] as const;

interface Guest extends Visit {
  readonly cameMs: number;
  readonly urgency: { readonly waiters: number; readonly missingBytes: number | undefined };
  hasLeft: boolean;
  hasEnded: boolean;
}

class History {
  readonly #random: Random;
  readonly #world: GateWorld;
  readonly #log: string[] = [];
  readonly #bodies: number;
  #guests: Guest[] = [];

  constructor(seed: number) {
    this.#random = new Random(seed);
    this.#bodies = 1 + this.#random.below(12);
    this.#world = new GateWorld({ bodies: this.#bodies, random: () => this.#random.next() });
  }

  async run(): Promise<void> {
    try {
      for (let step = 0; step < stepsPerHistory; step++) {
        await this.#step();
        this.#check();
      }
      await this.#end();
    } catch (error) {
      throw new Error(this.#log.join('\n'), { cause: error });
    }
  }

  async #step(): Promise<void> {
    const random = this.#random;
    const under = this.#guests.filter(({ pass, hasEnded }) => pass !== undefined && !hasEnded);
    const waiting = this.#guests.filter((guest) => isWaiting(guest));
    const dice = random.below(10);
    if (dice < 4) return this.#come();
    if (dice < 7) return this.#answer(random.pick(under));
    if (dice < 8) return this.#leave(random.pick(waiting));
    const ms = random.pick([1, 50, 900, 2000, 7000, 40_000]) ?? 1;
    this.#log.push(`+${ms} ms`);
    await this.#world.later(ms);
  }

  async #come(): Promise<void> {
    const random = this.#random;
    const what = random.pick(whats) ?? 'other';
    const optional = random.chance(0.2);
    const urgency = {
      waiters: random.below(100),
      missingBytes: random.chance(0.2) ? undefined : random.below(2 ** 31),
    };
    const { gate, clock } = this.#world;
    const before = { hasRoom: gate.hasRoom(), restMs: gate.restMs(what) };
    const visit = await this.#world.visit(what, { optional, urgency: () => urgency });
    const guest: Guest = Object.assign(visit, { cameMs: clock.monotonic(), urgency, hasLeft: false, hasEnded: false });
    this.#guests.push(guest);
    this.#log.push(`${what}${optional ? ' (optional)' : ''}: ${stateOf(guest)}`);
    if (before.restMs > 0) assert.ok(guest.error, 'nobody waits or gets in while there is a rest');
    if (optional) assert.ok(!isWaiting(guest), 'what is optional does not wait');
    if (what === 'blob-body' && before.hasRoom) assert.ok(guest.pass, 'there was room');
  }

  async #answer(guest: Guest | undefined): Promise<void> {
    if (guest === undefined) return;
    const random = this.#random;
    const status = random.pick(statuses) ?? 200;
    const retryAfterMs = random.chance(0.5) ? random.below(30_000) : undefined;
    this.#log.push(`${guest.ask.what} answered ${status} ${retryAfterMs ?? ''}`);
    const restMs = this.#world.gate.restMs(guest.ask.what);
    if (random.chance(0.9)) guest.pass?.answered(status, retryAfterMs);
    if (status === 429 && !guest.hasEnded) {
      assert.ok(this.#world.gate.restMs(guest.ask.what) >= restMs, 'a refusal does not shorten a rest');
    }
    if (random.chance(0.8)) {
      const end = status < 400 ? 'done' : random.chance(0.5) ? 'refused' : 'failed';
      guest.pass?.ended(random.chance(0.1) ? 'left' : end);
      guest.hasEnded = true;
      // What comes after the end changes nothing.
      if (random.chance(0.2)) guest.pass?.ended('failed');
    }
    await settle();
  }

  async #leave(guest: Guest | undefined): Promise<void> {
    if (guest === undefined) return;
    this.#log.push(`${guest.ask.what} leaves`);
    guest.abort.abort();
    guest.hasLeft = true;
    await settle();
    assert.equal(guest.error?.code, 'CANCELLED');
    assert.equal(guest.pass, undefined);
  }

  #check(): void {
    const { gate, clock } = this.#world;
    const { limit, inFlight, queued } = gate.snapshot();
    this.#guests = this.#guests.filter(({ error, hasEnded }) => error === undefined && !hasEnded);
    const under = this.#guests.filter(({ pass, ask }) => pass !== undefined && ask.what === 'blob-body');
    const waiting = this.#guests.filter(isWaiting);
    assert.ok(limit >= 1 && limit <= this.#bodies, `the limit is ${limit}`);
    assert.equal(inFlight, under.length, 'no slot leaks, none is counted twice');
    assert.equal(queued, waiting.length, 'nobody is forgotten');
    for (const { ask, cameMs, reasons } of waiting) {
      assert.equal(gate.restMs(ask.what), 0, 'nobody waits here for a rest');
      assert.ok(clock.monotonic() - cameMs < acquireTimeoutMs, 'nobody waits too long');
      assert.equal(typeof reasons.at(-1), 'string', 'who waits knows for what');
    }
    const isProbing = waiting.some(({ reasons }) => reasons.at(-1)?.startsWith('the first answer'));
    if (!isProbing && waiting.length > 0) assert.ok(inFlight >= limit, 'nobody waits who could be let in');
  }

  async #end(): Promise<void> {
    const { gate, clock } = this.#world;
    for (let turn = 0; turn < 10_000 && this.#guests.length > 0; turn++) {
      for (const guest of this.#guests) {
        if (guest.pass === undefined) continue;
        guest.pass.answered(200, undefined);
        guest.pass.ended('done');
        guest.hasEnded = true;
      }
      await settle();
      this.#check();
    }
    const left = { guests: this.#guests.length, timers: clock.pending, ...gate.snapshot(), limit: 0, pauses: [] };
    assert.deepEqual(left, { guests: 0, timers: 0, limit: 0, inFlight: 0, queued: 0, pauses: [] });
  }
}

function isWaiting({ pass, error }: Guest): boolean {
  return pass === undefined && error === undefined;
}

function stateOf(guest: Guest): string {
  return guest.pass !== undefined ? 'in' : (guest.error?.code ?? 'waits');
}

describe('the gate, in random histories', () => {
  it(`keeps its invariants (SEED=${firstSeed}, ${histories} histories)`, async () => {
    for (let seed = firstSeed; seed < firstSeed + histories; seed++) {
      try {
        await new History(seed).run();
      } catch (error) {
        throw new Error(`SEED=${seed} HISTORIES=1`, { cause: error });
      }
    }
  });

  it('starves nobody: the least wanted body gets in while the most wanted come without end', async () => {
    const world = new GateWorld({ bodies: 2 });
    const under = await world.visits(2, 'blob-body');
    const least = await world.visit('blob-body', { urgency: () => ({ waiters: 0, missingBytes: 2 ** 50 }) });
    const mostWanted = { urgency: () => ({ waiters: 100_000, missingBytes: 1 }) };
    const line: Visit[] = [];
    // One comes and one is served each 100 ms, behind five that always wait.
    for (let place = 0; place < 5; place++) line.push(await world.visit('blob-body', mostWanted));
    while (least.pass === undefined && world.clock.monotonic() < acquireTimeoutMs) {
      line.push(await world.visit('blob-body', mostWanted));
      const served = under.shift() ?? line.find(({ pass }) => pass !== undefined);
      assert.ok(served);
      line.splice(line.indexOf(served), line.includes(served) ? 1 : 0);
      await world.answer(served, 200);
      await world.later(100);
    }
    assert.ok(least.pass, 'it is never let in');
    // Whoever came within the head start before it goes first, and those are served at 10 a second.
    assert.ok(world.clock.monotonic() <= 2 * greatestHeadStartMs, `after ${world.clock.monotonic()} ms`);
  });
});
