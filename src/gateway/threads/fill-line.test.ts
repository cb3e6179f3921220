import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AppError } from '../../core/errors.ts';
import { FillMark } from '../../core/fill-mark.ts';
import { bodyOf, depotOf, HandBody, line, never } from '../testing/depot-line.ts';

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
