import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { test } from 'node:test';
import { buildImage, type Content } from '../../src/cli/demo/image.ts';
import { descriptorLimit } from '../../src/cli/descriptor-limit.ts';
import { leavingNothing } from '../integration/scene.ts';
import { PullClient } from '../support/client.ts';
import { OnepullProcess } from '../support/onepull-process.ts';
import { ScriptedRegistry } from '../support/scripted-registry.ts';

const mebibyte = 1024 * 1024;
const image = buildImage({ seed: 'crowded', layerSizes: [30 * mebibyte, 300_000, 400_000] });
const [large, small, other] = image.layers as [Content, Content, Content];
const path = ({ digest }: Content) => `/v2/org/app/blobs/${digest}`;
const request = (blob: Content) => `GET ${path(blob)} HTTP/1.1\r\nHost: onepull\r\n\r\n`;

interface Crowded {
  readonly registry: ScriptedRegistry;
  readonly onepull: OnepullProcess;
  readonly client: PullClient;
  /** Opens connections that read nothing. */
  readonly open: (count: number) => Promise<Socket[]>;
  /** What the process holds of memory now. */
  readonly memory: () => Promise<number>;
}

async function crowded(server: Readonly<Record<string, unknown>>, body: (crowded: Crowded) => Promise<void>) {
  await leavingNothing(async () => {
    await using registry = await ScriptedRegistry.start();
    registry.content.add('org/app', image, 'v1');
    await using onepull = await OnepullProcess.start({ upstreams: { 'demo.example': { url: registry.url } }, server });
    await using client = new PullClient(onepull.url);
    assert.equal((await client.manifest('org/app', 'v1')).status, 200);
    const opened: Socket[] = [];
    const open = async (count: number) => {
      const { hostname: host, port } = new URL(onepull.url);
      const sockets = Array.from({ length: count }, () => connect({ host, port: Number(port) }));
      for (const socket of sockets) socket.on('error', () => {}).pause();
      opened.push(...sockets);
      await Promise.all(sockets.map((socket) => once(socket, 'connect')));
      return sockets;
    };
    const memory = () => onepull.admin.metric('process_resident_memory_bytes');
    await body({ registry, onepull, client, open, memory });
    for (const socket of opened) socket.destroy();
    assert.ok(onepull.isRunning);
    await onepull.admin.assertIdle();
  });
}

/** A pull beside the crowd, of something that is not here yet. */
async function pulls({ client }: Crowded, blob: Content): Promise<void> {
  const { status, outcome, digest } = await client.blob('org/app', blob.digest);
  assert.deepEqual([status, outcome, digest], [200, 'complete', blob.digest]);
}

test('thousands of idle connections and of requests that come a byte at a time cost little, and hold up nobody', () =>
  crowded({}, async (scene) => {
    const count = Math.min(3_000, Math.floor(((await descriptorLimit()) ?? 4_096) / 2) - 200);
    const before = await scene.memory();
    const sockets = await scene.open(count);
    for (const socket of sockets.slice(0, count / 2)) socket.write('G');
    await pulls(scene, small);
    for (const socket of sockets.slice(0, count / 2)) socket.write('E');
    await pulls(scene, other);
    const each = ((await scene.memory()) - before) / count;
    assert.ok(each < 48 * 1024, `${Math.round(each)} bytes for each connection`);
  }));

test('readers that take a byte a second are held little for, and cut when their time is over', () =>
  crowded({ clientTimeout: '2s' }, async (scene) => {
    const { onepull } = scene;
    const readers = 60;
    await pulls(scene, large);
    await onepull.admin.assertIdle();
    const before = await scene.memory();
    const sockets = await scene.open(readers);
    const drips = setInterval(() => {
      for (const socket of sockets) socket.read(1);
    }, 1_000);
    for (const socket of sockets) socket.write(request(large));
    await onepull.admin.until(
      (admin) => admin.metric('onepull_responses'),
      (responses) => responses === readers,
    );
    await pulls(scene, small);
    const each = ((await scene.memory()) - before) / readers;
    assert.ok(each < mebibyte, `${Math.round(each)} bytes for each reader`);
    assert.ok((await onepull.admin.metric('onepull_queued_bytes')) <= readers * 256 * 1024);
    await onepull.admin.until(
      (admin) => admin.metric('onepull_responses'),
      (responses) => responses === 0,
    );
    clearInterval(drips);
    assert.equal(await onepull.admin.metric('onepull_queued_bytes'), 0);
    assert.equal(await onepull.admin.metric('onepull_requests_incomplete_total', { route: 'blob' }), readers);
  }));

test('floods of pipelined requests are cut or answered in turn, and hold up nobody', () =>
  crowded({ maxResponses: 500 }, async (scene) => {
    const { registry, onepull } = scene;
    const hold = registry.hold(large.digest, mebibyte);
    const before = await scene.memory();
    const sockets = await scene.open(200);
    for (const [index, socket] of sockets.entries()) {
      socket.write(request(index % 2 === 0 ? large : small).repeat(index % 4 < 2 ? 40 : 4_000));
    }
    await hold.reached;
    await pulls(scene, other);
    const grown = (await scene.memory()) - before;
    assert.ok(grown < 300 * mebibyte, `${Math.round(grown / mebibyte)} MiB more`);
    hold.release();
    await pulls(scene, large);
    assert.equal((await onepull.admin.get('/readyz')).status, 200);
    for (const socket of sockets) socket.destroy();
    assert.equal(registry.tally.bytesSent(large.digest), large.bytes.length);
  }));
