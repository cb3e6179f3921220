import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { buildImage, type Content } from '../../src/cli/demo/image.ts';
import { Layout } from '../../src/store/fs/layout.ts';
import { PullClient } from '../support/client.ts';
import { Gate } from '../support/gate.ts';
import { OnepullProcess } from '../support/onepull-process.ts';
import { pull } from '../support/pull.ts';
import { ScriptedRegistry } from '../support/scripted-registry.ts';
import { leavingNothing } from './scene.ts';

const mebibyte = 1024 * 1024;
const image = buildImage({ seed: 'kill', layerSizes: [24 * mebibyte, 2 * mebibyte] });
const [layer, complete] = image.layers as [Content, Content];
const heldAt = 15 * mebibyte;

interface Interrupted {
  /** Ends onepull; upstream goes on sending to whoever asks it next. */
  readonly end: (signal: 'SIGKILL' | 'SIGTERM') => Promise<void>;
  readonly registry: ScriptedRegistry;
  readonly onepull: OnepullProcess;
}

/** One layer is committed, the other one has come as far as `heldAt`, all of which a client has. */
async function inTheMiddle(body: (interrupted: Interrupted) => Promise<void>): Promise<void> {
  await leavingNothing(async () => {
    await using registry = await ScriptedRegistry.start();
    registry.content.add('org/app', image, 'v1');
    await using onepull = await OnepullProcess.start({
      upstreams: { 'demo.example': { url: registry.url } },
      server: { shutdownTimeout: '0s' },
    });
    await using client = new PullClient(onepull.url);
    await client.manifest('org/app', 'v1');
    await client.blob('org/app', complete.digest);
    await onepull.admin.assertIdle();
    const hold = registry.hold(layer.digest, heldAt);
    const gate = new Gate();
    const cut = client.blob('org/app', layer.digest, { pauseAt: { afterBytes: heldAt, gate } });
    await gate.reached;
    gate.release();
    registry.tally.reset();
    const end = async (signal: 'SIGKILL' | 'SIGTERM') => {
      await (signal === 'SIGKILL' ? onepull.killHard() : onepull.terminate());
      assert.equal((await cut).outcome, 'cut');
      hold.release();
    };
    await body({ registry, onepull, end });
  });
}

for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
  test(`after ${signal} in the middle of a pull, the next start goes on at the first missing byte`, () =>
    inTheMiddle(async ({ registry, onepull, end }) => {
      await end(signal);
      await onepull.startAgain();
      await using client = new PullClient(onepull.url);
      const again = await client.blob('org/app', layer.digest);
      assert.deepEqual([again.status, again.outcome, again.digest], [200, 'complete', layer.digest]);

      const fetched = registry.tally.bytesSent(layer.digest);
      assert.ok(heldAt + fetched <= 1.02 * layer.bytes.length, `${fetched} bytes once more`);
      assert.deepEqual(
        registry.tally.bodies(layer.digest).map(({ start }) => start > 0),
        [true],
      );
      assert.equal((await pull(onepull.url, 'org/app', 'v1')).totalBytes, image.totalBytes);
      assert.equal(registry.tally.bytesSent(complete.digest), 0);
      assert.equal(registry.tally.bytesSent(image.manifest.digest), 0);
      await onepull.admin.assertIdle();
      assert.deepEqual(await readdir(join(onepull.dataFolder, 'ingest')), []);
    }));
}

test('what was committed before a kill -9 is served after it without upstream', () =>
  inTheMiddle(async ({ registry, onepull, end }) => {
    await end('SIGKILL');
    await registry.goAway();
    await onepull.startAgain();
    await using client = new PullClient(onepull.url);
    assert.equal((await client.manifest('org/app', 'v1')).digest, image.manifest.digest);
    assert.equal((await client.blob('org/app', complete.digest)).digest, complete.digest);
    const part = await client.blob('org/app', complete.digest, { range: { start: 5, end: 10 }, keep: true });
    assert.ok(part.body.equals(complete.bytes.subarray(5, 10)));
    await registry.comeBack();
  }));

test('a kill -9 leaves a partial file and nothing unverified among the blobs', () =>
  inTheMiddle(async ({ onepull, end }) => {
    await end('SIGKILL');
    const layout = new Layout(onepull.dataFolder);
    const blobs = await readdir(layout.blobFolder('sha256'));
    const committed = [image.manifest, complete].map(({ digest }) => digest.replace('sha256:', ''));
    assert.deepEqual(blobs.sort(), committed.sort());
    const left = await readdir(layout.ingest);
    assert.ok(
      left.every((name) => join(layout.ingest, name).startsWith(layout.partialData(layer.digest).replace(/part$/, ''))),
    );
  }));
