import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { Interval } from '../../core/byte-range.ts';
import { digestOf } from '../../core/digest.ts';
import { AppError } from '../../core/errors.ts';
import { Random } from '../testing/random.ts';
import { type Attempt, ScriptedSource } from '../testing/scripted-source.ts';
import { type PassedClient, PassingWorld, testOptions } from './testing/passing-world.ts';

/**
 * Random histories: readers of the whole and of parts, some with bytes that they had elsewhere, of all speeds, who join and
 * leave; sources that cut, stall, corrupt, ignore ranges, end early, hide or refuse. The promises are checked after every
 * step, and at the end of each history all is made well and must come right.
 *
 *   HISTORIES=20000 SEED=1 node --test src/flights/passing/passing-histories.test.ts
 */
const histories = Number(process.env.HISTORIES ?? 400);
const firstSeed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
const stepsPerHistory = 60;

class History {
  readonly #random: Random;
  readonly #content: Uint8Array;
  readonly #world: PassingWorld;
  readonly #corrupts: boolean;
  readonly #isRough: boolean;
  #hidesSize: boolean;
  readonly #sources: ScriptedSource[] = [];
  readonly #log: string[] = [];

  constructor(seed: number) {
    const random = new Random(seed);
    this.#random = random;
    const sizeBytes = random.chance(0.1) ? random.below(3) : random.below(random.chance(0.2) ? 300 : 20_000);
    this.#content = Uint8Array.from({ length: sizeBytes }, () => random.below(256));
    this.#isRough = random.chance(0.75);
    this.#corrupts = this.#isRough && random.chance(0.4);
    this.#hidesSize = random.chance(0.2);
    const totalBytes = random.pick([1600, 3000, 8000, 64_000]) ?? 0;
    const windowBytes = random.pick([1600, 6400]) ?? 0;
    const minProgressBytes = random.chance(0.3) ? 20 : 0;
    this.#world = new PassingWorld(digestOf(this.#content), {
      ...testOptions,
      totalBytes,
      windowBytes,
      minProgressBytes,
    });
    for (let n = 0; n <= random.below(3); n++) this.#addSource();
  }

  async play(): Promise<void> {
    try {
      for (let step = 0; step < stepsPerHistory; step++) {
        this.#step();
        await this.#world.quiet();
        this.#check();
      }
      await this.#comeRight();
    } catch (error) {
      throw new Error(`after: ${this.#log.slice(-40).join('; ')}`, { cause: error });
    }
  }

  #addSource(): void {
    this.#sources.push(new ScriptedSource(`s${this.#sources.length}`, this.#content));
  }

  #step(): void {
    const random = this.#random;
    const chance = random.next();
    if (chance < 0.15) this.#join();
    else if (chance < 0.2) this.#note('leave', random.pick(this.#following)?.leave());
    else if (chance < 0.5) this.#read();
    else if (chance < 0.9) this.#serve();
    else this.#wait(random.pick([100, 1000, 6000, 12_000]) ?? 0);
  }

  get #following(): PassedClient[] {
    return this.#world.clients.filter(({ isFollowing }) => isFollowing);
  }

  #note(what: string, _?: unknown): void {
    this.#log.push(what);
  }

  #join(): void {
    const { length } = this.#content;
    const options: { range?: Interval; handed?: Uint8Array; sizeBytes?: number | undefined } = {};
    if (length > 0 && this.#random.chance(0.5)) {
      const start = this.#random.below(length);
      const end = this.#random.chance(0.3) ? length : start + 1 + this.#random.below(length - start);
      options.range = { start, end };
    } else if (this.#hidesSize) {
      options.sizeBytes = undefined;
    }
    if (this.#random.chance(0.2)) {
      const { start, end } = options.range ?? { start: 0, end: length };
      // Nobody was ever handed what is held back before it was verified.
      const most = Math.min(end, length - testOptions.holdBackBytes);
      if (most > start) options.handed = this.#content.subarray(start, start + 1 + this.#random.below(most - start));
      if (options.handed?.length === end - start) delete options.handed;
    }
    try {
      const client = this.#world.join(this.#sources, options);
      client.isGreedy = this.#random.chance(0.3);
      this.#note(
        `join ${options.range?.start ?? 'whole'}-${options.range?.end ?? ''} had ${options.handed?.length ?? 0}`,
      );
    } catch (error) {
      assert.ok(error instanceof AppError && error.code === 'OVERLOADED', String(error));
      this.#note('refused');
    }
  }

  #read(): void {
    const client = this.#random.pick(this.#following);
    const bytes = this.#random.pick([1, 50, 400, 3000, 20_000]) ?? 0;
    client?.read(bytes);
    this.#note(`read ${bytes}`);
  }

  #wait(ms: number): void {
    this.#world.clock.advance(ms);
    this.#note(`wait ${ms}`);
  }

  #serve(): void {
    const random = this.#random;
    const source = random.pick(this.#sources);
    const asking = random.pick(source?.asking ?? []);
    if (asking !== undefined) return this.#answer(asking);
    const attempt = random.pick(source?.awaited ?? []);
    if (attempt === undefined) return;
    if (this.#isRough && random.chance(0.08)) {
      this.#note('cut', attempt.cut());
    } else if (this.#isRough && random.chance(0.03) && attempt.position < this.#content.length) {
      // Of a blob whose size nobody tells, an end that comes too early looks like the end.
      if (!this.#hidesSize) this.#note('end early', attempt.finish());
    } else if (this.#corrupts && random.chance(0.1)) {
      attempt.deliver(300, (chunk) => {
        chunk[0] = (chunk[0] ?? 0) ^ 1;
      });
      this.#note('corrupt');
    } else {
      attempt.deliver(random.pick([1, 90, 500, 4000]) ?? 0);
      this.#note('deliver');
    }
  }

  #answer(attempt: Attempt): void {
    const random = this.#random;
    if (this.#isRough && random.chance(0.15)) {
      const retryAfterMs = random.chance(0.3) ? 2000 : undefined;
      attempt.refuse(new AppError('UPSTREAM_FAILED', 'busy', retryAfterMs === undefined ? {} : { retryAfterMs }));
      return this.#note('refuse');
    }
    const ignoreRange = this.#isRough && random.chance(0.1);
    attempt.answer({ ignoreRange, ...(this.#hidesSize && { sizeBytes: null }) });
    this.#note(`answer ${attempt.start}-${attempt.end ?? ''}${ignoreRange ? ' from 0' : ''}`);
  }

  #check(): void {
    this.#world.assertNobodyOversleeps();
    for (const client of this.#world.clients) this.#checkClient(client);
    if (this.#following.length === 0) this.#world.assertNothingLeft();
    const held = this.#world.table.memoryBytes;
    assert.ok(held >= 0 && held <= 64_000, `${held} bytes are held`);
  }

  #checkClient({ outcome, bytes, reader, from }: PassedClient): void {
    const { length } = this.#content;
    const isPart = (reader.end ?? length) <= length - testOptions.holdBackBytes;
    const right = bytes.equals(this.#content.subarray(from, from + bytes.length));
    if (!this.#corrupts) assert.ok(right, 'wrong bytes although nobody sent any');
    if (outcome === 'complete') {
      assert.equal(from + bytes.length, reader.end ?? length, 'complete too early');
      assert.ok(right || isPart, 'complete, and wrong');
    } else if (!isPart && !right) {
      assert.ok(from + bytes.length <= length - testOptions.holdBackBytes, 'the end of a wrong body was handed out');
    }
    if (outcome instanceof AppError) assert.ok(this.#isRough, `failed without a reason: ${outcome}`);
  }

  /** From here on nothing goes wrong: everybody who is still there gets an end. */
  async #comeRight(): Promise<void> {
    this.#note('well');
    for (const client of this.#world.clients) client.isGreedy = true;
    const before = new Set(this.#following);
    for (let turn = 0; this.#following.length > 0 && turn < 400; turn++) {
      for (const source of this.#sources) {
        for (const attempt of source.asking) attempt.answer(this.#hidesSize ? { sizeBytes: null } : {});
        for (const attempt of source.awaited) attempt.deliver(4000);
      }
      for (const client of this.#following) client.read(20_000);
      await this.#world.quiet();
      if (turn % 8 === 7) this.#wait(1000);
    }
    assert.equal(this.#following.length, 0, 'somebody waits for ever');
    this.#check();
    for (const { outcome } of before) {
      const isExcused = this.#isRough && outcome instanceof AppError;
      assert.ok(outcome === 'complete' || isExcused, `ended ${outcome}`);
    }
    this.#world.assertNothingLeft();
  }
}

it(`is right in ${histories} random histories from seed ${firstSeed}`, async () => {
  for (let n = 0; n < histories; n++) {
    const seed = (firstSeed + n) % 2 ** 31;
    await new History(seed).play().catch((error) => {
      throw new Error(`history of SEED=${seed} HISTORIES=1`, { cause: error });
    });
  }
});
