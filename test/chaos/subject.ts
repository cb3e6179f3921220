import { open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Digest } from '../../src/core/digest.ts';
import type { Random } from '../../src/flights/testing/random.ts';
import { TemporaryDirectory } from '../support/loopback.ts';
import { type Configuration, type LogLine, OnepullProcess } from '../support/onepull-process.ts';
import { Lifeline } from './lifeline.ts';
import { SmallDisk } from './small-disk.ts';
import { StoreWatch } from './store-watch.ts';
import { type Descriptors, descriptorsOf, parseMetrics, peakRssBytes } from './vitals.ts';

export interface SubjectOptions {
  readonly configuration: Configuration;
  /** The size of the disk, where it has to be one that can be filled. */
  readonly diskBytes: number | undefined;
}

/** A flipped bit. */
export interface Flip {
  readonly digest: Digest;
  readonly at: number;
}

const sampleEveryMs = 1000;
const refillEveryMs = 300;
const walkedWithinMs = 5000;

/**
 * The onepull that is put to the test: a real process, its data directory, and what is measured of it over all its lives.
 *
 * Invariants: the lifeline says that it is away from before it is touched until it listens again; counters of a life are
 * read right before the harness ends it, so that none is lost; the store is watched over all lives.
 */
export class Subject implements AsyncDisposable {
  readonly lifeline: Lifeline = new Lifeline();
  readonly store: StoreWatch;
  readonly flips: Flip[] = [];
  readonly #process: OnepullProcess;
  readonly #resources: AsyncDisposableStack;
  readonly #disk: SmallDisk | undefined;
  readonly #root: string;
  readonly #timer: NodeJS.Timeout;
  /** Counters of the lives that are over. */
  #past = new Map<string, number>();
  #present: ReadonlyMap<string, number> = new Map();
  #sampling: Promise<void> = Promise.resolve();
  #peakRssBytes = 0;
  #peakCacheBytes = 0;
  #lives = 1;
  #startedAt = 0;
  /** Ends that were not ours to cause. */
  readonly crashes: string[] = [];

  private constructor(
    process: OnepullProcess,
    store: StoreWatch,
    root: string,
    disk: SmallDisk | undefined,
    resources: AsyncDisposableStack,
  ) {
    this.#process = process;
    this.store = store;
    this.#root = root;
    this.#disk = disk;
    this.#resources = resources;
    this.#timer = setInterval(() => void this.sample(), sampleEveryMs);
  }

  static async start({ configuration, diskBytes }: SubjectOptions): Promise<Subject> {
    await using stack = new AsyncDisposableStack();
    const disk = diskBytes === undefined ? undefined : stack.use(await SmallDisk.make(diskBytes));
    const folder = stack.use(await TemporaryDirectory.make());
    const path = disk === undefined ? join(folder.path, 'data') : join(disk.path, 'data');
    const root = disk === undefined ? path : join(disk.outside, 'data');
    const store = stack.use(new StoreWatch(root));
    const onepull = stack.use(
      await OnepullProcess.start(
        { ...configuration, storage: { ...configuration.storage, path } },
        { wrapper: [...(disk?.wrapper ?? []), ...ownGroup] },
      ),
    );
    return new Subject(onepull, store, root, disk, stack.move());
  }

  get url(): string {
    return this.#process.url;
  }

  get admin(): OnepullProcess['admin'] {
    return this.#process.admin;
  }

  get root(): string {
    return this.#root;
  }

  get log(): readonly LogLine[] {
    return this.#process.log;
  }

  get lives(): number {
    return this.#lives;
  }

  get peakRssBytes(): number {
    return this.#peakRssBytes;
  }

  get peakCacheBytes(): number {
    return this.#peakCacheBytes;
  }

  /** The sum over all lives of the samples whose name and labels match. */
  counted(pattern: RegExp): number {
    const sum = (samples: ReadonlyMap<string, number>) =>
      [...samples].reduce((total, [name, value]) => (pattern.test(name) ? total + value : total), 0);
    return sum(this.#past) + sum(this.#present);
  }

  /** Every counter over all lives that is not 0. */
  get counters(): Readonly<Record<string, number>> {
    const names = new Set([...this.#past.keys(), ...this.#present.keys()].filter((name) => /_total(\{|$)/.test(name)));
    const value = (name: string) => (this.#past.get(name) ?? 0) + (this.#present.get(name) ?? 0);
    return Object.fromEntries(
      [...names]
        .sort()
        .map((name) => [name, value(name)] as const)
        .filter(([, v]) => v !== 0),
    );
  }

  async descriptors(): Promise<Descriptors | undefined> {
    return this.#process.pid === undefined ? undefined : descriptorsOf(this.#process.pid);
  }

  /** Reads what can be read now. Nothing is learnt while onepull does not answer. One at a time. */
  sample(): Promise<void> {
    this.#sampling = this.#sampling.then(() => this.#sample());
    return this.#sampling;
  }

  /** Ends it, lets `meanwhile` happen to its data, and starts it again after `awayMs`. */
  async restart(
    signal: 'SIGKILL' | 'SIGTERM',
    awayMs: number,
    meanwhile: () => Promise<void> = async () => {},
  ): Promise<void> {
    await this.sample();
    this.lifeline.change();
    await (signal === 'SIGKILL' ? this.#process.killHard() : this.#process.terminate());
    this.#bury();
    await meanwhile();
    await delay(awayMs);
    await this.#process.startAgain();
    this.#startedAt = Date.now();
    this.lifeline.change();
  }

  async freeze(forMs: number): Promise<void> {
    const pid = this.#process.pid;
    if (pid === undefined) return;
    process.kill(pid, 'SIGSTOP');
    await delay(forMs);
    process.kill(pid, 'SIGCONT');
  }

  /** Flips one bit of a blob in the store. False if there is none. */
  async flip(chance: Random): Promise<boolean> {
    const digest = chance.pick([...this.store.present].sort());
    if (digest === undefined) return false;
    this.flips.push({ digest, at: Date.now() });
    try {
      await using file = await open(this.store.pathOf(digest), 'r+');
      const { size } = await file.stat();
      const [byte, at] = [Buffer.alloc(1), chance.below(size)];
      await file.read(byte, 0, 1, at);
      byte.writeUInt8(byte.readUInt8() ^ (1 << chance.below(8)));
      await file.write(byte, 0, 1, at);
      return size > 0;
    } catch {
      return false; // it was evicted a moment ago
    }
  }

  async removeCatalog(): Promise<void> {
    for (const end of ['', '-wal', '-shm']) await rm(join(this.#root, `catalog.db${end}`), { force: true });
  }

  /** Somebody else takes all the room, and whatever is freed meanwhile. */
  async fillDisk(forMs: number): Promise<void> {
    for (const endsAt = Date.now() + forMs; Date.now() < endsAt; ) {
      await this.#disk?.fill();
      await delay(refillEveryMs);
    }
    await this.#disk?.empty();
  }

  /** Ends it for good, softly. */
  async end(): Promise<void> {
    clearInterval(this.#timer);
    await this.sample();
    this.lifeline.change();
    const { code, signal } = await this.#process.terminate();
    if (code !== 0) this.crashes.push(`ended with ${signal ?? code} after SIGTERM`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    await this.#sampling;
    await this.#resources[Symbol.asyncDispose]();
  }

  async #sample(): Promise<void> {
    const pid = this.#process.pid;
    if (pid === undefined || this.lifeline.isAway) return;
    if (!this.#process.isRunning) return this.#riseAgain();
    this.#peakRssBytes = Math.max(this.#peakRssBytes, (await peakRssBytes(pid)) ?? 0);
    const page = await Promise.race([this.admin.text('/metrics').catch(() => ''), delay(3000, '', { ref: false })]);
    if (page === '' || pid !== this.#process.pid) return;
    this.#present = parseMetrics(page);
    // What an earlier life was just removing is found by the walk after a start, and leaves when that is over.
    if (this.#lives > 1 && Date.now() - this.#startedAt < walkedWithinMs) return;
    this.#peakCacheBytes = Math.max(this.#peakCacheBytes, this.#present.get('onepull_cache_size_bytes') ?? 0);
  }

  /** It ended by itself: a broken promise, but the run goes on. */
  async #riseAgain(): Promise<void> {
    this.crashes.push(`ended by itself at ${new Date().toISOString()}`);
    this.#bury();
    await this.#process.startAgain().catch((error) => this.crashes.push(String(error)));
    this.#startedAt = Date.now();
  }

  #bury(): void {
    for (const [name, value] of this.#present) this.#past.set(name, (this.#past.get(name) ?? 0) + value);
    this.#present = new Map();
    this.#lives++;
  }
}

/** A terminal sends Ctrl-C to its whole process group: that is for the harness alone. */
const ownGroup: readonly string[] = process.platform === 'linux' ? ['setsid'] : [];
