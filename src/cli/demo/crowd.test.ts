import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Crowd } from './crowd.ts';
import { buildImage, type Image } from './image.ts';
import { DemoRegistry } from './registry.ts';

const credentials = { username: 'demo', password: 'secret' };
const [repository, tag] = ['demo/app', '1.0'];
const image = buildImage({ seed: 'crowd', layerSizes: [300_000, 200_000] });
const blobs = [...image.layers, image.config].map(({ digest }) => digest);

async function registryWith(content: Image): Promise<DemoRegistry> {
  const registry = await DemoRegistry.start({ auth: { kind: 'token', credentials } });
  registry.content.add(repository, content, tag);
  return registry;
}

function crowdAt(registry: DemoRegistry, nodes: number, password = credentials.password): Crowd {
  return new Crowd({
    nodes,
    origin: registry.url,
    repository,
    tag,
    credentials: { ...credentials, password },
    blobs,
  });
}

test('every node pulls all of the image with a token of its own, and is counted', async () => {
  await using registry = await registryWith(image);
  await using crowd = crowdAt(registry, 4);
  const nodesMs = await crowd.finished;
  assert.equal(nodesMs.length, 4);
  assert.ok(nodesMs.every((ms) => ms > 0));
  assert.equal(crowd.progress.nodesDone, 4);
  assert.deepEqual(
    crowd.progress.arrivedBytes,
    [...image.layers, image.config].map(({ bytes }) => 4 * bytes.length),
  );
  assert.equal(registry.tally.count({ kind: 'token', status: 200 }), 4);
  assert.equal(registry.tally.bytesSent(), 4 * image.totalBytes);
});

test('a node that gets other bytes than the digest names fails the crowd', async () => {
  const [first, ...others] = image.layers;
  assert.ok(first);
  const spoiled = Buffer.from(first.bytes);
  spoiled.writeUInt8(spoiled.readUInt8(1000) ^ 1, 1000);
  await using registry = await registryWith({ ...image, layers: [{ ...first, bytes: spoiled }, ...others] });
  await using crowd = crowdAt(registry, 2);
  await assert.rejects(crowd.finished, /^Error: node \d: blob sha256:\w+: has not the bytes that its digest names$/);
});

test('a node that misses a layer fails the crowd with what the registry said', async () => {
  await using registry = await registryWith(image);
  registry.content.removeBlob(repository, blobs[1] ?? image.config.digest);
  await using crowd = crowdAt(registry, 2);
  await assert.rejects(crowd.finished, /^Error: node \d: blob sha256:\w+: answered with 404 .*BLOB_UNKNOWN/);
});

test('a node with the wrong password fails the crowd', async () => {
  await using registry = await registryWith(image);
  await using crowd = crowdAt(registry, 1, 'wrong');
  await assert.rejects(crowd.finished, /^Error: node 1: manifest 1.0: no token: answered with 401$/);
});

test('a crowd that is disposed of in the middle leaves no connection', async () => {
  await using registry = await registryWith(image);
  const crowd = crowdAt(registry, 2);
  await registry.tally.until((tally) => tally.count() > 0);
  await crowd[Symbol.asyncDispose]();
  await assert.rejects(crowd.finished, /ended before they were done/);
});
