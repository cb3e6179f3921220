import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Worker } from 'node:worker_threads';
import { SharedUse } from './shared-use.ts';

function words(): Int32Array {
  return new Int32Array(new SharedArrayBuffer(12));
}

describe('a use that can be taken back', () => {
  it('is taken back only when the last user has left, and lets nobody in then', () => {
    const use = new SharedUse(words(), 1);
    assert.equal(use.enter() && use.enter(), true);
    assert.equal(use.takeBack(), false);
    use.leave();
    assert.equal(use.users, 1);
    assert.equal(use.takeBack(), false);
    use.leave();
    assert.equal(use.takeBack(), true);
    assert.equal(use.takeBack(), true, 'taking it back twice changes nothing');
    assert.equal(use.enter(), false);
    assert.equal(use.users, 0);
  });

  it('can be lent anew, and writes off users that died', () => {
    const use = new SharedUse(words(), 0);
    use.enter();
    use.forget();
    assert.equal(use.takeBack(), true);
    use.forget();
    assert.equal(use.enter(), true);
  });

  it('never has a user after it was taken back, whatever another thread does meanwhile', async () => {
    const shared = words();
    const use = new SharedUse(shared, 0);
    const code = `
      import { workerData, parentPort } from 'node:worker_threads';
      const { SharedUse } = await import(workerData.module);
      const use = new SharedUse(workerData.shared, 0);
      const wrong = () => Atomics.load(workerData.shared, 0) < 1;
      let entered = 0, violations = 0;
      parentPort.postMessage('ready');
      while (Atomics.load(workerData.shared, 1) === 0) {
        if (!use.enter()) continue;
        entered++;
        Atomics.store(workerData.shared, 2, 1);
        if (wrong()) violations++;
        use.leave();
      }
      parentPort.postMessage({ entered, violations });`;
    const module = new URL('./shared-use.ts', import.meta.url).href;
    const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`), {
      workerData: { module, shared },
    });
    await new Promise((resolve) => worker.once('message', resolve));
    const result = new Promise<{ entered: number; violations: number }>((resolve) => worker.once('message', resolve));
    let taken = 0;
    // On a busy machine the other thread may have its first turn late.
    while (taken < 10_000 || Atomics.load(shared, 2) === 0) {
      if (!use.takeBack()) continue;
      taken++;
      assert.equal(use.users, 0);
      use.forget();
    }
    Atomics.store(shared, 1, 1);
    const { entered, violations } = await result;
    assert.equal(violations, 0);
    assert.ok(entered > 0);
    await worker.terminate();
  });
});
