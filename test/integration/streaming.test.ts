import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildImage, type Content } from '../../src/cli/demo/image.ts';
import { type Download, PullClient } from '../support/client.ts';
import { Gate } from '../support/gate.ts';
import { inScene, type Scene } from './scene.ts';

const mebibyte = 1024 * 1024;
// More than the kernel buffers of a connection hold, so that a client that stops reading is felt.
const image = buildImage({ seed: 'streaming', layerSizes: [24 * mebibyte] });
const layer = image.layers[0] as Content;

/** The layer's pull stands still before byte `atByte`, its manifest has been served. */
async function inHeldPull(
  atByte: number,
  body: (scene: Scene & { release: () => void; reached: Promise<void> }) => Promise<void>,
): Promise<void> {
  await inScene({}, async (scene) => {
    scene.registry.content.add('org/app', image, 'v1');
    await scene.client.manifest('org/app', 'v1');
    const hold = scene.registry.hold(layer.digest, atByte);
    await body({ ...scene, ...hold });
    assert.equal(scene.registry.tally.bytesSent(layer.digest), layer.bytes.length);
    assert.equal(scene.registry.tally.bodies(layer.digest).length, 1);
  });
}

function assertWhole(download: Download): void {
  assert.deepEqual([download.status, download.outcome, download.digest], [200, 'complete', layer.digest]);
}

test('every byte that is there is served while the rest is on its way', () =>
  inHeldPull(10 * mebibyte + 123, async ({ client, release }) => {
    const gate = new Gate();
    const whole = client.blob('org/app', layer.digest, { pauseAt: { afterBytes: 10 * mebibyte + 123, gate } });
    await gate.reached;
    gate.release();
    release();
    assertWhole(await whole);
  }));

test('a range that is there is answered to its end while the rest is on its way', () =>
  inHeldPull(8 * mebibyte, async ({ client, release }) => {
    // What has only left the registry is not there yet: a range further on than that would rather be fetched.
    const gate = new Gate();
    const whole = client.blob('org/app', layer.digest, { pauseAt: { afterBytes: 8 * mebibyte, gate } });
    await gate.reached;
    gate.release();
    for (const [start, end] of [
      [0, 1],
      [5 * mebibyte, 8 * mebibyte],
      [8 * mebibyte - 1, 8 * mebibyte],
    ] as const) {
      const part = await client.blob('org/app', layer.digest, { range: { start, end }, keep: true });
      assert.equal(part.status, 206);
      assert.equal(part.headers['content-range'], `bytes ${start}-${end - 1}/${layer.bytes.length}`);
      assert.ok(part.body.equals(layer.bytes.subarray(start, end)));
    }
    release();
    assertWhole(await whole);
  }));

test('who joins late begins at byte 0 and catches up', () =>
  inHeldPull(12 * mebibyte, async ({ client, onepull, reached, release }) => {
    const first = client.blob('org/app', layer.digest);
    await reached;
    const late = Array.from({ length: 5 }, () => new PullClient(onepull.url));
    const gates = late.map(() => new Gate());
    const joined = late.map((other, n) => {
      const pauseAt = { afterBytes: 12 * mebibyte, gate: gates[n] as Gate };
      return other.blob('org/app', layer.digest, { pauseAt });
    });
    await Promise.all(gates.map((gate) => gate.reached));
    for (const gate of gates) gate.release();
    release();
    for (const download of await Promise.all([first, ...joined])) assertWhole(download);
    for (const other of late) await other[Symbol.asyncDispose]();
  }));

test('the first client may leave: those who joined it get everything', () =>
  inHeldPull(6 * mebibyte, async ({ client, onepull, reached, release }) => {
    await using other = new PullClient(onepull.url);
    const first = client.blob('org/app', layer.digest, { leaveAfterBytes: 2 * mebibyte });
    await reached;
    const gate = new Gate();
    const second = other.blob('org/app', layer.digest, { pauseAt: { afterBytes: 1, gate } });
    await gate.reached;
    assert.equal((await first).outcome, 'left');
    await onepull.admin.until(
      async (admin) => (await admin.flights())[0]?.waiters,
      (waiters) => waiters === 1,
    );
    gate.release();
    release();
    assertWhole(await second);
  }));

test('a pull that everybody left is finished, and the next client is served without upstream', () =>
  inHeldPull(6 * mebibyte, async ({ client, registry, onepull, release }) => {
    assert.equal((await client.blob('org/app', layer.digest, { leaveAfterBytes: mebibyte })).outcome, 'left');
    release();
    await onepull.assertIdle();
    await registry.goAway();
    assertWhole(await client.blob('org/app', layer.digest));
  }));

test('a client that stops reading holds up neither the pull nor other clients', () =>
  inHeldPull(layer.bytes.length, async ({ client, registry, onepull, release }) => {
    release();
    await using other = new PullClient(onepull.url);
    const gate = new Gate();
    const slow = client.blob('org/app', layer.digest, { pauseAt: { afterBytes: 1, gate } });
    await gate.reached;
    assertWhole(await other.blob('org/app', layer.digest));
    await registry.tally.until((tally) => tally.bodies(layer.digest)[0]?.state === 'complete');
    gate.release();
    assertWhole(await slow);
  }));
