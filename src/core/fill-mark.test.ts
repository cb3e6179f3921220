import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Worker } from 'node:worker_threads';
import { FillMark } from './fill-mark.ts';

describe('a mark of how far a fill may be read', () => {
  it('says to where the bytes are, and holds the end back until it is verified', () => {
    const written = new FillMark();
    const mark = new FillMark(written.shared);
    assert.equal(mark.readableTo(0), 0);
    const filled = [
      { start: 0, end: 100 },
      { start: 200, end: 300 },
    ];
    written.write({ filled, heldFrom: 280, verified: false });
    assert.equal(mark.readableTo(0), 100);
    assert.equal(mark.readableTo(100), 100, 'a hole');
    assert.equal(mark.readableTo(200), 280);
    assert.equal(mark.readableTo(290), 290, 'held back');
    written.write({ filled, heldFrom: 280, verified: true });
    assert.equal(mark.readableTo(290), 300);
    assert.ok(mark.isVerified && !mark.isOver);
    written.end();
    assert.ok(mark.isVerified && mark.isOver);
  });

  it('wakes who sleeps on it, in another thread too', async () => {
    const mark = new FillMark();
    const code = `
      import { workerData, parentPort } from 'node:worker_threads';
      const { FillMark } = await import(workerData.module);
      const mark = new FillMark(workerData.shared);
      const keepAlive = setInterval(() => {}, 1000);
      for (let readable = 0; !mark.isOver;) {
        const seen = mark.version;
        parentPort.postMessage(mark.readableTo(0));
        await mark.changed(seen);
      }
      clearInterval(keepAlive);`;
    const module = new URL('./fill-mark.ts', import.meta.url).href;
    const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`), {
      workerData: { module, shared: mark.shared },
    });
    const told: number[] = [];
    const exited = new Promise((resolve) => worker.once('exit', resolve));
    worker.on('message', (readable: number) => {
      told.push(readable);
      if (readable < 5) mark.write({ filled: [{ start: 0, end: readable + 1 }], heldFrom: 10, verified: false });
      else mark.end();
    });
    await exited;
    assert.deepEqual(told, [0, 1, 2, 3, 4, 5]);
  });

  it('is seen as it was at one moment, however fast it changes', async () => {
    const mark = new FillMark();
    const code = `
      import { workerData } from 'node:worker_threads';
      const { FillMark } = await import(workerData.module);
      const mark = new FillMark(workerData.shared);
      for (let n = 1; n <= 200_000; n++) {
        // Whatever moment is seen, the first interval ends where the hold begins, and the second begins twice as far.
        mark.write({ filled: [{ start: 0, end: n }, { start: 2 * n, end: 2 * n + 1 }], heldFrom: 3 * n, verified: false });
      }
      mark.end();`;
    const module = new URL('./fill-mark.ts', import.meta.url).href;
    const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`), {
      workerData: { module, shared: mark.shared },
    });
    const exited = new Promise((resolve) => worker.once('exit', resolve));
    let last = 0;
    while (!mark.isOver) {
      const readable = mark.readableTo(0);
      assert.ok(readable >= last, `${readable} after ${last}`);
      last = readable;
    }
    assert.equal(mark.readableTo(0), 200_000);
    assert.equal(mark.readableTo(400_000), 400_001);
    await exited;
  });

  it('leaves out what there is no place for, and says where it is silent', () => {
    const mark = new FillMark();
    const filled = Array.from({ length: 100 }, (_, index) => ({ start: 10 * index, end: 10 * index + 5 }));
    mark.write({ filled, heldFrom: 10_000, verified: false });
    assert.equal(mark.readableTo(630), 635);
    assert.equal(mark.readableTo(640), 640);
    assert.deepEqual(
      [636, 640, 1000].map((offset) => mark.isSilentAt(offset)),
      [true, true, true],
    );
    assert.deepEqual(
      [0, 5, 634].map((offset) => mark.isSilentAt(offset)),
      [false, false, false],
    );
    mark.write({ filled: filled.slice(0, 64), heldFrom: 10_000, verified: false });
    assert.equal(mark.isSilentAt(640), false);
  });
});
