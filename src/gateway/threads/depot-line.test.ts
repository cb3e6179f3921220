import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { MessageChannel } from 'node:worker_threads';
import { systemClock } from '../../core/clock.ts';
import { parseDigest } from '../../core/digest.ts';
import { AppError } from '../../core/errors.ts';
import { FillMark } from '../../core/fill-mark.ts';
import type { BlobAnswer, BlobBody, BlobStorage, Depot, HitNote } from '../../pull/depot.ts';
import { TestDepot, testNames } from '../testing/test-depot.ts';
import { DepotClient } from './depot-client.ts';
import { DepotHost, SharedParts } from './depot-host.ts';
import type { ToDepot } from './messages.ts';

const digest = parseDigest(`sha256:${'a'.repeat(64)}`);
assert(digest !== undefined);
const scope = testNames.resolve(undefined, 'library/a');
const request = { scope, digest, method: 'GET', range: undefined, client: 'test' } as const;
const never = new AbortController().signal;

/** A body that a test moves. */
class HandBody implements BlobBody {
  readonly start = 0;
  end: number | undefined = 1000;
  storage: BlobStorage = { kind: 'file', fd: 99, fileId: 7, sizeBytes: 1000 };
  mark: FillMark | undefined;
  readable = 0;
  closed = 0;
  asked = 0;
  readonly slept: number[] = [];
  /** What the next calls of `whenReadable` and `unreadable` do. */
  next: (offset: number, signal: AbortSignal) => Promise<number> = async () => this.readable;

  readableTo(offset: number): number {
    return Math.max(offset, this.readable);
  }
  whenReadable(offset: number, signal: AbortSignal): Promise<number> {
    this.asked++;
    return this.next(offset, signal);
  }
  async unreadable(offset: number, error: AppError, signal: AbortSignal): Promise<void> {
    if (error.code !== 'STORAGE_FAILED') throw error;
    await this.next(offset, signal);
  }
  sleepsAt(offset: number): void {
    this.slept.push(offset);
  }
  close(): void {
    this.closed++;
  }
}

/** A client and a host that talk, in one thread. */
function line(depot: Depot) {
  const { port1, port2 } = new MessageChannel();
  const told: HitNote[] = [];
  const sent: ToDepot[] = [];
  port2.on('message', (message: ToDepot) => sent.push(message));
  const hits = { noteHits: (notes: readonly HitNote[]) => void told.push(...notes) };
  const host = new DepotHost({ depot, hits, parts: new SharedParts() }, port2);
  const client = new DepotClient({ clock: systemClock }, port1);
  return {
    client,
    host,
    told,
    sent,
    /** What was said in one direction before this has arrived. */
    async settled() {
      for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
    },
    [Symbol.dispose]() {
      host[Symbol.dispose]();
      port1.close();
    },
  };
}

function depotOf(body: BlobBody, sizeBytes: number | undefined = 1000): TestDepot {
  const depot = new TestDepot();
  depot.blob = async (): Promise<BlobAnswer> => ({ kind: 'body', sizeBytes, part: undefined, body, served: 'led' });
  return depot;
}

async function bodyOf(client: Depot): Promise<BlobBody> {
  const answer = await client.blob(request, never);
  assert(answer.kind === 'body');
  return answer.body;
}

describe('the depot, from another thread', () => {
  it('answers as itself, and its bytes are copies of these alone', async () => {
    const depot = new TestDepot();
    const slab = Buffer.alloc(8192, 'x');
    depot.addManifest('library/a', 'latest', slab.subarray(100, 300), 'application/json');
    depot.names = ['a', 'b', 'c'];
    using it = line(depot);
    const tag = { kind: 'tag', tag: 'latest' as never } as const;
    const answer = await it.client.manifest({ ...request, reference: tag, accept: undefined }, never);
    assert.equal(answer.bytes?.buffer.byteLength, 200);
    assert.deepEqual(Buffer.from(answer.bytes), slab.subarray(100, 300));
    assert.deepEqual(await it.client.repositories('a', 1), { names: ['b'], more: true });
    const list = await it.client.tags({ scope, query: '' }, never);
    assert.equal(Buffer.from(list.body).toString(), '{"name":"a","tags":["x"]}');
    assert.deepEqual(it.host.held, { calls: 0, bodies: 0 });
  });

  it('fails with the same error: code, status, details, rest, and its cause in words', async () => {
    const depot = new TestDepot();
    depot.tags = async () => {
      throw new AppError('UPSTREAM_FAILED', 'it said 507', {
        status: 507,
        details: { upstream: 'x' },
        retryAfterMs: 1500,
        cause: new Error('deep down'),
      });
    };
    using it = line(depot);
    await assert.rejects(it.client.tags({ scope, query: '' }, never), (error) => {
      assert(error instanceof AppError);
      const { code, message, status, ociCode, details, retryAfterMs, cause } = error;
      assert.deepEqual(
        { code, message, status, ociCode, details, retryAfterMs, cause: (cause as Error).message },
        {
          code: 'UPSTREAM_FAILED',
          message: 'it said 507',
          status: 507,
          ociCode: 'UNAVAILABLE',
          details: { upstream: 'x' },
          retryAfterMs: 1500,
          cause: 'deep down',
        },
      );
      return true;
    });
  });

  it('hears of an abort, whose caller is told at once', async () => {
    const depot = new TestDepot();
    const heard = Promise.withResolvers<unknown>();
    depot.tags = (_request, signal) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => {
          heard.resolve(signal.reason);
          reject(signal.reason);
        });
      });
    using it = line(depot);
    const controller = new AbortController();
    const asked = it.client.tags({ scope, query: '' }, controller.signal);
    await it.settled();
    const reason = new AppError('HEADER_TIMEOUT', 'too late');
    controller.abort(reason);
    await assert.rejects(asked, (error) => error === reason);
    assert.equal(((await heard.promise) as AppError).code, 'HEADER_TIMEOUT');
    await it.settled();
    assert.deepEqual(it.host.held, { calls: 0, bodies: 0 });
  });

  it('closes a body that comes when nobody waits any more, on whichever side it is then', async () => {
    for (const answeredFirst of [true, false]) {
      const body = new HandBody();
      const depot = depotOf(body);
      const gate = Promise.withResolvers<void>();
      const blob = depot.blob;
      depot.blob = async (...args) => {
        await gate.promise;
        return blob(...args);
      };
      using it = line(depot);
      const controller = new AbortController();
      const asked = it.client.blob(request, controller.signal);
      await it.settled();
      if (answeredFirst) gate.resolve();
      // The answer, where there is one, is on its way in this turn's microtasks.
      await Promise.resolve();
      controller.abort(new AppError('CANCELLED', 'left'));
      await assert.rejects(asked, { code: 'CANCELLED' });
      await it.settled();
      gate.resolve();
      await it.settled();
      assert.equal(body.closed, 1, `answered first: ${answeredFirst}`);
      assert.deepEqual(it.host.held, { calls: 0, bodies: 0 });
    }
  });

  it('lets go of all that a gateway held when that is gone: pending calls, open bodies, answers that come late', async () => {
    const body = new HandBody();
    const depot = depotOf(body);
    using it = line(depot);
    await bodyOf(it.client);
    const late = new HandBody();
    const gate = Promise.withResolvers<void>();
    let aborted = false;
    depot.blob = async (_request, signal) => {
      signal.addEventListener('abort', () => {
        aborted = true;
      });
      await gate.promise;
      return { kind: 'body', sizeBytes: 1, part: undefined, body: late, served: 'hit' };
    };
    void it.client.blob(request, never).catch(() => {});
    await it.settled();
    assert.deepEqual(it.host.held, { calls: 1, bodies: 1 });
    it.host[Symbol.dispose]();
    assert.ok(aborted);
    assert.equal(body.closed, 1);
    gate.resolve();
    await it.settled();
    assert.equal(late.closed, 1);
    assert.deepEqual(it.host.held, { calls: 0, bodies: 0 });
  });

  it('hears of hits', async () => {
    using it = line(new TestDepot());
    const note: HitNote = { scope, digest, method: 'GET', reference: undefined, count: 3 };
    it.client.noteHits([note]);
    await it.settled();
    assert.deepEqual(it.told, [note]);
  });
});

describe('a body in another thread', () => {
  it('of which all is there costs no message until it is closed', async () => {
    const real = new HandBody();
    real.readable = 1000;
    using it = line(depotOf(real));
    const body = await bodyOf(it.client);
    assert.deepEqual(body.storage, { kind: 'file', fd: 99, fileId: 7, sizeBytes: 1000 });
    assert.equal(body.readableTo(0), 1000);
    assert.equal(body.readableTo(999), 1000);
    assert.equal(await body.whenReadable(500, never), 1000);
    body.close();
    body.close();
    await it.settled();
    assert.equal(real.closed, 1);
    assert.deepEqual(
      it.sent.map(({ kind }) => kind),
      ['ask', 'close'],
    );
  });

  it('without a mark asks for more when what it knows is read', async () => {
    const real = new HandBody();
    real.readable = 100;
    using it = line(depotOf(real));
    const body = await bodyOf(it.client);
    assert.equal(body.readableTo(100), 100);
    real.readable = 300;
    assert.equal(await body.whenReadable(100, never), 300);
    real.next = async (offset) => offset;
    assert.equal(await body.whenReadable(300, never), 300, 'it is known to end there');
    real.next = async () => {
      throw new AppError('UPSTREAM_STALLED', 'no more');
    };
    await assert.rejects(body.whenReadable(300, never), { code: 'UPSTREAM_STALLED' });
    body.close();
  });

  it('passes a window on in copies, and asks again for what has gone out of it', async () => {
    const real = new HandBody();
    const all = Buffer.from(Array.from({ length: 1000 }, (_, index) => index % 251));
    let skip = 1;
    real.storage = {
      kind: 'window',
      window: {
        read(offset, into) {
          if (skip-- > 0) return 0;
          return all.copy(into, 0, offset, Math.min(offset + 64, offset + into.length, 1000));
        },
      },
    };
    real.readable = 1000;
    using it = line(depotOf(real));
    const body = await bodyOf(it.client);
    const got: Buffer[] = [];
    for (let offset = 0; offset < 1000; ) {
      const readable =
        body.readableTo(offset) > offset ? body.readableTo(offset) : await body.whenReadable(offset, never);
      assert.ok(readable > offset);
      const { storage } = body;
      assert(storage.kind === 'window');
      const into = Buffer.alloc(40);
      const count = storage.window.read(offset, into.subarray(0, Math.min(40, readable - offset)));
      got.push(into.subarray(0, count));
      offset += count;
    }
    assert.deepEqual(Buffer.concat(got), all);
    body.close();
  });

  it('reads shared memory where it is, one object for all who have the same, and copies what is not shared', async () => {
    const shared = Buffer.from(new SharedArrayBuffer(1000));
    const real = new HandBody();
    real.storage = { kind: 'memory', bytes: shared };
    real.readable = 10;
    using it = line(depotOf(real));
    const [one, other] = [await bodyOf(it.client), await bodyOf(it.client)];
    shared[3] = 42;
    assert(one.storage.kind === 'memory' && other.storage.kind === 'memory');
    assert.equal(one.storage.bytes[3], 42);
    assert.equal(one.storage.bytes.buffer, other.storage.bytes.buffer);
    real.storage = { kind: 'memory', bytes: Buffer.alloc(1000, 'b') };
    real.mark = new FillMark();
    const third = await bodyOf(it.client);
    assert.equal(third.readableTo(0), 10, 'of a copy, only what was there');
    for (const body of [one, other, third]) body.close();
  });

  it('goes on elsewhere where the bytes cannot be read', async () => {
    const real = new HandBody();
    real.readable = 1000;
    using it = line(depotOf(real));
    const body = await bodyOf(it.client);
    real.storage = { kind: 'file', fd: 100 };
    await body.unreadable(400, new AppError('STORAGE_FAILED', 'EIO'), never);
    assert.equal(body.readableTo(400), 400);
    assert.equal(await body.whenReadable(400, never), 1000);
    assert.deepEqual(body.storage, { kind: 'file', fd: 100 });
    await assert.rejects(body.unreadable(400, new AppError('INTERNAL', 'no'), never), { code: 'INTERNAL' });
    body.close();
  });

  it('whose wait is aborted tells the real one so, and can be closed in the middle of it', async () => {
    const real = new HandBody();
    const aborted: unknown[] = [];
    real.next = (_offset, signal) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => {
          aborted.push(signal.reason);
          reject(signal.reason);
        });
      });
    using it = line(depotOf(real));
    const body = await bodyOf(it.client);
    const controller = new AbortController();
    const waiting = body.whenReadable(0, controller.signal);
    await it.settled();
    controller.abort(new AppError('CANCELLED', 'left'));
    await assert.rejects(waiting, { code: 'CANCELLED' });
    body.close();
    await it.settled();
    assert.equal(aborted.length, 1);
    assert.equal(real.closed, 1);
    assert.deepEqual(it.host.held, { calls: 0, bodies: 0 });
  });
});

describe('a body in another thread that follows a fill', () => {
  function following(sizeBytes = 1000) {
    const real = new HandBody();
    const mark = new FillMark();
    real.mark = mark;
    real.end = sizeBytes;
    real.readable = 1;
    const write = (...filled: [number, number][]) =>
      mark.write({
        filled: filled.map(([start, end]) => ({ start, end })),
        heldFrom: sizeBytes - 10,
        verified: false,
      });
    write([0, 1]);
    const verify = () => mark.write({ filled: [{ start: 0, end: sizeBytes }], heldFrom: 0, verified: true });
    return { real, mark, write, verify, it: line(depotOf(real, sizeBytes)) };
  }

  it('reads as far as the mark says without a message, sleeps on it, and reaches the end when all is verified', async () => {
    const { real, write, verify, it } = following();
    const body = await bodyOf(it.client);
    assert.equal(body.readableTo(0), 1);
    write([0, 500]);
    assert.equal(body.readableTo(1), 500);
    const more = body.whenReadable(500, never);
    write([0, 700]);
    assert.equal(await more, 700);
    write([0, 1000]);
    assert.equal(body.readableTo(700), 990, 'the end is held back');
    const last = body.whenReadable(990, never);
    verify();
    assert.equal(await last, 1000);
    assert.equal(real.asked, 0);
    body.close();
    await it.settled();
    assert.deepEqual(
      it.sent.map(({ kind }) => kind),
      ['ask', 'close'],
    );
    it[Symbol.dispose]();
  });

  it('asks the real one once the mark is over, be it asleep or reading', async () => {
    const { real, mark, write, it } = following();
    const [asleep, reading] = [await bodyOf(it.client), await bodyOf(it.client)];
    real.next = async () => {
      throw new AppError('UPSTREAM_STALLED', 'it came no more');
    };
    const waiting = asleep.whenReadable(1, never);
    write([0, 300]);
    assert.equal(await waiting, 300);
    const failing = asleep.whenReadable(300, never);
    mark.end();
    await assert.rejects(failing, { code: 'UPSTREAM_STALLED' });
    assert.equal(reading.readableTo(1), 1, 'nothing more is taken from what has failed');
    await assert.rejects(reading.whenReadable(1, never), { code: 'UPSTREAM_STALLED' });
    asleep.close();
    reading.close();
    it[Symbol.dispose]();
  });

  it('changes its storage when the real one has gone on elsewhere', async () => {
    const { real, mark, it } = following();
    const body = await bodyOf(it.client);
    const waiting = body.whenReadable(1, never);
    const next = new FillMark();
    next.write({ filled: [{ start: 0, end: 400 }], heldFrom: 990, verified: false });
    real.storage = { kind: 'file', fd: 5 };
    real.readable = 400;
    real.mark = next;
    mark.end();
    assert.equal(await waiting, 400);
    assert.deepEqual(body.storage, { kind: 'file', fd: 5 });
    next.write({ filled: [{ start: 0, end: 600 }], heldFrom: 990, verified: false });
    assert.equal(body.readableTo(400), 600);
    body.close();
    it[Symbol.dispose]();
  });

  it('asks the real one where all is verified and still there is no more: it may be of another size', async () => {
    const { real, mark, it } = following();
    const body = await bodyOf(it.client);
    real.next = async () => {
      throw new AppError('CONTENT_MISMATCH', 'it has 800 bytes');
    };
    mark.write({ filled: [{ start: 0, end: 800 }], heldFrom: 0, verified: true });
    assert.equal(body.readableTo(1), 800);
    await assert.rejects(body.whenReadable(800, never), { code: 'CONTENT_MISMATCH' });
    body.close();
    it[Symbol.dispose]();
  });

  it('asks the real one where more is there than the mark can list, be it asleep by then or not', async () => {
    const { real, write, it } = following(100_000);
    const bits = Array.from({ length: 64 }, (_, index): [number, number] => [10 * index, 10 * index + 5]);
    write(...bits);
    const body = await bodyOf(it.client);
    real.next = async (offset) => offset + 5;
    const asleep = body.whenReadable(50_000, never);
    await it.settled();
    assert.equal(real.asked, 0);
    write(...bits, [50_000, 50_005]);
    assert.equal(await asleep, 50_005);
    assert.equal(await body.whenReadable(60_000, never), 60_005);
    assert.equal(real.asked, 2);
    // What is listed is known without asking.
    assert.equal(await body.whenReadable(630, never), 635);
    assert.equal(real.asked, 2);
    body.close();
    it[Symbol.dispose]();
  });

  it('in a crowd of 256 costs no message for what comes, and one watch', async () => {
    const { real, write, verify, it } = following(100_000);
    const bodies = await Promise.all(Array.from({ length: 256 }, () => bodyOf(it.client)));
    const read = bodies.map(async (body) => {
      let offset = 0;
      while (offset < 100_000) {
        const to = body.readableTo(offset);
        offset = to > offset ? to : await body.whenReadable(offset, never);
      }
      body.close();
    });
    for (let end = 1000; end < 100_000; end += 1000) {
      write([0, end]);
      await new Promise((resolve) => setImmediate(resolve));
    }
    verify();
    await Promise.all(read);
    await it.settled();
    assert.equal(real.asked, 0);
    const count = (kind: string) => it.sent.filter((message) => message.kind === kind).length;
    assert.deepEqual({ ask: count('ask'), close: count('close') }, { ask: 256, close: 256 });
    assert.equal(real.closed, 256);
    it[Symbol.dispose]();
  });

  it('tells where it waits ahead of what comes', async () => {
    const { real, write, it } = following();
    const body = await bodyOf(it.client);
    const waiting = body.whenReadable(700, never);
    const told = async () => {
      while (real.slept.length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    };
    await told();
    assert.deepEqual(real.slept, [700]);
    write([0, 1], [700, 800]);
    assert.equal(await waiting, 800);
    body.close();
    it[Symbol.dispose]();
  });

  it('can be left and closed while it sleeps', async () => {
    const { mark, it } = following();
    const [left, closed] = [await bodyOf(it.client), await bodyOf(it.client)];
    const controller = new AbortController();
    const leaving = left.whenReadable(1, controller.signal);
    const closing = closed.whenReadable(1, never);
    controller.abort(new AppError('CANCELLED', 'left'));
    await assert.rejects(leaving, { message: 'left' });
    closed.close();
    await assert.rejects(closing, { code: 'CANCELLED' });
    left.close();
    mark.end();
    await it.settled();
    assert.deepEqual(it.host.held, { calls: 0, bodies: 0 });
    it[Symbol.dispose]();
  });
});
