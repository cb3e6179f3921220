import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { buildImage, type Content } from '../../src/cli/demo/image.ts';
import { digestOf } from '../../src/core/digest.ts';
import { Random } from '../../src/flights/testing/random.ts';
import { Layout } from '../../src/store/fs/layout.ts';
import { Child, run } from '../support/child.ts';
import { PullClient } from '../support/client.ts';
import { Gate } from '../support/gate.ts';
import { Leaks } from '../support/leaks.ts';
import { freePort, TemporaryDirectory } from '../support/loopback.ts';
import { OnepullProcess } from '../support/onepull-process.ts';
import { pull } from '../support/pull.ts';
import { ScriptedRegistry } from '../support/scripted-registry.ts';
import { blobFile } from './world.ts';

const program = new URL('../../bin/onepull', import.meta.url).pathname;
const repository = 'org/app';
const image = buildImage({ seed: 'stops', layerSizes: [8_000_000, 30_000] });
const layer = image.layers[0] as Content;

function seeded(t: { diagnostic(text: string): void }): Random {
  const seed = Number(process.env.ONEPULL_TEST_SEED ?? Date.now() % 1_000_000);
  t.diagnostic(`ONEPULL_TEST_SEED=${seed}`);
  return new Random(seed);
}

async function flagsOf(storage: string): Promise<string[]> {
  const [listen, admin] = [`127.0.0.1:${await freePort()}`, `127.0.0.1:${await freePort()}`];
  return ['serve', '--listen', listen, '--admin', admin, '--storage', storage];
}

async function withoutLeaks(body: () => Promise<void>): Promise<void> {
  const leaks = await Leaks.watch();
  await body();
  await leaks.assertNone();
}

test('SIGTERM at any moment of a start ends it soon, and the next start is as good as any', (t) =>
  withoutLeaks(async () => {
    const random = seeded(t);
    await using folder = await TemporaryDirectory.make();
    const storage = `${folder.path}/data`;
    for (let start = 0; start < 10; start++) {
      await using onepull = new Child(program, await flagsOf(storage));
      await delay(random.below(700));
      const { code, signal } = await onepull.kill('SIGTERM');
      // Before it has begun to listen to signals the system ends it; after that it ends itself.
      assert.ok(signal === 'SIGTERM' || code === 0, `${signal ?? code}: ${onepull.tail}`);
    }
    await using onepull = new Child(program, await flagsOf(storage));
    await onepull.line((line) => line.includes('"event":"listening"'));
    assert.deepEqual(await readdir(new Layout(storage).ingest), []);
    assert.deepEqual(await onepull.kill('SIGTERM'), { code: 0, signal: null });
  }));

test('SIGTERM while content is being committed: it is in the store or its fill goes on, and no byte comes twice', (t) =>
  withoutLeaks(async () => {
    const random = seeded(t);
    await using registry = await ScriptedRegistry.start();
    registry.content.add(repository, image, 'v1');
    for (let round = 0; round < 6; round++) {
      await using onepull = await OnepullProcess.start({
        upstreams: { 'demo.example': { url: registry.url } },
        server: { shutdownTimeout: round % 2 === 0 ? '0s' : '30s' },
      });
      registry.tally.reset();
      const hold = registry.hold(layer.digest, layer.bytes.length - 1);
      await using client = new PullClient(onepull.url);
      await client.manifest(repository, 'v1');
      const gate = new Gate();
      const afterBytes = layer.bytes.length - 100_000;
      const download = client.blob(repository, layer.digest, { pauseAt: { afterBytes, gate } });
      await Promise.all([hold.reached, gate.reached]);
      gate.release();
      hold.release();
      await delay(random.below(25));
      assert.deepEqual(await onepull.terminate(), { code: 0, signal: null });
      const { outcome, digest } = await download;
      if (outcome === 'complete') assert.equal(digest, layer.digest);
      await onepull.startAgain();
      assert.equal((await pull(onepull.url, repository, 'v1')).totalBytes, image.totalBytes);
      const sent = registry.tally.bytesSent(layer.digest);
      assert.ok(sent <= 1.02 * layer.bytes.length, `${sent} bytes of ${layer.bytes.length}`);
      await onepull.admin.assertIdle();
      assert.equal(digestOf(await readFile(blobFile(onepull.dataFolder, layer.digest))), layer.digest);
    }
  }));

test('SIGTERM again and again ends it no worse than once', () =>
  withoutLeaks(async () => {
    await using registry = await ScriptedRegistry.start();
    registry.content.add(repository, image, 'v1');
    await using onepull = await OnepullProcess.start({ upstreams: { 'demo.example': { url: registry.url } } });
    await using client = new PullClient(onepull.url);
    await client.manifest(repository, 'v1');
    const heldAt = 4_000_000;
    const hold = registry.hold(layer.digest, heldAt);
    const gate = new Gate();
    const download = client.blob(repository, layer.digest, { pauseAt: { afterBytes: heldAt, gate } });
    await gate.reached;
    gate.release();
    const ended = onepull.terminate();
    await onepull.logged({ event: 'stopping' });
    for (let signal = 0; signal < 5; signal++) process.kill(onepull.pid ?? 0, 'SIGTERM');
    assert.deepEqual(await ended, { code: 0, signal: null });
    assert.equal((await download).outcome, 'cut');
    hold.release();
    await onepull.startAgain();
    assert.equal((await pull(onepull.url, repository, 'v1')).totalBytes, image.totalBytes);
    assert.ok(registry.tally.bytesSent(layer.digest) <= 1.02 * layer.bytes.length);
  }));

test('a data directory whose last user was killed has one user again, and the refused one is told who', () =>
  withoutLeaks(async () => {
    await using onepull = await OnepullProcess.start();
    const firstPid = onepull.pid;
    for (const state of ['running', 'stopped'] as const) {
      await onepull.restart('SIGKILL');
      assert.notEqual(onepull.pid, firstPid);
      // A process that stands still has not let go.
      if (state === 'stopped') process.kill(onepull.pid ?? 0, 'SIGSTOP');
      const refused = await run(program, await flagsOf(onepull.dataFolder));
      assert.equal(refused.code, 1);
      assert.equal(
        refused.stderr,
        `onepull: the data directory ${onepull.dataFolder} is in use by process ${onepull.pid}`,
      );
    }
    process.kill(onepull.pid ?? 0, 'SIGCONT');
    assert.equal((await onepull.admin.get('/readyz')).status, 200);
  }));

test('of several that start on one data directory at once, one serves and the others say so', () =>
  withoutLeaks(async () => {
    await using folder = await TemporaryDirectory.make();
    const storage = `${folder.path}/data`;
    await using started = new AsyncDisposableStack();
    const children: Child[] = [];
    for (let child = 0; child < 3; child++) children.push(started.use(new Child(program, await flagsOf(storage))));
    const outcomes = await Promise.all(
      children.map((child) =>
        Promise.race([
          child
            .line((line) => line.includes('"event":"listening"'))
            .then(
              () => 'serves',
              () => 'ended',
            ),
          child.exited.then(() => 'ended'),
        ]),
      ),
    );
    assert.deepEqual(outcomes.toSorted(), ['ended', 'ended', 'serves']);
    for (const [index, child] of children.entries()) {
      if (outcomes[index] === 'serves') assert.deepEqual(await child.kill('SIGTERM'), { code: 0, signal: null });
      else assert.match(child.tail, /is in use by (process \d+|another process)$/m);
      await child[Symbol.asyncDispose]();
    }
  }));
