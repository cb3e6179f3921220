import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { digestOf } from '../core/digest.ts';
import { ociManifest } from '../core/media-types.ts';
import { ask, askBoth } from './testing/test-client.ts';
import { TestGateway } from './testing/test-gateway.ts';

const manifest = Buffer.from('{"schemaVersion":2}');
const digest = digestOf(manifest);
const immutable = 'max-age=31536000, immutable';

describe('/v2/', () => {
  it('says that the API is here, with and without the slash', async () => {
    await using gateway = await TestGateway.start();
    for (const path of ['/v2/', '/v2']) {
      const answer = await askBoth(gateway.port, path);
      assert.equal(answer.status, 200);
      assert.equal(answer.body.toString(), '{}');
      assert.equal(answer.headers['content-type'], 'application/json');
    }
  });
});

describe('manifests', () => {
  it('are answered by tag, to be asked again before use', async () => {
    await using gateway = await TestGateway.start();
    gateway.depot.addManifest('library/a', 'v1', manifest, ociManifest);
    const answer = await askBoth(gateway.port, '/v2/library/a/manifests/v1?ns=docker.io', { accept: ociManifest });
    assert.equal(answer.status, 200);
    assert.deepEqual(answer.body, manifest);
    assert.equal(answer.headers['content-type'], ociManifest);
    assert.equal(answer.headers['docker-content-digest'], digest);
    assert.equal(answer.headers.etag, `"${digest}"`);
    assert.equal(answer.headers['cache-control'], 'no-cache');
    assert.equal(answer.headers.vary, 'Accept');
    assert.equal(answer.headers['accept-ranges'], 'bytes');
    const [get, head] = gateway.depot.manifestRequests;
    assert.deepEqual([get?.method, head?.method], ['GET', 'HEAD']);
    assert.equal(get?.accept, ociManifest);
    assert.equal(get?.client, '127.0.0.1');
    assert.equal(get?.scope.registry, 'docker.io');
  });

  it('are answered by digest, for good', async () => {
    await using gateway = await TestGateway.start();
    gateway.depot.addManifest('a', 'v1', manifest, ociManifest);
    const answer = await askBoth(gateway.port, `/v2/a/manifests/${digest}`);
    assert.equal(answer.headers['cache-control'], immutable);
    assert.equal(answer.headers.vary, undefined);
  });

  it('joins the Accept lines of a client', async () => {
    await using gateway = await TestGateway.start();
    gateway.depot.addManifest('a', 'v1', manifest, ociManifest);
    await ask(gateway.port, '/v2/a/manifests/v1', { headers: { accept: ['a/b', 'c/d'] } });
    assert.equal(gateway.depot.manifestRequests[0]?.accept, 'a/b, c/d');
  });

  it('are 304 for a client that has them', async () => {
    await using gateway = await TestGateway.start();
    gateway.depot.addManifest('a', 'v1', manifest, ociManifest);
    for (const validator of [`"${digest}"`, '*', `"x", W/"${digest}"`]) {
      const answer = await ask(gateway.port, '/v2/a/manifests/v1', { headers: { 'if-none-match': validator } });
      assert.equal(answer.status, 304);
      assert.equal(answer.body.length, 0);
      assert.equal(answer.headers.etag, `"${digest}"`);
      assert.equal(answer.headers['docker-content-digest'], digest);
      assert.equal(answer.headers['cache-control'], 'no-cache');
      assert.equal(answer.headers.vary, 'Accept');
    }
    const changed = await ask(gateway.port, '/v2/a/manifests/v1', { headers: { 'if-none-match': '"x"' } });
    assert.equal(changed.status, 200);
  });

  it('are served in ranges', async () => {
    await using gateway = await TestGateway.start();
    gateway.depot.addManifest('a', 'v1', manifest, ociManifest);
    const get = (headers: Record<string, string>) => ask(gateway.port, '/v2/a/manifests/v1', { headers });
    const open = await get({ range: 'bytes=0-' });
    assert.equal(open.status, 206);
    assert.equal(open.headers['content-range'], `bytes 0-${manifest.length - 1}/${manifest.length}`);
    assert.deepEqual(open.body, manifest);
    const part = await get({ range: 'bytes=2-5', 'if-range': `"${digest}"` });
    assert.deepEqual(part.body, manifest.subarray(2, 6));
    assert.equal(part.headers['content-length'], '4');
    assert.equal((await get({ range: 'bytes=2-5', 'if-range': `W/"${digest}"` })).status, 200);
    const beyond = await get({ range: `bytes=${manifest.length}-` });
    assert.equal(beyond.status, 416);
    assert.equal(beyond.headers['content-range'], `bytes */${manifest.length}`);
  });

  it('that are large arrive whole', async () => {
    await using gateway = await TestGateway.start();
    const large = Buffer.alloc(4 * 1024 * 1024, 'manifest ');
    gateway.depot.addManifest('a', 'v1', large, ociManifest);
    const answer = await ask(gateway.port, '/v2/a/manifests/v1');
    assert.ok(answer.complete && answer.body.equals(large));
    assert.equal((await gateway.event()).bytes, large.length);
  });

  it('are 404 when unknown, and when the reference is no tag', async () => {
    await using gateway = await TestGateway.start();
    for (const reference of ['gone', '.INVALID_MANIFEST_NAME']) {
      const answer = await askBoth(gateway.port, `/v2/a/manifests/${reference}`);
      assert.equal(answer.status, 404);
      assert.equal(JSON.parse(answer.body.toString()).errors[0].code, 'MANIFEST_UNKNOWN');
      assert.equal(answer.headers['cache-control'], 'no-store');
    }
  });
});

describe('blobs', () => {
  it('are answered with everything that a client needs to verify and keep them', async () => {
    await using gateway = await TestGateway.start();
    const blob = gateway.content('the bytes of a layer');
    const answer = await askBoth(gateway.port, `/v2/a/blobs/${blob.digest}`);
    assert.equal(answer.status, 200);
    assert.deepEqual(answer.body, blob.bytes);
    assert.equal(answer.headers['content-type'], 'application/octet-stream');
    assert.equal(answer.headers['docker-content-digest'], blob.digest);
    assert.equal(answer.headers.etag, `"${blob.digest}"`);
    assert.equal(answer.headers['cache-control'], immutable);
    assert.equal(answer.headers['accept-ranges'], 'bytes');
    assert.deepEqual(
      gateway.depot.blobRequests.map((request) => request.method),
      ['GET', 'HEAD'],
    );
  });

  it('are served in single ranges, the suffix included; other ranges get the whole', async () => {
    await using gateway = await TestGateway.start();
    const blob = gateway.content('0123456789');
    const get = (range: string) => ask(gateway.port, `/v2/a/blobs/${blob.digest}`, { headers: { range } });
    const cases: [range: string, status: number, body: string, contentRange: string | undefined][] = [
      ['bytes=0-', 206, '0123456789', 'bytes 0-9/10'],
      ['bytes=2-4', 206, '234', 'bytes 2-4/10'],
      ['bytes=7-99', 206, '789', 'bytes 7-9/10'],
      ['bytes=-3', 206, '789', 'bytes 7-9/10'],
      ['bytes=9-9', 206, '9', 'bytes 9-9/10'],
      ['bytes=0-1,4-5', 200, '0123456789', undefined],
      ['bytes=4-2', 200, '0123456789', undefined],
      ['lines=1-2', 200, '0123456789', undefined],
      ['nonsense', 200, '0123456789', undefined],
    ];
    for (const [range, status, body, contentRange] of cases) {
      const answer = await get(range);
      assert.equal(answer.status, status, range);
      assert.equal(answer.body.toString(), body, range);
      assert.equal(answer.headers['content-range'], contentRange, range);
      assert.equal(answer.headers['content-length'], String(body.length), range);
    }
    const beyond = await get('bytes=10-');
    assert.equal(beyond.status, 416);
    assert.equal(beyond.headers['content-range'], 'bytes */10');
  });

  it('ignores a range on HEAD', async () => {
    await using gateway = await TestGateway.start();
    const blob = gateway.content('0123456789');
    const head = await ask(gateway.port, `/v2/a/blobs/${blob.digest}`, {
      method: 'HEAD',
      headers: { range: 'bytes=0-1' },
    });
    assert.equal(head.status, 200);
    assert.equal(head.headers['content-length'], '10');
  });

  it('honours If-Range by strong comparison', async () => {
    await using gateway = await TestGateway.start();
    const blob = gateway.content('0123456789');
    const get = (validator: string) =>
      ask(gateway.port, `/v2/a/blobs/${blob.digest}`, { headers: { range: 'bytes=0-1', 'if-range': validator } });
    assert.equal((await get(`"${blob.digest}"`)).status, 206);
    assert.equal((await get(`W/"${blob.digest}"`)).status, 200);
    assert.equal((await get('"other"')).status, 200);
  });

  it('are 304 for a client that has them, once the depot let it read the repository', async () => {
    await using gateway = await TestGateway.start();
    const blob = gateway.content('0123456789');
    const headers = { 'if-none-match': `"${blob.digest}"` };
    for (const method of ['GET', 'HEAD']) {
      const answer = await ask(gateway.port, `/v2/a/blobs/${blob.digest}`, { method, headers });
      assert.equal(answer.status, 304);
      assert.equal(answer.headers.etag, `"${blob.digest}"`);
      assert.equal(answer.headers['docker-content-digest'], blob.digest);
    }
    assert.ok(gateway.depot.blobRequests.every((request) => request.method === 'HEAD'));
    const unknown = digestOf(Buffer.from('unknown'));
    const refused = await ask(gateway.port, `/v2/a/blobs/${unknown}`, { headers: { 'if-none-match': '*' } });
    assert.equal(refused.status, 404);
  });

  it('can be empty', async () => {
    await using gateway = await TestGateway.start();
    const blob = gateway.content('');
    const answer = await askBoth(gateway.port, `/v2/a/blobs/${blob.digest}`);
    assert.equal(answer.status, 200);
    assert.equal(answer.headers['content-length'], '0');
  });

  it('can be in memory', async () => {
    await using gateway = await TestGateway.start();
    const bytes = Buffer.alloc(600_000, 'memory ');
    gateway.depot.blob = async () => ({
      kind: 'body',
      sizeBytes: bytes.length,
      part: { start: 10, end: bytes.length },
      served: 'hit',
      body: {
        start: 10,
        end: bytes.length,
        storage: { kind: 'memory', bytes },
        readableTo: () => bytes.length,
        whenReadable: async () => bytes.length,
        unreadable: async () => {},
        close: () => {},
      },
    });
    const answer = await ask(gateway.port, `/v2/a/blobs/${digest}`);
    assert.equal(answer.status, 206);
    assert.ok(answer.body.equals(bytes.subarray(10)));
  });
});
