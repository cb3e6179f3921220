import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { buildImage, type Content } from '../../src/cli/demo/image.ts';
import { type Download, PullClient } from '../support/client.ts';
import * as faults from '../support/faults.ts';
import { Gate } from '../support/gate.ts';
import { OnepullProcess } from '../support/onepull-process.ts';
import { type Hold, ScriptedRegistry } from '../support/scripted-registry.ts';
import { leavingNothing } from './scene.ts';

const mebibyte = 1024 * 1024;
const image = buildImage({ seed: 'shutdown', layerSizes: [6 * mebibyte] });
const layer = image.layers[0] as Content;

interface Running {
  /** Asks for the layer; resolves once its beginning has arrived, with the promise of the rest. */
  readonly begin: () => Promise<{ whole: Promise<Download> }>;
  readonly registry: ScriptedRegistry;
  readonly onepull: OnepullProcess;
  readonly client: PullClient;
  readonly hold: Hold;
}

/** The image's layer is held in the middle. */
async function whileRunning(
  server: Readonly<Record<string, unknown>>,
  body: (running: Running) => Promise<void>,
): Promise<void> {
  await leavingNothing(async () => {
    await using registry = await ScriptedRegistry.start();
    registry.content.add('org/app', image, 'v1');
    await using onepull = await OnepullProcess.start({ upstreams: { 'demo.example': { url: registry.url } }, server });
    await using client = new PullClient(onepull.url);
    await client.manifest('org/app', 'v1');
    const hold = registry.hold(layer.digest, 3 * mebibyte);
    const begin = async () => {
      const gate = new Gate();
      const whole = client.blob('org/app', layer.digest, { pauseAt: { afterBytes: 1, gate } });
      await gate.reached;
      gate.release();
      return { whole };
    };
    await body({ registry, onepull, client, hold, begin });
    hold.release();
  });
}

test('after SIGTERM running responses finish, new connections are refused, and readyz says why', () =>
  whileRunning({}, async ({ onepull, hold, begin }) => {
    const { whole } = await begin();
    assert.equal((await onepull.admin.get('/readyz')).status, 200);
    const ended = onepull.terminate();
    const readiness = await onepull.admin.until(
      (admin) => admin.get('/readyz'),
      ({ status }) => status === 503,
    );
    await refused(onepull.url);
    assert.deepEqual(JSON.parse(readiness.text).reasons, ['shutting down']);
    assert.equal((await onepull.admin.get('/healthz')).status, 200);
    hold.release();
    const { status, outcome, digest } = await whole;
    assert.deepEqual([status, outcome, digest], [200, 'complete', layer.digest]);
    assert.deepEqual(await ended, { code: 0, signal: null });
  }));

test('responses that do not finish within the bound are cut, and the program ends well', () =>
  whileRunning({ shutdownTimeout: '50ms' }, async ({ onepull, begin }) => {
    const { whole } = await begin();
    assert.deepEqual(await onepull.terminate(), { code: 0, signal: null });
    assert.equal((await whole).outcome, 'cut');
    assert.ok(onepull.log.some(({ event }) => event === 'stopped'));
  }));

test('a second signal ends it without waiting for responses', () =>
  whileRunning({ shutdownTimeout: '1h' }, async ({ onepull, begin }) => {
    const { whole } = await begin();
    const ended = onepull.terminate();
    await onepull.logged({ event: 'stopping' });
    process.kill(onepull.pid ?? 0, 'SIGINT');
    assert.deepEqual(await ended, { code: 0, signal: null });
    assert.equal((await whole).outcome, 'cut');
  }));

test('with nothing to do, SIGTERM ends it at once, also where clients keep idle connections', () =>
  whileRunning({ shutdownTimeout: '1h' }, async ({ onepull, client }) => {
    await client.manifest('org/app', 'v1');
    assert.deepEqual(await onepull.terminate(), { code: 0, signal: null });
  }));

const crowdSize = 200;

function crowdOf({ url }: OnepullProcess): PullClient[] {
  return Array.from({ length: crowdSize }, () => new PullClient(url));
}

async function leave(clients: readonly PullClient[]): Promise<void> {
  for (const client of clients) await client[Symbol.asyncDispose]();
}

/** All of them wait for an upstream that has not answered yet. */
async function allWait({ onepull }: Running): Promise<void> {
  await onepull.admin.until(
    (admin) => admin.metric('onepull_responses'),
    (responses) => responses === crowdSize,
  );
}

test('hundreds that wait for a slow upstream at SIGTERM get their bytes when it delivers in time', () =>
  whileRunning({ shutdownTimeout: '1h' }, async (running) => {
    const { registry, onepull, hold } = running;
    hold.release();
    const gate = new Gate();
    registry.next({ kind: 'blob' }, faults.slowHeaders(gate));
    const clients = crowdOf(onepull);
    const downloads = clients.map((each) => each.blob('org/app', layer.digest, { expected: layer }));
    await allWait(running);
    const ended = onepull.terminate();
    await onepull.admin.until(
      (admin) => admin.get('/readyz'),
      ({ status }) => status === 503,
    );
    gate.release();
    for (const { outcome, digest } of await Promise.all(downloads)) {
      assert.deepEqual([outcome, digest], ['complete', layer.digest]);
    }
    assert.deepEqual(await ended, { code: 0, signal: null });
    assert.equal(registry.tally.bytesSent(layer.digest), layer.bytes.length);
    await leave(clients);
  }));

test('hundreds that wait for an upstream which does not deliver are cut when their time is over, with exit code 0', () =>
  whileRunning({ shutdownTimeout: '300ms' }, async (running) => {
    const { registry, onepull } = running;
    const gate = new Gate();
    registry.next({ kind: 'blob' }, faults.slowHeaders(gate));
    const clients = crowdOf(onepull);
    const downloads = clients.map((each) => each.blob('org/app', layer.digest).catch((error: Error) => error));
    await allWait(running);
    assert.deepEqual(await onepull.terminate(), { code: 0, signal: null });
    for (const download of await Promise.all(downloads)) assert.ok(download instanceof Error);
    gate.release();
    await leave(clients);
  }));

for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
  test(`a restart (${signal}) while hundreds pull costs those that try again nothing, and upstream hardly a byte`, () =>
    whileRunning({ shutdownTimeout: '0s' }, async ({ registry, onepull, hold }) => {
      const clients = crowdOf(onepull);
      const reached = new Gate();
      reached.release();
      let restarted = false;
      const persistent = async (client: PullClient): Promise<Download> => {
        for (;;) {
          const pauseAt = { afterBytes: 3 * mebibyte, gate: reached };
          const download = await client
            .blob('org/app', layer.digest, { expected: layer, ...(restarted ? {} : { pauseAt }) })
            .catch(() => undefined);
          if (download?.status === 200 && download.outcome === 'complete') return download;
          await delay(200); // as a kubelet would, only sooner
        }
      };
      const downloads = clients.map(persistent);
      await reached.reached;
      restarted = true;
      await onepull.restart(signal);
      hold.release();
      for (const { digest } of await Promise.all(downloads)) assert.equal(digest, layer.digest);
      const sent = registry.tally.bytesSent(layer.digest);
      assert.ok(sent <= layer.bytes.length * 1.02, `${sent} of ${layer.bytes.length} bytes`);
      await leave(clients);
    }));
}

/** Resolves when nobody listens there any more: threads that answer clients hear of it a moment later. */
async function refused(url: string): Promise<void> {
  for (;;) {
    await using newcomer = new PullClient(url);
    const outcome = await newcomer.manifest('org/app', 'v1').then(
      () => undefined,
      (error) => String(error),
    );
    if (outcome?.includes('ECONNREFUSED')) return;
  }
}
