import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AppError } from '../../core/errors.ts';
import { FillMark } from '../../core/fill-mark.ts';
import { bodyOf, depotOf, HandBody, line, never } from '../testing/depot-line.ts';

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
