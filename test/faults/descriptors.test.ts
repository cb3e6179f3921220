import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { test } from 'node:test';
import { buildImage, type Content } from '../../src/cli/demo/image.ts';
import { leavingNothing } from '../integration/scene.ts';
import { type Download, PullClient } from '../support/client.ts';
import { untilUp } from '../support/loopback.ts';
import { OnepullProcess } from '../support/onepull-process.ts';
import { ScriptedRegistry } from '../support/scripted-registry.ts';
import { testThreads } from '../support/test-threads.ts';

const mebibyte = 1024 * 1024;
const image = buildImage({ seed: 'descriptors', layerSizes: [6 * mebibyte, ...Array(24).fill(200_000)] });
const [large, ...others] = image.layers as [Content, ...Content[]];
const skip = process.platform === 'linux' ? false : 'limits of descriptors are set as Linux has them';

const threadsTake = 8 * testThreads;

interface Poor {
  readonly registry: ScriptedRegistry;
  readonly onepull: OnepullProcess;
  readonly client: PullClient;
}

/** onepull may have so many descriptors, of which node and the store take about 30 at rest; and what its threads take. */
async function withDescriptors(limit: number, body: (poor: Poor) => Promise<void>): Promise<void> {
  await leavingNothing(async () => {
    await using registry = await ScriptedRegistry.start();
    registry.content.add('org/app', image, 'v1');
    await using onepull = await OnepullProcess.start(
      { upstreams: { 'demo.example': { url: registry.url } } },
      { wrapper: ['sh', '-c', `ulimit -n ${limit + threadsTake}; exec "$0" "$@"`] },
    );
    await using client = new PullClient(onepull.url);
    assert.equal((await client.manifest('org/app', 'v1')).status, 200);
    await body({ registry, onepull, client });
    assert.ok(onepull.isRunning);
    assert.deepEqual(await onepull.terminate(), { code: 0, signal: null });
    assert.ok(!onepull.log.some(({ event }) => event === 'fault'));
  });
}

test('a start with too few descriptors for its connections takes fewer, and says what to do', { skip }, () =>
  withDescriptors(64, async ({ onepull }) => {
    const notice = await onepull.logged({ event: 'few-descriptors' });
    assert.equal(notice.level, 'warn');
    assert.equal(notice.limit, 64 + threadsTake);
    assert.match(String(notice.hint), /ulimit -n.*LimitNOFILE/);
  }),
);

test('a flood of connections beyond the descriptors: what runs goes on, and afterwards all is well', { skip }, () =>
  withDescriptors(64, async ({ registry, onepull, client }) => {
    const hold = registry.hold(large.digest, 3 * mebibyte);
    const running = client.blob('org/app', large.digest);
    await hold.reached;
    const flood = await open(onepull, 300);
    // All that onepull does not take are closed, by it or by the system for it.
    await untilUp(
      async () => flood.filter((socket) => socket.closed).length >= 300 - 64 - threadsTake,
      'the refusal of the flood',
    );
    hold.release();
    assert.equal((await running).digest, large.digest);
    for (const socket of flood) socket.destroy();
    await untilUp(async () => (await attempt(onepull, others[0] as Content))?.status === 200, 'a pull after the flood');
    assert.equal((await onepull.admin.get('/readyz')).status, 200);
    const refused = await onepull.admin.metric('onepull_refused_total', { bound: 'descriptors' });
    assert.ok(refused > 0, 'no refusal is counted');
  }),
);

test('more pulls than descriptors: each is whole or told to come again, and in the end all are served', { skip }, () =>
  withDescriptors(44, async ({ registry, onepull }) => {
    const tries = (each: Content) => attempt(onepull, each);
    for (const download of await Promise.all([...others, ...others].map(tries))) {
      if (download === undefined) continue; // closed by the system before anybody here saw it
      if (download.status === 200) assert.equal(download.outcome, 'complete');
      else assert.equal(download.status, 503, String(download.body));
    }
    const missing = new Set(others);
    await untilUp(async () => {
      for (const blob of missing) {
        const download = await attempt(onepull, blob);
        if (download?.digest === blob.digest) missing.delete(blob);
      }
      return missing.size === 0;
    }, 'every blob');
    await onepull.admin.assertIdle();
    for (const { digest, bytes } of others) assert.equal(registry.tally.bytesSent(digest), bytes.length);
  }),
);

/** With a connection of its own; undefined where it was not even heard. */
async function attempt(onepull: OnepullProcess, { digest }: Content): Promise<Download | undefined> {
  await using client = new PullClient(onepull.url);
  return await client.blob('org/app', digest).catch(() => undefined);
}

async function open({ url }: OnepullProcess, count: number): Promise<Socket[]> {
  const { hostname: host, port } = new URL(url);
  const sockets = Array.from({ length: count }, () => connect({ host, port: Number(port) }));
  for (const socket of sockets) socket.on('error', () => {}).resume();
  return sockets;
}
