import assert from 'node:assert/strict';
import { type IncomingMessage, request } from 'node:http';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { buildImage, type Content } from '../../src/cli/demo/image.ts';
import { type Digest, digestOf } from '../../src/core/digest.ts';
import * as faults from '../support/faults.ts';
import { Gate } from '../support/gate.ts';
import { readAll } from '../support/registry-session.ts';
import { inWorld, type World } from './world.ts';

const repository = 'org/app';
const image = buildImage({ seed: 'in time', layerSizes: [400_000, 300_000] });
const [layer, unsized] = image.layers as [Content, Content];
const unknown: Digest = digestOf(Buffer.from('nobody has linked this'));
const headerTimeoutMs = 3_000;

interface Told {
  readonly status: number;
  readonly body: string;
}

/** What a client is told, whose patience for headers ends at three times the bound. */
async function ask({ url }: World, method: string, path: string): Promise<Told> {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const asking = request(`${url}/v2/${path}`, { method, agent: false }, resolve).on('error', reject).end();
    void delay(3 * headerTimeoutMs, undefined, { ref: false }).then(() => asking.destroy(new Error('no headers')));
  });
  const { statusCode = 0 } = response;
  if (statusCode !== 200) return { status: statusCode, body: (await readAll(response)).toString() };
  response.destroy();
  return { status: statusCode, body: '' };
}

test('an upstream that never answers: every kind of request has its headers in time, with an honest error', () =>
  inWorld({ pull: { headerTimeout: `${headerTimeoutMs}ms` }, upstream: { tagTtl: '0s' } }, async (world) => {
    const { registry, client } = world;
    registry.content.add(repository, image, 'v1');
    registry.content.add('org/other', image, 'v1');
    registry.content.add('org/third', image, 'v1');
    assert.equal((await client.manifest(repository, 'v1')).status, 200);
    // Linked, but nobody has said how large it is.
    const undo = registry.always({ kind: 'blob', method: 'HEAD' }, faults.chunked());
    const head = await client.headBlob('org/third', unsized.digest);
    assert.deepEqual([head.status, head.headers['content-length']], [200, undefined]);
    undo();
    const hole = new Gate();
    registry.always({}, faults.slowHeaders(hole));
    const late = await Promise.all(
      [
        ['GET', 'org/other/manifests/v1'],
        ['HEAD', 'org/other/manifests/v1'],
        ['GET', `org/other/manifests/${image.manifest.digest}`],
        ['HEAD', `org/other/manifests/${image.manifest.digest}`],
        ['GET', `${repository}/manifests/v2`],
        ['GET', `${repository}/blobs/${unknown}`],
        ['HEAD', `${repository}/blobs/${unknown}`],
        ['GET', `org/other/blobs/${layer.digest}`],
        ['GET', `org/third/blobs/${unsized.digest}`],
        ['HEAD', `org/third/blobs/${unsized.digest}`],
        ['GET', `${repository}/tags/list`],
        ['GET', `${repository}/referrers/${image.manifest.digest}`],
      ].map(async ([method = '', path = '']) => ({ method, path, ...(await ask(world, method, path)) })),
    );
    for (const { method, path, status, body } of late) {
      assert.equal(status, 504, `${method} ${path}: ${status} ${body}`);
      if (method === 'GET') assert.equal(JSON.parse(body).errors[0].code, 'UNAVAILABLE', path);
    }
    const known = await Promise.all([
      ask(world, 'GET', `${repository}/blobs/${layer.digest}`),
      ask(world, 'HEAD', `${repository}/blobs/${layer.digest}`),
      ask(world, 'GET', `${repository}/manifests/v1`),
      ask(world, 'HEAD', `${repository}/manifests/v1`),
      ask(world, 'GET', `${repository}/manifests/${image.manifest.digest}`),
      ask(world, 'GET', '_catalog'),
      ask(world, 'GET', ''),
    ]);
    assert.deepEqual(
      known.map(({ status }) => status),
      known.map(() => 200),
    );
    registry.behave();
    hole.release();
  }));
