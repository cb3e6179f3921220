import assert from 'node:assert/strict';
import { ftruncateSync, readSync, writeSync } from 'node:fs';
import { it } from 'node:test';
import { setImmediate as nextTick } from 'node:timers/promises';
import { type Digest, digestOf } from '../core/digest.ts';
import { AppError } from '../core/errors.ts';
import { SharedUse } from '../core/shared-use.ts';
import { testOptions } from '../flights/testing/flight-world.ts';
import { Random } from '../flights/testing/random.ts';
import type { Room, StoredBlob } from '../store/content-store.ts';
import type { BlobBody, BlobLease } from './depot.ts';
import { PullWorld } from './testing/pull-world.ts';
import { testImage } from './testing/test-image.ts';

/**
 * Random histories of clients of one blob, whose disk fills up, fails, comes back, has damage or is cut short under its
 * readers, and whose upstream sends wrong bytes or none: no body may complete wrong or of another length than was told, and
 * when all clients are gone nothing is held for them.
 *
 *   HISTORIES=5000 SEED=1 node --test src/pull/body-histories.test.ts
 */
const histories = Number(process.env.HISTORIES ?? 60);
const firstSeed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
const stepsPerHistory = 50;
const { holdBackBytes } = testOptions;

/** Reads as the gateway does: a block, and the next one when it is let. */
class Client {
  readonly signal = new AbortController();
  readonly received: Buffer[] = [];
  outcome: 'reading' | 'complete' | 'left' | AppError = 'reading';
  told: number | undefined;
  start = 0;
  end: number | undefined;
  isGreedy = false;
  /** Reads of a lease, where it is given one. */
  isGateway = false;
  isLeased = false;
  #body: BlobBody | undefined;
  #permits = 0;
  #permitted: (() => void) | undefined;

  async run(world: PullWorld, repository: string, digest: Digest, range: string | undefined): Promise<void> {
    try {
      const { signal } = this.signal;
      const scope = world.scope(repository);
      const request = { scope, signal, ...(range !== undefined && { range }) };
      const answer = await world.blob(digest, { ...request, ...(this.isGateway && { gateway: 0 }) });
      if (answer.kind !== 'body') throw new AppError('RANGE_UNSATISFIABLE', 'what is stored is cut short');
      this.#body = answer.body;
      this.told = answer.sizeBytes;
      this.start = answer.part?.start ?? 0;
      this.end = answer.part?.end ?? answer.sizeBytes;
      if (answer.lease === undefined) await this.#read(answer.body, answer.body.start);
      else {
        answer.body.close();
        await this.#readLeased(answer.lease, async () => {
          const own = await world.blob(digest, { ...request, leased: answer.lease?.fileId ?? 0 });
          return own.kind === 'body' ? own.body : assert.fail();
        });
      }
      this.outcome = 'complete';
    } catch (error) {
      assert.ok(error instanceof AppError || this.signal.signal.aborted, String(error));
      this.outcome = error instanceof AppError ? error : 'left';
    } finally {
      this.#body?.close();
    }
  }

  permit(blocks: number): void {
    this.#permits += blocks;
    this.#permitted?.();
  }

  /** At once, whatever the body is doing. */
  leave(): void {
    this.signal.abort(new AppError('CANCELLED', 'left'));
    this.#body?.close();
    this.#permitted?.();
  }

  get bytes(): Buffer {
    return Buffer.concat(this.received);
  }

  /** As a gateway that asks for a body of its own only when it cannot read. */
  async #readLeased(lease: BlobLease, goOn: () => Promise<BlobBody>): Promise<void> {
    const { fd, fileId, sizeBytes } = lease;
    const use = new SharedUse(new Int32Array(lease.words), lease.index);
    if (!use.enter()) throw new AppError('CANCELLED', 'the lease was taken back');
    this.isLeased = true;
    const end = this.end ?? sizeBytes;
    try {
      for (let offset = this.start; offset < end; ) {
        await this.#permission();
        const block = readOf({ storage: { kind: 'file', fd, fileId } }, offset, Math.min(end, offset + 1500));
        this.received.push(block);
        offset += block.length;
        if (block.length > 0) continue;
        const body = await goOn();
        this.#body = body;
        this.isLeased = false;
        await body.unreadable(offset, new AppError('STORAGE_FAILED', 'shorter than it says'), this.signal.signal);
        return await this.#read(body, offset);
      }
    } finally {
      this.isLeased = false;
      use.leave();
    }
  }

  async #permission(): Promise<void> {
    const { signal } = this.signal;
    while (this.#permits <= 0 && !this.isGreedy && !signal.aborted) {
      await new Promise<void>((resolve) => {
        this.#permitted = resolve;
      });
    }
    signal.throwIfAborted();
    this.#permits--;
  }

  async #read(body: BlobBody, from: number): Promise<void> {
    const { signal } = this.signal;
    for (let offset = from; ; ) {
      let to = await body.whenReadable(offset, signal);
      if (to === offset) return;
      await this.#permission();
      to = body.readableTo(offset);
      if (to === offset) continue;
      const block = readOf(body, offset, Math.min(to, offset + 1500));
      if (block.length === 0 && body.storage.kind !== 'window') {
        await body.unreadable(offset, new AppError('STORAGE_FAILED', 'shorter than it says'), signal);
      }
      this.received.push(block);
      offset += block.length;
    }
  }
}

function readOf({ storage }: Pick<BlobBody, 'storage'>, offset: number, to: number): Buffer {
  const block = Buffer.alloc(to - offset);
  if (storage.kind === 'window') return block.subarray(0, storage.window.read(offset, block));
  if (storage.kind === 'memory') return Buffer.from(storage.bytes.subarray(offset, to));
  return block.subarray(0, readSync(storage.fd, block, 0, block.length, offset));
}

class History {
  readonly #random: Random;
  readonly #world = new PullWorld();
  readonly #image;
  readonly #clients: Client[] = [];
  readonly #running: Promise<void>[] = [];
  readonly #log: string[] = [];
  readonly #proofs = new Map<number, PromiseWithResolvers<void>>();
  #repository = 'library/app';
  #isProven = false;
  #hasLied = false;

  constructor(seed: number) {
    this.#random = new Random(seed);
    this.#image = testImage(seed % 1000, 400 + this.#random.below(30_000));
    const { hub, store } = this.#world;
    hub.chunkBytes = this.#random.pick([300, 1000, 5000]) ?? 0;
    hub.push('library/app', 'latest', this.#image);
    const open = store.open.bind(store);
    store.open = async (digest) => {
      const blob = await open(digest);
      return blob && digest === this.#image.layer.digest ? this.#doubted(blob) : blob;
    };
  }

  async play(): Promise<void> {
    try {
      await this.#world.soon(this.#world.manifest('latest'));
      if (this.#random.chance(0.3)) this.#forgetSize();
      this.#pushBlob(this.#image.layer.bytes);
      for (let step = 0; step < stepsPerHistory; step++) {
        this.#step();
        // Often the next thing happens in the middle of what follows from this one.
        if (this.#random.chance(0.5)) await this.#world.quiet();
        else for (let turn = this.#random.below(4); turn > 0; turn--) await nextTick();
        this.#check();
      }
      await this.#comeRight();
    } catch (error) {
      throw new Error(`after: ${this.#log.join('; ')}`, { cause: error });
    } finally {
      await this.#world[Symbol.asyncDispose]();
    }
  }

  /** Where only upstream knows the size, and perhaps not even that. */
  #forgetSize(): void {
    const { catalog, hub } = this.#world;
    const { digest } = this.#image.layer;
    this.#repository = 'library/sizeless';
    catalog.link(this.#world.scope(this.#repository), [{ digest, sizeBytes: undefined, mediaType: undefined }]);
    hub.saysSize = this.#random.chance(0.7);
    this.#note('size unknown');
  }

  /** As a store that hashes what it has beside its first readers. */
  #doubted(blob: StoredBlob): StoredBlob {
    const sizeBytes = this.#sizeOf(blob.fd);
    if (this.#isProven) return { ...blob, sizeBytes };
    const proof = this.#proofs.get(blob.fd) ?? Promise.withResolvers<void>();
    proof.promise.catch(() => {});
    this.#proofs.set(blob.fd, proof);
    return { ...blob, sizeBytes, proof: proof.promise, lease: undefined };
  }

  #sizeOf(fd: number): number {
    const probe = Buffer.alloc(40_000);
    return readSync(fd, probe, 0, probe.length, 0);
  }

  async #prove(): Promise<void> {
    for (const [fd, proof] of this.#proofs) {
      const { digest } = this.#image.layer;
      const there = Buffer.alloc(this.#sizeOf(fd));
      readSync(fd, there, 0, there.length, 0);
      this.#proofs.delete(fd);
      if (digestOf(there) === digest) {
        this.#isProven = true;
        proof.resolve();
      } else {
        await this.#world.memory.condemn(digest, fd);
        proof.reject(new AppError('STORAGE_FAILED', 'its hash is another'));
      }
    }
  }

  #note(what: string): void {
    this.#log.push(what);
  }

  get #reading(): Client[] {
    return this.#clients.filter(({ outcome }) => outcome === 'reading');
  }

  get #isLeased(): boolean {
    return this.#clients.some(({ isLeased }) => isLeased);
  }

  #step(): void {
    const random = this.#random;
    const chance = random.next();
    if (chance < 0.2) this.#join();
    else if (chance < 0.55) random.pick(this.#reading)?.permit(1 + random.below(4));
    else if (chance < 0.6) this.#leave();
    else if (chance < 0.65) void this.#prove();
    else if (chance < 0.85) this.#turn();
    else this.#world.clock.advance(random.pick([10, 1000, 6000, 30_000]) ?? 0);
  }

  #join(): void {
    const { length } = this.#image.layer.bytes;
    const [start, some] = [this.#random.below(length), 1 + this.#random.below(length)];
    const range = this.#random.pick([
      undefined,
      undefined,
      `bytes=${start}-`,
      `bytes=${start}-${start + some}`,
      `bytes=-${some}`,
    ]);
    const client = new Client();
    client.isGateway = this.#random.chance(0.3);
    this.#clients.push(client);
    this.#running.push(client.run(this.#world, this.#repository, this.#image.layer.digest, range));
    this.#note(`join ${range ?? 'whole'}${client.isGateway ? ', leased' : ''}`);
  }

  #leave(): void {
    this.#random.pick(this.#reading)?.leave();
    this.#note('leave');
  }

  /** The disk's and upstream's turns for the worse or the better. */
  #turn(): void {
    const { store, hub } = this.#world;
    const random = this.#random;
    const what = random.below(6);
    if (what === 0) {
      store.failWrites = random.chance(0.5)
        ? new AppError(random.pick(['STORAGE_FULL', 'STORAGE_FAILED']) ?? 'INTERNAL', 'no')
        : undefined;
      this.#note(`writes ${store.failWrites?.code ?? 'well'}`);
    } else if (what === 1) {
      const room: Room = random.pick(['enough', 'enough', 'disk-full', 'cache-in-use', 'disk-failed']) ?? 'enough';
      store.makeRoom = async () => room;
      this.#note(room);
    } else if (what === 2) {
      void this.#damage();
    } else if (what === 3) {
      const isWrong = random.chance(0.4);
      this.#hasLied ||= isWrong;
      this.#pushBlob(isWrong ? this.#wrong() : this.#image.layer.bytes);
      this.#note(`upstream ${isWrong ? 'lies' : 'well'}`);
    } else if (what === 4) {
      const isCut = random.chance(0.5);
      hub.beforeChunk = (offset) => {
        if (isCut && offset > 3000 && random.chance(0.1)) throw new AppError('UPSTREAM_INTERRUPTED', 'cut');
      };
      this.#note(`upstream ${isCut ? 'cuts' : 'whole'}`);
    }
  }

  #pushBlob(bytes: Uint8Array): void {
    this.#world.hub.pushBlob(this.#repository, this.#image.layer.digest, bytes);
  }

  #wrong(): Uint8Array {
    const bytes = Uint8Array.from(this.#image.layer.bytes);
    const at = this.#random.below(bytes.length);
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    return bytes;
  }

  /** Cut short at any time; other damage is there before anybody reads. */
  async #damage(): Promise<void> {
    const stored = await this.#world.memory.open(this.#image.layer.digest);
    if (stored === undefined) return;
    if (this.#random.chance(0.5)) {
      ftruncateSync(stored.fd, this.#random.below(this.#sizeOf(stored.fd) + 1));
      this.#isProven = false;
      this.#note('cut short');
    } else if (this.#world.store.openBlobs === 0 && this.#world.store.holds === 0 && !this.#isLeased) {
      writeSync(stored.fd, Buffer.from([this.#random.below(256)]), 0, 1, this.#random.below(stored.sizeBytes));
      this.#isProven = false;
      this.#hasLied = true;
      this.#note('damaged');
    }
  }

  #check(): void {
    for (const client of this.#clients) {
      const { length } = this.#image.layer.bytes;
      const { outcome, bytes, start, end, told } = client;
      const isPart = end !== undefined && end <= length - holdBackBytes;
      const isRight = bytes.equals(this.#image.layer.bytes.subarray(start, start + bytes.length));
      assert.ok(isRight || this.#hasLied, 'wrong bytes although there are none');
      if (outcome === 'complete') {
        assert.ok(isRight || isPart, `complete, and wrong: ${start}-${end}`);
        assert.equal(bytes.length, (end ?? length) - start, `of another length than was told: ${told}`);
      } else if (!isRight) {
        assert.ok(start + bytes.length <= length - holdBackBytes, 'the end of a wrong body was handed out');
      }
    }
  }

  async #comeRight(): Promise<void> {
    const { store, hub, clock } = this.#world;
    this.#note('well');
    store.failWrites = undefined;
    store.makeRoom = async () => 'enough';
    hub.beforeChunk = () => {};
    this.#pushBlob(this.#image.layer.bytes);
    for (let turn = 0; turn < 300 && (this.#reading.length > 0 || turn < 3); turn++) {
      for (const client of this.#reading) {
        client.isGreedy = true;
        client.permit(1);
      }
      await this.#prove();
      await this.#world.quiet();
      if (turn % 8 === 7) clock.advance(1000);
    }
    assert.deepEqual(this.#reading, [], 'somebody waits for ever');
    await Promise.all(this.#running);
    await this.#world.soon(this.#world.quiet());
    this.#check();
    await this.#world.later(60_000);
    this.#world.assertNothingLeft();
  }
}

it(`bodies are right in ${histories} random histories from seed ${firstSeed}, and nothing is held after them`, async () => {
  for (let n = 0; n < histories; n++) {
    const seed = (firstSeed + n) % 2 ** 31;
    await new History(seed).play().catch((error) => {
      throw new Error(`history of SEED=${seed} HISTORIES=1`, { cause: error });
    });
  }
});
