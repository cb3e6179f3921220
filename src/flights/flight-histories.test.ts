import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Digest, digestOf } from '../core/digest.ts';
import { AppError } from '../core/errors.ts';
import { MemoryContentStore } from '../store/memory/memory-content-store.ts';
import type { FlightTableOptions } from './flight-table.ts';
import { FlightWorld, testOptions } from './testing/flight-world.ts';
import type { FollowingReader } from './testing/following-reader.ts';
import { Random } from './testing/random.ts';
import { type Attempt, ScriptedSource } from './testing/scripted-source.ts';

/**
 * Random histories: several sources that cut, stall, drip, corrupt, end early, ignore ranges, refuse, rest and lie about the
 * size, whose standing changes; blobs that are shared by connections; readers that join, leave, ask for parts and crawl;
 * processes that are stopped or killed. After every step the promises are checked. At the end of each history one source is
 * made well: what is in flight there must come to its end, whatever the others do. Then everything is, and must come right.
 *
 *   HISTORIES=20000 SEED=1 node --test src/flights/flight-histories.test.ts
 */
const histories = Number(process.env.HISTORIES ?? 2000);
const firstSeed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
const stepsPerHistory = 45;

/** What may go wrong in a history. A calm one has no excuse for fetching a byte twice. */
interface Weather {
  readonly corrupts: boolean;
  readonly kills: boolean;
  readonly ignoresRanges: boolean;
  readonly liesAboutSize: boolean;
  readonly hidesSize: boolean;
  readonly refuses: boolean;
  /** Sources that never answer, or ask for a rest. */
  readonly hangs: boolean;
  /** Writes and records fail now and then. */
  readonly diskFails: boolean;
  /** Whoever watches the sources changes his mind about them. */
  readonly changes: boolean;
}

class History {
  readonly #random: Random;
  readonly #store = new MemoryContentStore();
  readonly #content: Uint8Array;
  readonly #digest: Digest;
  readonly #weather: Weather;
  readonly #options: Partial<FlightTableOptions>;
  readonly #sent: Uint16Array;
  readonly #log: string[] = [];
  /** Large blobs, whose bytes take their time, are shared by connections. */
  readonly #splits: boolean;
  #world: FlightWorld;
  #sources: ScriptedSource[] = [];
  readonly #checked = new WeakSet<Attempt>();
  /** Bytes of bodies that were thrown away, and what an abrupt end forgot: they may be fetched again. */
  #excusedBytes = 0;

  constructor(seed: number) {
    this.#random = new Random(seed);
    const random = this.#random;
    this.#splits = random.chance(0.3);
    const sizeBytes = random.chance(0.1)
      ? random.below(3)
      : random.below(random.chance(0.3) ? 600 : this.#splits ? 40_000 : 12_000);
    this.#content = Uint8Array.from({ length: sizeBytes }, () => random.below(256));
    this.#digest = digestOf(this.#content);
    this.#sent = new Uint16Array(sizeBytes);
    const rough = random.chance(0.75);
    const may = (probability: number) => rough && random.chance(probability);
    this.#weather = {
      corrupts: may(0.4),
      kills: may(0.4),
      ignoresRanges: may(0.25),
      liesAboutSize: may(0.2),
      hidesSize: may(0.25),
      refuses: may(0.25),
      hangs: may(0.2),
      diskFails: may(0.15),
      changes: random.chance(0.4),
    };
    this.#options = {
      abandon: random.pick(['finish', 'finish', 'keep', 'discard']) ?? 'finish',
      maxRanges: 1 + random.below(random.chance(0.2) ? 8 : 4),
      smallBlobBytes: random.pick([0, 500, 500, 12_000]) ?? 0,
      hashDirectlyBytes: random.pick([0, 0, 12_000]) ?? 0,
      hashStepBytes: random.pick([1, 1, 1000]) ?? 1,
      // A claimed size that a liar confirmed is never given up: such a flight ends with its deadline.
      deadlineMs: random.chance(0.15) ? 15_000 : this.#weather.liesAboutSize ? 60_000 : testOptions.deadlineMs,
      headerPatienceMs: random.chance(0.15) ? 5000 : testOptions.headerPatienceMs,
      maxSplit: this.#splits ? (random.pick([2, 4, 8]) ?? 2) : 1,
      split: {
        fromBytes: random.pick([0, 2000, 5000]) ?? 0,
        leadBytes: 200 + random.below(6000),
        leastRangeBytes: random.pick([1, 100, 400]) ?? 1,
        mostRangeBytes: 400 + random.below(1000),
      },
      minProgressBytes: random.pick([0, 0, 300]) ?? 0,
      plan: {
        patienceBytes: random.pick([0, 1000, 1000]) ?? 0,
        leastRangeBytes: random.pick([1, 200, 200]) ?? 1,
        readThroughBytes: random.pick([0, 0, 50, 700]) ?? 0,
      },
    };
    this.#world = this.#newWorld();
  }

  async run(): Promise<void> {
    try {
      for (let step = 0; step < stepsPerHistory; step++) {
        await this.#step();
        await this.#settle();
      }
      await this.#comeRight();
    } catch (error) {
      const weather = JSON.stringify({ ...this.#weather, ...this.#options, sizeBytes: this.#content.length });
      throw new Error(`${weather}\n${this.#log.join('\n')}`, { cause: error });
    } finally {
      await this.#store[Symbol.asyncDispose]();
    }
  }

  #newWorld(): FlightWorld {
    this.#sources = ['a', 'b', 'c'].map((name) => new ScriptedSource(name, this.#content, this.#sent));
    const world = new FlightWorld(this.#store, this.#digest, this.#options);
    if (this.#weather.diskFails) world.store.failsNow = () => this.#random.chance(0.02);
    return world;
  }

  async #settle(): Promise<void> {
    await this.#world.quiet();
    if (this.#splits) {
      this.#world.clock.advance(this.#random.pick([0, 60, 220]) ?? 0);
      await this.#world.quiet();
    }
    this.#checkPromises();
  }

  async #step(): Promise<void> {
    const random = this.#random;
    const roll = this.#splits && random.chance(0.7) ? 50 + random.below(40) : random.below(100);
    if (roll < 18) return this.#join();
    if (roll < 24) return this.#act('leave', random.pick(this.#following()), (reader) => reader.leave());
    if (roll < 50)
      return this.#act('read', random.pick(this.#following()), (reader) => reader.read(1 + random.below(4000)));
    if (roll < 62) return this.#act('answer', random.pick(this.#asking()), (attempt) => this.#answer(attempt));
    if (roll < 90) return this.#act('deliver', random.pick(this.#awaited()), (attempt) => this.#deliver(attempt));
    if (roll < 96) {
      const ms = random.pick([100, 300, 6000, 12_000]) ?? 0;
      this.#log.push(`time +${ms}`);
      return this.#world.clock.advance(ms);
    }
    if (roll < 97 && this.#weather.changes) return this.#changeStanding();
    if (roll < 98) return this.#restart();
    if (this.#weather.kills) return this.#kill();
  }

  #changeStanding(): void {
    const source = this.#random.pick(this.#sources);
    if (source === undefined) return;
    const restMs = this.#random.pick([0, 0, 0, 400, 9000]) ?? 0;
    const restReason = restMs > 0 ? 'it rests' : undefined;
    source.standsAt = { restMs, restReason, cost: this.#random.below(3), hasRoom: this.#random.chance(0.7) };
    this.#log.push(`${source.name} stands at ${JSON.stringify(source.standsAt)}`);
  }

  #act<T>(what: string, subject: T | undefined, action: (subject: T) => void): void {
    if (subject === undefined) return;
    this.#log.push(what);
    action(subject);
  }

  async #join(): Promise<void> {
    const random = this.#random;
    const size = this.#content.length;
    const sources = this.#sources.filter(() => random.chance(0.5));
    if (sources.length === 0) sources.push(...this.#sources.slice(0, 1));
    const claimed = this.#weather.hidesSize && random.chance(0.5) ? undefined : this.#claimedSize();
    let range: { start: number; end: number } | undefined;
    if (claimed === size && size > 0 && random.chance(this.#splits ? 0.1 : 0.4)) {
      const start = random.below(size);
      range = { start, end: random.chance(0.3) ? size : start + 1 + random.below(size - start) };
    }
    this.#log.push(
      `join ${sources.map(({ name }) => name)} size ${claimed} ${range ? `${range.start}-${range.end}` : 'whole'}`,
    );
    const reader = await this.#world.join(sources, claimed, range);
    reader.read(1 + random.below(3000));
  }

  #claimedSize(): number {
    const lies = this.#weather.liesAboutSize && this.#random.chance(0.3);
    return lies ? this.#random.below(this.#content.length * 2 + 2) : this.#content.length;
  }

  #answer(attempt: Attempt): void {
    const random = this.#random;
    if (this.#weather.hangs && random.chance(0.3)) {
      if (random.chance(0.5)) return;
      this.#log.push('  refuse, with a rest');
      return attempt.refuse(
        new AppError('UPSTREAM_RATE_LIMITED', 'later', { retryAfterMs: 1000 + random.below(8000) }),
      );
    }
    if (attempt.request.optional && random.chance(0.2)) {
      this.#log.push('  refuse, for want of room');
      return attempt.refuse(new AppError('OVERLOADED', 'no room', { retryAfterMs: 1000 }));
    }
    if (random.chance(0.15)) {
      const code = this.#weather.refuses && random.chance(0.4) ? 'BLOB_UNKNOWN' : 'UPSTREAM_FAILED';
      this.#log.push(`  refuse ${code}`);
      return attempt.refuse(new AppError(code, 'refused by the test'));
    }
    const ignoreRange = this.#weather.ignoresRanges && random.chance(0.5);
    const hides = this.#weather.hidesSize && random.chance(0.5);
    const sizeBytes = hides
      ? null
      : this.#weather.liesAboutSize && random.chance(0.1)
        ? this.#claimedSize()
        : undefined;
    this.#log.push(`  answer ${attempt.start}-${attempt.end} ${ignoreRange ? 'from 0' : ''} size ${sizeBytes}`);
    attempt.answer({ ignoreRange, ...(sizeBytes !== undefined && { sizeBytes }) });
  }

  #deliver(attempt: Attempt): void {
    const random = this.#random;
    const roll = random.below(100);
    if (roll < 6) return attempt.cut();
    if (roll < 8) return attempt.finish();
    const bytes = 1 + random.below(random.chance(this.#splits ? 0.05 : 0.3) ? 6000 : 800);
    const corrupts = this.#weather.corrupts && random.chance(0.1);
    this.#log.push(`  ${attempt.source.name} at ${attempt.position} +${bytes}${corrupts ? ' corrupt' : ''}`);
    // A transfer runs into what another range brought: the chunk that crosses over is the price, no chunk after it.
    const again = this.#sent.subarray(
      attempt.position,
      Math.min(attempt.position + bytes, attempt.end ?? Number.POSITIVE_INFINITY),
    );
    if (again[0] === 0) this.#excusedBytes += again.reduce((sum, times) => sum + (times > 0 ? 1 : 0), 0);
    attempt.deliver(bytes, (chunk) => {
      if (corrupts) chunk[0] = (chunk[0] ?? 0) ^ 0xff;
    });
  }

  /** The process is stopped properly, and another one starts. */
  async #restart(): Promise<void> {
    this.#log.push('restart');
    await this.#world.table[Symbol.asyncDispose]();
    for (const reader of this.#following()) reader.leave();
    await this.#world.quiet();
    this.#world.assertNothingLeft();
    this.#world = this.#newWorld();
  }

  /** The process dies between two instructions, and another one starts. */
  async #kill(): Promise<void> {
    this.#log.push('kill -9');
    // Ranges beyond the first are noted every half second: what came since is forgotten.
    const flight = this.#world.table.snapshot(this.#digest);
    this.#excusedBytes += flight?.receivedBytes ?? 0;
    await this.#world.store.kill();
    this.#world = this.#newWorld();
  }

  #following(): FollowingReader[] {
    return this.#world.readers.filter((reader) => reader.isFollowing);
  }

  #asking(): Attempt[] {
    return this.#sources.flatMap((source) => source.asking);
  }

  #awaited(): Attempt[] {
    return this.#sources.flatMap((source) => source.awaited);
  }

  #checkPromises(): void {
    this.#world.assertNobodyOversleeps();
    for (const reader of this.#world.readers) {
      // A client that has as many bytes as it was told to expect takes the body for complete.
      const hasAll = reader.received.length > 0 && reader.position === reader.end;
      if (reader.outcome === 'complete' || hasAll) this.#checkComplete(reader);
    }
    const bodies = this.#sources.flatMap((source) => source.attempts).filter((attempt) => !attempt.isOver);
    assert.ok(bodies.length <= (this.#options.maxRanges ?? 1), `${bodies.length} requests at once`);
    this.#checkRequests();
    assert.equal(this.#world.store.writtenTwiceBytes, 0, 'P4: bytes were written over that may have been hashed');
    assert.ok(this.#world.table.size <= 1, 'P1: more than one flight for a digest');
    const { corrupts, ignoresRanges, liesAboutSize, hidesSize, diskFails } = this.#weather;
    const isCalm = !corrupts && !ignoresRanges && !liesAboutSize && !hidesSize && !diskFails;
    const isForgotten =
      this.#options.abandon === 'discard' || this.#content.length <= (this.#options.smallBlobBytes ?? 0);
    // What is read through on purpose is fetched twice.
    if (!isCalm || isForgotten || this.#options.plan?.readThroughBytes !== 0) return;
    const twice = this.#sent.reduce((sum, times) => sum + Math.max(0, times - 1), 0);
    const excused = this.#excusedBytes;
    assert.ok(twice <= excused, `P1: ${twice} bytes were fetched twice, ${excused} excused`);
  }

  /** P1: what is asked for to be faster is on nobody else's way. */
  #checkRequests(): void {
    const attempts = this.#sources
      .flatMap((source) => source.attempts)
      .filter((attempt) => !this.#checked.has(attempt));
    const size = this.#content.length;
    for (const attempt of attempts) {
      this.#checked.add(attempt);
      if (!attempt.request.optional) continue;
      for (const other of this.#sources.flatMap((source) => source.attempts)) {
        if (other === attempt || other.isOver || (attempts.includes(other) && !other.request.optional)) continue;
        const from = other.isAnswered ? other.position : other.start;
        const overlaps = from < (attempt.end ?? size) && attempt.start < (other.end ?? size);
        assert.ok(!overlaps, `${attempt.start}-${attempt.end} is on the way of ${from}-${other.end}`);
      }
    }
  }

  /** P4: whoever reached the end of the blob has the right bytes, all of them. */
  #checkComplete(reader: FollowingReader): void {
    const end = reader.end ?? this.#content.length;
    assert.equal(reader.position, end, 'a body ended early');
    // A part ends with the blob where its client was told so.
    if (reader.isPart && end < Math.max(this.#content.length, reader.reader.sizeBytes ?? 0)) return;
    assert.equal(end, this.#content.length, 'P4: a body completed with a wrong length');
    const expected = Buffer.from(this.#content.subarray(reader.start, end));
    assert.ok(expected.equals(Buffer.from(reader.received)), 'P4: a body completed with wrong bytes');
  }

  /** From here on nothing goes wrong any more: every reader ends, and the next one gets what it asks for (P6). */
  async #comeRight(): Promise<void> {
    this.#log.push('come right');
    this.#world.store.failsNow = undefined;
    await this.#oneIsWell();
    for (const source of this.#sources) source.standsAt = { restMs: 0, restReason: undefined, cost: 0, hasRoom: true };
    await this.#untilIdle(() => this.#following().length === 0 && this.#world.table.size === 0);
    const last = new ScriptedSource('last', this.#content, this.#sent);
    this.#sources = [last];
    let reader = await this.#lastReader(last);
    // What an earlier process left may be corrupt: it is noticed at the end, and the reader rightly cut, once.
    const isCut = reader.outcome instanceof AppError && reader.outcome.code === 'CONTENT_MISMATCH';
    if (this.#weather.corrupts && isCut) reader = await this.#lastReader(last);
    assert.equal(reader.outcome, 'complete', `the last reader: ${reader.outcome}`);
    this.#checkComplete(reader);
    this.#world.assertNothingLeft();
    assert.equal(await this.#store.sizeOf(this.#digest), this.#content.length, 'the blob is not in the store');
  }

  /** One source of the flight does what it is asked from here on; of the others each fails in its own way. */
  async #oneIsWell(): Promise<void> {
    const names = this.#world.table.snapshot(this.#digest)?.sources ?? [];
    const well = this.#random.pick(this.#sources.filter(({ name }) => names.includes(name)));
    const others = this.#sources.filter((source) => source !== well);
    const fates = new Map(others.map((source) => [source, this.#random.pick(['fails', 'hangs', 'cuts', 'rests'])]));
    // One that brought a wrong body is asked last, and one that refused not at all, however well it is now.
    const hasLied = this.#world.events.some(({ event }) => event === 'discarded-body');
    if (well === undefined || hasLied || this.#weather.corrupts || this.#weather.refuses) return;
    this.#log.push(`${well.name} is well, ${others.map((source) => `${source.name} ${fates.get(source)}`)}`);
    well.standsAt = { restMs: 0, restReason: undefined, cost: 5, hasRoom: true };
    for (const [source, fate] of fates) {
      source.standsAt = { ...source.standsAt, restMs: fate === 'rests' ? 60_000 : 0, restReason: fate };
    }
    const followed = this.#following();
    const isEnded = () => followed.every((reader) => !reader.isFollowing) && this.#world.table.size === 0;
    await this.#untilIdle(isEnded, (attempt) => {
      const fate = fates.get(attempt.source);
      if (fate === 'fails') attempt.refuse(new AppError('UPSTREAM_FAILED', 'broken'));
      else if (fate === 'rests') attempt.refuse(new AppError('UPSTREAM_UNREACHABLE', 'down', { retryAfterMs: 60_000 }));
      else if (fate === 'cuts' && attempt.isAwaited) attempt.cut();
      return fate !== undefined && fate !== 'cuts';
    });
    const { liesAboutSize, hidesSize, diskFails } = this.#weather;
    const { deadlineMs, headerPatienceMs } = this.#options;
    const isPatient = deadlineMs === testOptions.deadlineMs && headerPatienceMs === testOptions.headerPatienceMs;
    if (liesAboutSize || hidesSize || diskFails || !isPatient) return;
    for (const { outcome } of followed) {
      assert.ok(outcome === 'complete', `a reader was not served although ${well.name} could: ${outcome}`);
    }
  }

  async #lastReader(source: ScriptedSource): Promise<FollowingReader> {
    const reader = await this.#world.join(source, this.#content.length);
    await this.#untilIdle(() => !reader.isFollowing && this.#world.table.size === 0);
    return reader;
  }

  /** `isTaken`: it has been dealt with, or is left without an answer. */
  async #untilIdle(isIdle: () => boolean, isTaken: (attempt: Attempt) => boolean = () => false): Promise<void> {
    let receivedBytes = 0;
    // Small ranges take many turns; without a byte there may not be so many.
    for (let turn = 0; turn < 1000; turn++) {
      const { receivedBytes: nowBytes = 0 } = this.#world.table.snapshot(this.#digest) ?? {};
      if (nowBytes > receivedBytes) turn = 0;
      receivedBytes = nowBytes;
      for (const reader of this.#following()) reader.read(100_000);
      const asking = this.#asking().filter((attempt) => !isTaken(attempt));
      const awaited = this.#awaited().filter((attempt) => !isTaken(attempt));
      for (const attempt of asking) attempt.answer();
      for (const attempt of awaited) attempt.deliver(100_000);
      await this.#world.quiet();
      this.#world.assertNobodyOversleeps();
      if (isIdle()) return;
      const isBusy = asking.length + awaited.length > 0;
      this.#world.clock.advance(isBusy ? 10 : Math.min(300, this.#world.clock.nextDueInMs ?? 0));
    }
    assert.fail(`wedged: ${JSON.stringify(this.#world.table.snapshots())}`);
  }
}

describe('flights, through whatever happens', () => {
  it(`keep their promises in ${histories} histories from seed ${firstSeed} on`, { timeout: 600_000 }, async () => {
    for (let seed = firstSeed; seed < firstSeed + histories; seed++) {
      await new History(seed).run().catch((cause) => {
        throw new Error(`SEED=${seed} HISTORIES=1`, { cause });
      });
    }
  });
});
