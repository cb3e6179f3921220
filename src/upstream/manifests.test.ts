import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { digestOf } from '../core/digest.ts';
import { ociManifest } from '../core/media-types.ts';
import { failure, makeClient, never, repository } from './testing/test-client.ts';
import { answer, type Handler, TestServer } from './testing/test-server.ts';

const manifest = Buffer.from('{"schemaVersion":2}');
const digest = digestOf(manifest);
const headers = { 'content-type': ociManifest, 'docker-content-digest': digest };

async function get(handler: Handler, maxBytes = 1000) {
  await using server = await TestServer.start(handler);
  const { client, events } = makeClient(server.url);
  await using _ = client;
  const outcome = await client.getManifest(repository, 'latest', ociManifest, maxBytes, never).then(
    (value) => ({ value, error: undefined }),
    (error: unknown) => ({ value: undefined, error }),
  );
  return { ...outcome, server, events };
}

function fails(outcome: { error: unknown }, code: Parameters<typeof failure>[1]) {
  return failure(Promise.reject(outcome.error), code);
}

describe('manifests', () => {
  it('come with the bytes, type and digest that upstream sent', async () => {
    const { value, server, events } = await get((_, response) => answer(response, 200, headers, manifest));
    assert.deepEqual(value, { digest, mediaType: ociManifest, bytes: manifest });
    const [request] = server.requests;
    assert.deepEqual([request?.method, request?.url], ['GET', '/v2/library/app/manifests/latest']);
    assert.equal(request?.headers.accept, ociManifest);
    assert.equal(request?.headers['accept-encoding'], 'identity');
    assert.match(request?.headers['user-agent'] ?? '', /^onepull\/\d+\.\d+\.\d+/);
    assert.deepEqual(events.bytes, [manifest.length]);
    const [event] = events.requests;
    assert.deepEqual([event?.kind, event?.method, event?.status], ['manifest', 'GET', 200]);
  });

  it('have no digest where upstream sends none that is valid', async () => {
    for (const header of [{}, { 'docker-content-digest': 'sha256:short' }, { 'docker-content-digest': 'md5:00' }]) {
      const type = { 'content-type': `${ociManifest}; charset=utf-8` };
      const { value } = await get((_, response) => answer(response, 200, { ...type, ...header }, manifest));
      assert.deepEqual([value?.digest, value?.mediaType], [undefined, ociManifest]);
    }
  });

  it('are asked below the endpoint’s own path', async () => {
    await using server = await TestServer.start((_, response) => answer(response, 200, headers, manifest));
    const { client } = makeClient(`${server.url}/artifactory/docker/`);
    await using _ = client;
    await client.getManifest(repository, digest, ociManifest, 1000, never);
    assert.equal(server.requests[0]?.url, `/artifactory/docker/v2/library/app/manifests/${digest}`);
  });

  it('are not read beyond the most they may have', async () => {
    const declared = await get((_, response) => answer(response, 200, headers, manifest), manifest.length - 1);
    await fails(declared, 'MANIFEST_TOO_LARGE');
    const chunked = await get((_, response) => {
      response.writeHead(200, headers);
      response.write(manifest);
      response.end('x'.repeat(100_000));
    }, 1000);
    await fails(chunked, 'MANIFEST_TOO_LARGE');
  });

  it('are no web pages, and not encoded', async () => {
    const page = await get((_, response) =>
      answer(response, 200, { 'content-type': 'text/html; charset=utf-8' }, '<p>'),
    );
    await fails(page, 'UPSTREAM_INVALID');
    const encoded = await get((_, response) => answer(response, 200, { ...headers, 'content-encoding': 'gzip' }, 'x'));
    await fails(encoded, 'UPSTREAM_INVALID');
    const identity = await get((_, response) =>
      answer(response, 200, { ...headers, 'content-encoding': 'identity' }, manifest),
    );
    assert.deepEqual(identity.value?.bytes, manifest);
  });

  it('that are cut short are interrupted', async () => {
    const cut = await get((_, response) => {
      response.writeHead(200, { ...headers, 'content-length': '1000' });
      response.write(manifest, () => response.destroy());
    });
    await fails(cut, 'UPSTREAM_INTERRUPTED');
  });

  it('that are not there are unknown, or their repository is', async () => {
    await fails(await get((_, response) => answer(response, 404)), 'MANIFEST_UNKNOWN');
    const body = JSON.stringify({ errors: [{ code: 'NAME_UNKNOWN', message: 'no such repository' }] });
    const named = await fails(await get((_, response) => answer(response, 404, {}, body)), 'NAME_UNKNOWN');
    assert.match(named.message, /no such repository/);
  });

  it('that are limited say until when, whatever the body is', async () => {
    const retry = { 'retry-after': '30' };
    const html = { ...retry, 'content-type': 'text/html' };
    const page = await get((_, response) => answer(response, 429, html, '<h1>slow down</h1>'));
    assert.equal((await fails(page, 'UPSTREAM_RATE_LIMITED')).retryAfterMs, 30_000);
    const json = JSON.stringify({ errors: [{ code: 'TOOMANYREQUESTS', message: 'pull rate limit' }] });
    const error = await fails(await get((_, response) => answer(response, 429, retry, json)), 'UPSTREAM_RATE_LIMITED');
    assert.match(error.message, /pull rate limit/);
  });

  it('keep a 5xx status', async () => {
    const error = await fails(await get((_, response) => answer(response, 503)), 'UPSTREAM_FAILED');
    assert.equal(error.status, 503);
  });

  it('publish Docker Hub’s limit', async () => {
    const limits = { 'ratelimit-limit': '100;w=21600', 'ratelimit-remaining': '76;w=21600' };
    const { events } = await get((_, response) => answer(response, 200, { ...headers, ...limits }, manifest));
    assert.deepEqual(events.rateLimits, [{ upstream: 'test', limit: 100, remaining: 76 }]);
  });

  it('can be asked for by HEAD, and the connections stay open', async () => {
    await using server = await TestServer.start((_, response) => {
      response.writeHead(200, { ...headers, 'content-length': '19' });
      response.end();
    });
    const { client, events } = makeClient(server.url);
    await using _ = client;
    for (let i = 0; i < 12; i++) {
      const head = await client.headManifest(repository, 'latest', ociManifest, never);
      assert.deepEqual(head, { digest, mediaType: ociManifest, sizeBytes: 19 });
    }
    assert.ok(server.accepted <= 4, `${server.accepted} connections`);
    assert.deepEqual(events.bytes, []);
  });
});

describe('an endpoint', () => {
  it('is an http or https address without credentials', () => {
    for (const endpoint of ['ghcr.io', 'ftp://a.example', 'https://u:secret@a.example']) {
      assert.throws(
        () => makeClient(endpoint),
        (error: Error) => !error.message.includes('secret'),
      );
    }
    assert.throws(() => makeClient('https://a.example', { endpoints: [] }), /no endpoint/);
  });
});
