import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { digestOf } from '../core/digest.ts';
import { AppError } from '../core/errors.ts';
import { ociManifest } from '../core/media-types.ts';
import { ask, keepAliveAgent } from './testing/test-client.ts';
import { TestGateway } from './testing/test-gateway.ts';

const manifest = Buffer.from('{"schemaVersion":2}');
const digest = digestOf(manifest);
const immutable = 'max-age=31536000, immutable';

/** Asks with GET and HEAD on one kept connection; checks that HEAD says the same and has no body. */
async function both(gateway: TestGateway, path: string, headers: Record<string, string> = {}) {
  const agent = keepAliveAgent();
  const get = await ask(gateway.port, path, { headers, agent });
  const head = await ask(gateway.port, path, { headers, agent, method: 'HEAD' });
  agent.destroy();
  assert.equal(head.body.length, 0);
  assert.equal(head.status, get.status);
  assert.deepEqual({ ...head.headers, date: '' }, { ...get.headers, date: '' });
  assert.equal(get.headers['docker-distribution-api-version'], 'registry/2.0');
  assert.equal(get.headers['content-length'], String(get.body.length));
  assert.equal(get.headers['transfer-encoding'], undefined);
  assert.equal(get.headers.connection, 'keep-alive');
  return get;
}

describe('/v2/', () => {
  it('says that the API is here, with and without the slash', async () => {
    await using gateway = await TestGateway.start();
    for (const path of ['/v2/', '/v2']) {
      const answer = await both(gateway, path);
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
    const answer = await both(gateway, '/v2/library/a/manifests/v1?ns=docker.io', { accept: ociManifest });
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
    const answer = await both(gateway, `/v2/a/manifests/${digest}`);
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
      const answer = await both(gateway, `/v2/a/manifests/${reference}`);
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
    const answer = await both(gateway, `/v2/a/blobs/${blob.digest}`);
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
    const answer = await both(gateway, `/v2/a/blobs/${blob.digest}`);
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
        close: () => {},
      },
    });
    const answer = await ask(gateway.port, `/v2/a/blobs/${digest}`);
    assert.equal(answer.status, 206);
    assert.ok(answer.body.equals(bytes.subarray(10)));
  });
});

describe('tags, referrers and the catalog', () => {
  const list = `/v2/prefix/a/tags/list`;

  it('passes tags through, and a next page as a link to ourselves', async () => {
    await using gateway = await TestGateway.start();
    gateway.depot.list = { ...gateway.depot.list, nextQuery: 'n=1&last=x>y&ns=elsewhere' };
    const answer = await both(gateway, `${list}?n=1&last=w&ns=ghcr.io`);
    assert.equal(answer.status, 200);
    assert.equal(answer.headers['content-type'], 'application/json');
    assert.equal(answer.headers['cache-control'], 'no-cache');
    assert.equal(answer.headers.link, `<${list}?n=1&last=x%3Ey&ns=ghcr.io>; rel="next"`);
    const [request] = gateway.depot.tagsRequests;
    assert.deepEqual([request?.limit, request?.last, request?.scope.registry], [1, 'w', 'ghcr.io']);
  });

  it('gives no link that we would not understand when it comes back', async () => {
    await using gateway = await TestGateway.start();
    gateway.depot.list = { ...gateway.depot.list, nextQuery: 'token=abc' };
    assert.equal((await ask(gateway.port, list)).headers.link, undefined);
  });

  it('passes referrers through with the filter that was applied', async () => {
    await using gateway = await TestGateway.start();
    const mediaType = 'application/vnd.oci.image.index.v1+json';
    gateway.depot.list = { ...gateway.depot.list, mediaType, filtersApplied: 'artifactType' };
    const answer = await both(gateway, `/v2/a/referrers/${digest}?artifactType=application/vnd.x%2Bjson`);
    assert.equal(answer.headers['content-type'], mediaType);
    assert.equal(answer.headers['oci-filters-applied'], 'artifactType');
    assert.equal(gateway.depot.referrersRequests[0]?.artifactType, 'application/vnd.x+json');
  });

  it('lists the repositories in pages', async () => {
    await using gateway = await TestGateway.start();
    gateway.depot.names = ['a', 'b/c', 'd'];
    const first = await both(gateway, '/v2/_catalog?n=2');
    assert.deepEqual(JSON.parse(first.body.toString()), { repositories: ['a', 'b/c'] });
    assert.equal(first.headers.link, '</v2/_catalog?n=2&last=b%2Fc>; rel="next"');
    const second = await both(gateway, '/v2/_catalog?n=2&last=b%2Fc');
    assert.deepEqual(JSON.parse(second.body.toString()), { repositories: ['d'] });
    assert.equal(second.headers.link, undefined);
    const none = await both(gateway, '/v2/_catalog?n=0');
    assert.deepEqual(JSON.parse(none.body.toString()), { repositories: [] });
  });
});

describe('errors', () => {
  it("gives upstream's refusals to the client as what they are", async () => {
    await using gateway = await TestGateway.start();
    const cases: [error: AppError, status: number, code: string, header: string, value: string][] = [
      [
        new AppError('UPSTREAM_RATE_LIMITED', 'slow down', { retryAfterMs: 1_200 }),
        429,
        'TOOMANYREQUESTS',
        'retry-after',
        '2',
      ],
      [
        new AppError('UPSTREAM_UNAUTHORIZED', 'no', { details: { upstream: 'ghcr.io' } }),
        401,
        'UNAUTHORIZED',
        'www-authenticate',
        'Basic realm="ghcr.io"',
      ],
      [new AppError('UPSTREAM_FAILED', 'down', { status: 503 }), 503, 'UNAVAILABLE', 'cache-control', 'no-store'],
    ];
    for (const [error, status, code, header, value] of cases) {
      gateway.depot.manifest = async () => {
        throw error;
      };
      const answer = await both(gateway, '/v2/a/manifests/x');
      assert.equal(answer.status, status);
      assert.equal(answer.headers[header], value);
      assert.equal(JSON.parse(answer.body.toString()).errors[0].code, code);
    }
    assert.equal((await gateway.event()).errorCode, 'UPSTREAM_RATE_LIMITED');
  });

  it('hides what nobody foresaw behind the id of the request', async () => {
    await using gateway = await TestGateway.start();
    gateway.depot.manifest = () => {
      throw new TypeError('cannot read properties of /etc/secret');
    };
    const answer = await ask(gateway.port, '/v2/a/manifests/x');
    assert.equal(answer.status, 500);
    assert.ok(!answer.body.includes('secret'));
    assert.ok(answer.body.includes((await gateway.event()).id));
    assert.equal(gateway.notices[0]?.level, 'error');
  });

  it('survives a header that cannot be sent', async () => {
    await using gateway = await TestGateway.start();
    gateway.depot.addManifest('a', 'v1', manifest, 'text/plain\r\nX-Evil: 1');
    const answer = await ask(gateway.port, '/v2/a/manifests/v1');
    assert.equal(answer.status, 500);
    assert.equal(answer.headers['x-evil'], undefined);
  });

  it('answers 404 for registries that are not configured and for paths that are not there', async () => {
    await using gateway = await TestGateway.start();
    const registry = await ask(gateway.port, '/v2/a/manifests/x?ns=unknown.example');
    assert.equal(registry.status, 404);
    assert.equal(JSON.parse(registry.body.toString()).errors[0].code, 'NAME_UNKNOWN');
    const path = await ask(gateway.port, '/favicon.ico');
    assert.equal(path.status, 404);
    assert.match(JSON.parse(path.body.toString()).errors[0].detail.hint, /\/v2\//);
  });

  it('refuses pushes and other methods with 405', async () => {
    await using gateway = await TestGateway.start();
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE']) {
      const answer = await ask(gateway.port, '/v2/a/blobs/uploads/', { method });
      assert.equal(answer.status, 405, method);
      assert.equal(answer.headers.allow, 'GET, HEAD');
      const { message } = JSON.parse(answer.body.toString()).errors[0];
      if (method === 'POST') assert.match(message, /pull-through cache/);
    }
  });
});
