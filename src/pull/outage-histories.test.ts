import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AppError, asAppError, type ErrorCode } from '../core/errors.ts';
import { VirtualClock } from '../core/testing/virtual-clock.ts';
import { Random } from '../flights/testing/random.ts';
import { retryDefaults, retryPolicy } from '../routing/retry-policy.ts';
import { Channels } from '../telemetry/channels.ts';
import { EndpointWatch } from '../upstream/endpoint-watch.ts';
import { withAttempts } from './attempts.ts';

/**
 * Random outages of an upstream with one endpoint, and requests that come before, in and after them, one by one and in crowds.
 * Requests are for two kinds of things; in some outages only one of them fails, in some a probe succeeds all the same.
 *
 *   HISTORIES=2000 SEED=1 node --test src/pull/outage-histories.test.ts
 */
const histories = Number(process.env.HISTORIES ?? 60);
const firstSeed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
const eventsPerHistory = 40;
const boundMs = 22_500;
/** So long does anybody wait who is told that nobody is there, or that it fails. */
const longestMs = { UPSTREAM_UNREACHABLE: 4500, UPSTREAM_FAILED: 17_000 } as const;

type Kind = 'manifest' | 'blob';
type Fault = keyof typeof longestMs;

interface Request {
  readonly kind: Kind;
  readonly atMs: number;
  attempts: number;
  outcome: ErrorCode | 'answered' | undefined;
  endedMs: number;
  wasKnownDown: boolean;
}

class History {
  readonly #random: Random;
  readonly #clock = new VirtualClock();
  readonly #channels = new Channels();
  readonly #watch: EndpointWatch;
  readonly #requests: Request[] = [];
  readonly #log: string[] = [];
  readonly #moves: string[] = [];
  readonly #faults = new Map<Kind, Fault>();
  #probesFail = false;

  constructor(seed: number) {
    this.#random = new Random(seed);
    this.#channels.breaker.subscribe(({ state }) => this.#moves.push(state));
    const probe = async () => {
      if (this.#probesFail) throw new AppError('UPSTREAM_UNREACHABLE', 'the probe failed');
    };
    const random = () => this.#random.next();
    const names = { upstream: 'hub', endpoint: 'hub.example', isOnly: true };
    this.#watch = new EndpointWatch({ clock: this.#clock, channels: this.#channels, random, probe }, names);
  }

  async run(): Promise<void> {
    try {
      for (let event = 0; event < eventsPerHistory; event++) await this.#event();
      this.#note('all is well again');
      this.#faults.clear();
      this.#probesFail = false;
      await this.#pass(60_000);
      const last = this.#ask('manifest');
      await this.#pass(0);
      assert.deepEqual([last.outcome, last.attempts], ['answered', 1]);
      this.#check();
      assert.deepEqual([this.#watch.isShut, this.#watch.outageMs], [false, 0]);
      await this.#watch[Symbol.asyncDispose]();
      assert.equal(this.#clock.pending, 0, 'timers are left');
    } catch (error) {
      throw new Error(this.#log.join('\n'), { cause: error });
    }
  }

  async #event(): Promise<void> {
    const kind: Kind = this.#random.chance(0.5) ? 'manifest' : 'blob';
    const draw = this.#random.next();
    if (draw < 0.25) {
      const fault: Fault = this.#random.chance(0.6) ? 'UPSTREAM_UNREACHABLE' : 'UPSTREAM_FAILED';
      this.#probesFail = fault === 'UPSTREAM_UNREACHABLE' || this.#random.chance(0.5);
      const kinds: readonly Kind[] = this.#random.chance(0.7) ? ['manifest', 'blob'] : [kind];
      for (const each of kinds) this.#faults.set(each, fault);
      this.#note(`${kinds.join(' and ')} fail with ${fault}, probes ${this.#probesFail ? 'too' : 'do not'}`);
    } else if (draw < 0.45) {
      this.#note('all is well');
      this.#faults.clear();
      this.#probesFail = false;
    } else {
      const crowd = this.#random.chance(0.2) ? 50 : 1 + this.#random.below(3);
      this.#note(`${crowd} ask for a ${kind}`);
      for (let n = 0; n < crowd; n++) this.#ask(kind);
    }
    await this.#pass(this.#random.chance(0.7) ? this.#random.below(3000) : this.#random.below(90_000));
    this.#check();
  }

  #note(words: string): void {
    this.#log.push(`${Math.round(this.#clock.monotonic())}: ${words}`);
  }

  #ask(kind: Kind): Request {
    const clock = this.#clock;
    const request: Request = {
      kind,
      atMs: clock.monotonic(),
      attempts: 0,
      outcome: undefined,
      endedMs: 0,
      wasKnownDown: false,
    };
    this.#requests.push(request);
    const deps = { clock, channels: this.#channels, retry: retryPolicy(retryDefaults, () => this.#random.next()) };
    const isKnownDown = this.#watch.outageMs >= longestMs.UPSTREAM_FAILED;
    const options = { boundMs, upstream: 'hub', kind, outageMs: () => this.#watch.outageMs };
    withAttempts(deps, options, () => this.#attempt(request)).then(
      () => this.#ended(request, 'answered', isKnownDown),
      (thrown: unknown) => this.#ended(request, asAppError(thrown).code, isKnownDown),
    );
    return request;
  }

  async #attempt(request: Request): Promise<void> {
    request.attempts++;
    const sentAtMs = this.#clock.monotonic();
    const fault = this.#faults.get(request.kind);
    await undefined;
    if (fault === undefined) return this.#watch.answered(1, sentAtMs);
    const error = new AppError(fault, 'failed by the test');
    this.#watch.failed(error);
    throw error;
  }

  #ended(request: Request, outcome: ErrorCode | 'answered', wasKnownDown: boolean): void {
    request.outcome = outcome;
    request.endedMs = this.#clock.monotonic();
    request.wasKnownDown = wasKnownDown;
  }

  async #pass(forMs: number): Promise<void> {
    const endMs = this.#clock.monotonic() + forMs;
    for (;;) {
      for (let turn = 0; turn < 2; turn++) await new Promise(setImmediate);
      const leftMs = endMs - this.#clock.monotonic();
      if (leftMs <= 0) return;
      this.#clock.advance(Math.min(leftMs, this.#clock.nextDueInMs ?? leftMs));
    }
  }

  #check(): void {
    const nowMs = this.#clock.monotonic();
    for (const { outcome, attempts, atMs, endedMs, wasKnownDown } of this.#requests) {
      assert.ok(attempts > 0, 'nobody is refused without having been tried for');
      if (wasKnownDown) assert.equal(attempts, 1, 'one attempt, where it was known to be down');
      assert.ok(attempts <= 14, `${attempts} attempts`);
      if (outcome === undefined) assert.ok(nowMs - atMs <= boundMs, 'nobody waits for longer than anybody may');
      else if (outcome !== 'answered')
        assert.ok(endedMs - atMs <= longestMs.UPSTREAM_FAILED + 200, `${endedMs - atMs} ms`);
    }
    for (const [index, state] of this.#moves.entries()) {
      const before = index === 0 ? 'closed' : this.#moves[index - 1];
      assert.notEqual(state, before, 'each move is told once');
    }
  }
}

describe('outages of an upstream with one endpoint', () => {
  it(`never keep a request from being tried, nor cost it much, in ${histories} histories from seed ${firstSeed} on`, async () => {
    for (let n = 0; n < histories; n++) {
      await new History(firstSeed + n).run().catch((error) => {
        throw new Error(`history of seed ${firstSeed + n} (HISTORIES=1 SEED=${firstSeed + n})`, { cause: error });
      });
    }
  });
});
