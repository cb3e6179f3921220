import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { test } from 'node:test';
import { buildImage, type Content } from '../../src/cli/demo/image.ts';
import { digestOf } from '../../src/core/digest.ts';
import * as faults from '../support/faults.ts';
import { Gate } from '../support/gate.ts';
import { assertKept, assertWhole, inWorld, type World } from './world.ts';

const repository = 'org/app';
const sizeBytes = 1_500_000;
const image = buildImage({ seed: 'rude', layerSizes: [sizeBytes, 50_000] });
const [large, small] = image.layers as [Content, Content];
const path = ({ digest }: Content) => `/v2/${repository}/blobs/${digest}`;
const request = (blob: Content, more = '') => `GET ${path(blob)} HTTP/1.1\r\nHost: onepull\r\n${more}\r\n`;

async function link({ registry, client }: World): Promise<void> {
  registry.content.add(repository, image, 'v1');
  assert.equal((await client.manifest(repository, 'v1')).status, 200);
}

async function sockets(world: World, count: number): Promise<Socket[]> {
  const { hostname, port } = new URL(world.url);
  const opened = Array.from({ length: count }, () =>
    connect({ host: hostname, port: Number(port), allowHalfOpen: true }),
  );
  await Promise.all(opened.map((socket) => once(socket, 'connect')));
  for (const socket of opened) socket.on('error', () => {}); // whoever is rude is cut
  return opened;
}

async function destroy(opened: readonly Socket[]): Promise<void> {
  await Promise.all(
    opened.map((socket) => {
      if (socket.closed) return undefined;
      const closed = once(socket, 'close');
      socket.destroy();
      return closed;
    }),
  );
}

/** Everything until the other side ends. */
async function readToEnd(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of socket as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks);
}

test('clients that send their requests a letter at a time, or never, hold up nobody', () =>
  inWorld({}, async (world) => {
    await link(world);
    const slow = await sockets(world, 100);
    for (const socket of slow) socket.write(`GET ${path(large)} HTTP/1.1\r\nHo`);
    assertWhole(await world.client.blob(repository, large.digest), large);
    for (const socket of slow) socket.write('s');
    assertWhole(await world.client.blob(repository, small.digest), small);
    await destroy(slow);
  }));

test('500 idle connections hold up nobody', () =>
  inWorld({}, async (world) => {
    await link(world);
    const idle = await sockets(world, 500);
    const downloads = await Promise.all(world.crowd(8).map((client) => client.blob(repository, large.digest)));
    for (const download of downloads) assertWhole(download, large);
    await destroy(idle);
  }));

test('a client that closes its sending side gets its answer whole, or none that looks whole', () =>
  inWorld({}, async (world) => {
    await link(world);
    const hold = world.registry.hold(large.digest, 700_000);
    const [socket] = (await sockets(world, 1)) as [Socket];
    socket.end(request(large, 'Connection: close\r\n'));
    await hold.reached;
    hold.release();
    const answer = await readToEnd(socket);
    const bodyAt = answer.indexOf('\r\n\r\n') + 4;
    if (answer.length - bodyAt === sizeBytes) assert.equal(digestOf(answer.subarray(bodyAt)), large.digest);
    assertWhole(await world.client.blob(repository, large.digest), large);
    assert.equal(world.registry.tally.bytesSent(large.digest), sizeBytes);
  }));

test('pipelined requests are answered in their order, each with its own content', () =>
  inWorld({}, async (world) => {
    await link(world);
    const [socket] = (await sockets(world, 1)) as [Socket];
    socket.write(request(large) + request(small) + request(large) + request(small, 'Connection: close\r\n'));
    let rest = await readToEnd(socket);
    for (const blob of [large, small, large, small]) {
      const bodyAt = rest.indexOf('\r\n\r\n') + 4;
      assert.match(rest.subarray(0, bodyAt).toString(), /^HTTP\/1\.1 200 /);
      assert.equal(digestOf(rest.subarray(bodyAt, bodyAt + blob.bytes.length)), blob.digest);
      rest = rest.subarray(bodyAt + blob.bytes.length);
    }
    assert.equal(rest.length, 0);
    assert.equal(world.registry.tally.bytesSent(large.digest), sizeBytes);
    socket.destroy();
  }));

test('clients that leave before the headers, at the first byte, in the middle and at the end disturb nobody', () =>
  inWorld({}, async (world) => {
    await link(world);
    const { registry } = world;
    const gate = new Gate();
    registry.next({ kind: 'blob', method: 'GET' }, faults.slowHeaders(gate));
    const staying = world.client.blob(repository, large.digest);
    await gate.reached;
    const abort = new AbortController();
    const early = world
      .crowd(8)
      .map((client) => assert.rejects(client.blob(repository, large.digest, { signal: abort.signal })));
    await new Promise((resolve) => setImmediate(resolve));
    abort.abort();
    await Promise.all(early);
    const late = [1, 2, 100_000, 800_000, sizeBytes - 1].map((leaveAfterBytes) =>
      world.crowd(1)[0]?.blob(repository, large.digest, { leaveAfterBytes }),
    );
    gate.release();
    for (const download of await Promise.all(late)) assert.equal(download?.outcome, 'left');
    assertWhole(await staying, large);
    assert.equal(registry.tally.bytesSent(large.digest), sizeBytes);
    await assertKept(world, large);
  }));

test('a client that stops reading is cut off after its time, and the pull goes on without it', () =>
  inWorld({ server: { clientTimeout: '300ms' } }, async (world) => {
    const huge = buildImage({ seed: 'huge', layerSizes: [30_000_000] });
    const layer = huge.layers[0] as Content;
    world.registry.content.add('org/huge', huge, 'v1');
    assert.equal((await world.client.manifest('org/huge', 'v1')).status, 200);
    const gate = new Gate(); // more than what the kernel takes on behalf of a client that does not read
    const stuck = world.client.blob('org/huge', layer.digest, { pauseAt: { afterBytes: 1, gate } });
    const [reader] = world.crowd(1);
    const whole = await reader?.blob('org/huge', layer.digest, { expected: layer });
    if (whole !== undefined) assertWhole(whole, layer);
    await world.until(() => world.requestEvents.some(({ route, complete }) => route === 'blob' && !complete));
    gate.release();
    assert.equal((await stuck).outcome, 'cut');
    assert.equal(world.registry.tally.bytesSent(layer.digest), 30_000_000);
  }));

test('a storm of HEAD requests costs upstream one of each kind, and no body', () =>
  inWorld({}, async (world) => {
    const { registry } = world;
    registry.content.add(repository, image, 'v1');
    const clients = world.crowd(50);
    const heads = await Promise.all(
      clients.flatMap((client) => [
        client.headManifest(repository, 'v1'),
        client.headManifest(repository, 'v1'),
        client.headBlob(repository, large.digest),
        client.headBlob(repository, large.digest),
      ]),
    );
    for (const { status, sizeBytes: bytes } of heads) assert.deepEqual([status, bytes], [200, 0]);
    assert.equal(registry.tally.count({ kind: 'manifest' }), 1);
    assert.equal(registry.tally.count({ kind: 'blob' }), 1);
    assert.equal(registry.tally.bytesSent(), 0);
  }));
