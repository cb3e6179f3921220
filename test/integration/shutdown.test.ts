import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildImage, type Content } from '../../src/cli/demo/image.ts';
import { type Download, PullClient } from '../support/client.ts';
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
    await using newcomer = new PullClient(onepull.url);
    await assert.rejects(newcomer.manifest('org/app', 'v1'), /ECONNREFUSED/);
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
