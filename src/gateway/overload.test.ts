import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ask, keepAliveAgent, open, RawClient } from './testing/test-client.ts';
import { TestGateway, until } from './testing/test-gateway.ts';

const path = (digest: string) => `/v2/a/blobs/${digest}`;

describe('more answers than there may be', () => {
  it('are 503 with Retry-After on a connection that stays, and nobody is asked for them', async () => {
    await using gateway = await TestGateway.start({ maxResponses: 2 });
    const held = gateway.content('some bytes', { filled: 4 });
    const other = gateway.content('other bytes');
    const running = await Promise.all([1, 2].map(() => open(gateway.port, path(held.digest))));
    const asked = gateway.depot.blobRequests.length;
    const agent = keepAliveAgent();
    for (let round = 0; round < 3; round++) {
      const { status, headers, body } = await ask(gateway.port, path(other.digest), { agent });
      assert.deepEqual([status, headers['retry-after'], headers.connection], [503, '3', 'keep-alive']);
      assert.equal(JSON.parse(body.toString()).errors[0].code, 'UNAVAILABLE');
    }
    assert.equal(gateway.depot.blobRequests.length, asked);
    assert.equal(gateway.connections, 3);
    assert.deepEqual(gateway.refused, ['responses', 'responses', 'responses']);
    assert.equal(gateway.notices.filter(({ level }) => level === 'warn').length, 1);
    held.finish();
    for (const answer of running) assert.equal(await answer.read().over, true);
    await until(() => gateway.server.load().responses === 0);
    assert.equal((await ask(gateway.port, path(other.digest), { agent })).status, 200);
    agent.destroy();
  });

  it('that wait for upstream count as well', async () => {
    await using gateway = await TestGateway.start({ maxResponses: 1 });
    const held = gateway.content('some bytes', { filled: 0 });
    const waiting = open(gateway.port, path(held.digest));
    await until(() => held.waiting === 1);
    assert.deepEqual(gateway.server.load(), { responses: 1, queuedBytes: 0 });
    assert.equal((await ask(gateway.port, '/v2/a/tags/list')).status, 503);
    held.finish();
    assert.equal(await (await waiting).read().over, true);
  });

  it('do not keep pings out, nor a few that only ask what there is', async () => {
    await using gateway = await TestGateway.start({ maxResponses: 1 });
    const held = gateway.content('some bytes', { filled: 4 });
    const running = await open(gateway.port, path(held.digest));
    assert.equal((await ask(gateway.port, '/v2/')).status, 200);
    assert.equal((await ask(gateway.port, path(held.digest), { method: 'HEAD' })).status, 200);
    assert.equal((await ask(gateway.port, path(held.digest))).status, 503);
    held.finish();
    await running.read().over;
  });

  it('wait for nothing: one whose client leaves makes room at once', async () => {
    await using gateway = await TestGateway.start({ maxResponses: 1 });
    const held = gateway.content('some bytes', { filled: 4 });
    (await open(gateway.port, path(held.digest))).leave();
    await until(() => gateway.server.load().responses === 0);
    const next = await open(gateway.port, path(held.digest));
    assert.equal(next.status, 200);
    next.leave();
  });

  it('are refused to those who come pipelined when their turn comes, in order', async () => {
    await using gateway = await TestGateway.start({ maxResponses: 1 });
    const held = gateway.content('some bytes', { filled: 4 });
    const running = await open(gateway.port, path(held.digest));
    const request = `GET ${path(held.digest)} HTTP/1.1\r\nHost: a\r\n\r\n`;
    const client = new RawClient(gateway.port).send(request + request);
    await client.received(/ 503 .* 503 .*}$/s);
    held.finish();
    await running.read().over;
    client.socket.destroy();
  });

  it('are not taken in unboundedly as pipelined requests: whoever floods is cut', async () => {
    await using gateway = await TestGateway.start({ maxResponses: 2 });
    const held = gateway.content('some bytes', { filled: 4 });
    const request = `GET ${path(held.digest)} HTTP/1.1\r\nHost: a\r\n\r\n`;
    const flood = [1, 2].map(() => new RawClient(gateway.port).send(request.repeat(60)));
    await Promise.race(flood.map((client) => client.closed));
    const single = flood.find((client) => !client.socket.destroyed);
    assert.ok(single);
    held.finish();
    await until(() => single.text.split('some bytes').length === 61);
    single.socket.destroy();
  });
});

describe('more bytes than may be held for clients', () => {
  const mediaType = 'application/vnd.oci.image.manifest.v1+json';
  const manifest = '/v2/a/manifests/v1';

  it('keep new bodies out until they are taken, and disturb no answer under way', async () => {
    await using gateway = await TestGateway.start({ maxQueuedBytes: 1024 * 1024 });
    // More than what the kernel takes on behalf of a client that does not read.
    gateway.depot.addManifest('a', 'v1', Buffer.alloc(24 * 1024 * 1024, ' '), mediaType);
    const blob = gateway.content('some bytes');
    const stuck = await open(gateway.port, manifest);
    assert.equal(gateway.server.load().queuedBytes, 24 * 1024 * 1024);
    for (const refused of [await ask(gateway.port, path(blob.digest)), await ask(gateway.port, '/v2/_catalog')]) {
      assert.deepEqual([refused.status, refused.headers['retry-after']], [503, '3']);
    }
    assert.deepEqual(gateway.refused, ['queued-bytes', 'queued-bytes']);
    assert.equal((await ask(gateway.port, path(blob.digest), { method: 'HEAD' })).status, 200);
    assert.equal((await ask(gateway.port, '/v2/')).status, 200);
    assert.equal(await stuck.read().over, true);
    assert.equal(stuck.body.length, 24 * 1024 * 1024);
    await until(() => gateway.server.load().queuedBytes === 0);
    assert.equal((await ask(gateway.port, path(blob.digest))).status, 200);
  });

  it('are let go when the client leaves instead of taking them', async () => {
    await using gateway = await TestGateway.start({ maxQueuedBytes: 1024 * 1024 });
    gateway.depot.addManifest('a', 'v1', Buffer.alloc(24 * 1024 * 1024, ' '), mediaType);
    (await open(gateway.port, manifest)).leave();
    await until(() => gateway.server.load().queuedBytes === 0);
    (await open(gateway.port, manifest)).leave();
    assert.deepEqual(gateway.refused, []);
  });

  it('count once for a crowd that gets the same ones', async () => {
    await using gateway = await TestGateway.start();
    const bytes = Buffer.alloc(3 * 1024 * 1024, ' ');
    gateway.depot.addManifest('a', 'v1', bytes, mediaType);
    const crowd = await Promise.all(Array.from({ length: 20 }, () => open(gateway.port, manifest)));
    assert.ok(gateway.server.load().queuedBytes <= bytes.length);
    for (const answer of crowd) assert.equal(await answer.read().over, true);
  });

  it('count a block of a file while its reader does not take it', async () => {
    await using gateway = await TestGateway.start();
    const blob = gateway.content(Buffer.alloc(24 * 1024 * 1024, 'x'));
    const stuck = await open(gateway.port, path(blob.digest));
    await until(() => gateway.server.load().queuedBytes > 0);
    assert.equal(gateway.server.load().queuedBytes, gateway.pool.lentBytes);
    stuck.leave();
  });
});
