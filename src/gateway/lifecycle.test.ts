import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AppError } from '../core/errors.ts';
import { ask, keepAliveAgent, open, RawClient } from './testing/test-client.ts';
import { TestGateway, until } from './testing/test-gateway.ts';

const path = (digest: string) => `/v2/a/blobs/${digest}`;
const ping = 'GET /v2/ HTTP/1.1\r\nHost: a\r\n\r\n';

describe('listening', () => {
  it('says in one line why it cannot', async () => {
    await using gateway = await TestGateway.start();
    await assert.rejects(TestGateway.start({ port: gateway.port }), (error) => {
      assert.ok(error instanceof AppError && error.code === 'LISTEN_FAILED');
      assert.equal(
        error.message,
        `cannot listen on 127.0.0.1:${gateway.port}: another program uses it; change "listen"`,
      );
      return true;
    });
  });

  it('may be given up before it began', async () => {
    const gateway = await TestGateway.start();
    await gateway[Symbol.asyncDispose]();
    await gateway[Symbol.asyncDispose]();
  });
});

describe('the event of a request', () => {
  it('tells who asked for what and what came of it, once', async () => {
    await using gateway = await TestGateway.start();
    const blob = gateway.content('some bytes');
    await ask(gateway.port, `${path(blob.digest)}?ns=ghcr.io`, { headers: { 'user-agent': 'containerd/2' } });
    const { id, durationMs, ...event } = await gateway.event();
    assert.ok(id.length > 8 && durationMs >= 0);
    assert.deepEqual(event, {
      client: '127.0.0.1',
      method: 'GET',
      path: `${path(blob.digest)}?ns=ghcr.io`,
      route: 'blob',
      registry: 'ghcr.io',
      repository: 'a',
      reference: blob.digest,
      userAgent: 'containerd/2',
      status: 200,
      errorCode: undefined,
      served: 'hit',
      bytes: 10,
      complete: true,
      firstByteMs: 0,
    });
    assert.deepEqual(gateway.served, [{ from: 'cache', bytes: 10 }]);
  });

  it('counts no bytes for HEAD, and no content for errors', async () => {
    await using gateway = await TestGateway.start();
    const blob = gateway.content('some bytes');
    await ask(gateway.port, path(blob.digest), { method: 'HEAD' });
    await ask(gateway.port, '/nothing');
    const [head, error] = [await gateway.event(0), await gateway.event(1)];
    assert.deepEqual([head.bytes, head.complete, head.firstByteMs], [0, true, undefined]);
    assert.deepEqual(
      [error.route, error.status, error.errorCode, error.complete],
      ['other', 404, 'PATH_UNKNOWN', true],
    );
    assert.deepEqual(gateway.served, []);
  });
});

describe('the connection limit', () => {
  it('answers 503 to one more, at once, and takes new ones when there is room', async () => {
    await using gateway = await TestGateway.start({ maxConnections: 1 });
    const first = new RawClient(gateway.port).send(ping);
    await first.received(/{}$/);
    for (const text of ['', ping]) {
      const refused = await new RawClient(gateway.port).send(text).closed;
      assert.match(refused.text, /^HTTP\/1\.1 503 Service Unavailable\r\n.*Retry-After: 3\r\n.*"UNAVAILABLE"/s);
    }
    assert.equal(gateway.notices.length, 1);
    assert.deepEqual(gateway.refused, ['connections', 'connections']);
    first.socket.destroy();
    await first.closed;
    let status = 503;
    while (status === 503) status = (await ask(gateway.port, '/v2/')).status;
    assert.equal(status, 200);
  });
});

describe('a crowd of idle connections', () => {
  it('makes room for a new one: of those that are idle for a second, the one that has been so longest', async () => {
    await using gateway = await TestGateway.start({ maxConnections: 3 });
    const [silent, kept, halfSent] = [1, 2, 3].map(() => new RawClient(gateway.port));
    assert.ok(silent && kept && halfSent);
    await kept.send(ping).received(/{}$/);
    halfSent.send(ping.slice(0, 10));
    await until(() => gateway.connections === 3);
    gateway.clock.advance(999);
    assert.match((await new RawClient(gateway.port).send(ping).closed).text, /^HTTP\/1\.1 503 /);
    gateway.clock.advance(1);
    await kept.send(ping).received(/{}.*{}$/s);
    const newcomers = [1, 2].map(() => new RawClient(gateway.port).send(ping));
    await Promise.all(newcomers.map((client) => client.received(/{}$/)));
    await Promise.all([silent.closed, halfSent.closed]);
    await kept.send(ping).received(/{}.*{}.*{}$/s);
    for (const client of [kept, ...newcomers]) client.socket.destroy();
  });

  it('does not cost a connection on which something is asked, however long it takes', async () => {
    await using gateway = await TestGateway.start({ maxConnections: 1 });
    const blob = gateway.content('some bytes', { filled: 4 });
    const client = new RawClient(gateway.port).send(`GET ${path(blob.digest)} HTTP/1.1\r\nHost: a\r\n\r\n`);
    await client.received(/some$/);
    gateway.clock.advance(10_000);
    assert.match((await new RawClient(gateway.port).send(ping).closed).text, /^HTTP\/1\.1 503 /);
    blob.finish();
    await client.received(/some bytes$/);
    client.socket.destroy();
  });
});

describe('draining', () => {
  it('closes idle connections and takes no new ones', async () => {
    await using gateway = await TestGateway.start();
    const idle = new RawClient(gateway.port).send(ping);
    await idle.received(/{}$/);
    await gateway.server.drain(1_000);
    await idle.closed;
    await assert.rejects(ask(gateway.port, '/v2/'), { code: 'ECONNREFUSED' });
  });

  it('lets a running response finish', async () => {
    await using gateway = await TestGateway.start();
    const blob = gateway.content('some bytes', { filled: 4 });
    const client = (await open(gateway.port, path(blob.digest))).read();
    await client.has(4);
    const drained = gateway.server.drain(1_000);
    blob.finish();
    assert.equal(await client.over, true);
    await drained;
    assert.equal((await gateway.event()).complete, true);
  });

  it('has a response that begins meanwhile close its connection', async () => {
    await using gateway = await TestGateway.start();
    const blob = gateway.content('some bytes', { filled: 0 });
    const client = new RawClient(gateway.port).send(`GET ${path(blob.digest)} HTTP/1.1\r\nHost: a\r\n\r\n`);
    await until(() => blob.waiting === 1);
    const drained = gateway.server.drain(1_000);
    blob.finish();
    assert.match((await client.closed).text, /Connection: close\r\n.*some bytes$/s);
    await drained;
  });

  it('answers 503 to requests on connections that are still open', async () => {
    await using gateway = await TestGateway.start();
    const blobs = [gateway.content('some bytes', { filled: 4 }), gateway.content('some more', { filled: 4 })];
    const [first, second] = blobs.map(({ digest }) =>
      new RawClient(gateway.port).send(`GET ${path(digest)} HTTP/1.1\r\nHost: a\r\n\r\n`),
    );
    assert.ok(first && second);
    second.send(ping);
    await Promise.all([first.received(/some$/), second.received(/some$/)]);
    const drained = gateway.server.drain(1_000);
    blobs[0]?.finish();
    await first.received(/some bytes$/);
    assert.match((await first.send(ping).closed).text, /some bytesHTTP\/1\.1 503 .*Retry-After: 1.*Connection: close/s);
    blobs[1]?.finish();
    assert.match((await second.closed).text, /some moreHTTP\/1\.1 503 /);
    await drained;
  });

  it('cuts what has not finished in time', async () => {
    await using gateway = await TestGateway.start();
    const blob = gateway.content('some bytes', { filled: 4 });
    const client = (await open(gateway.port, path(blob.digest))).read();
    await client.has(4);
    const drained = gateway.server.drain(1_000);
    gateway.clock.advance(1_000);
    await drained;
    assert.equal(await client.over, false);
    assert.equal(blob.closes[0], 1);
  });

  it('is hastened by a second call', async () => {
    await using gateway = await TestGateway.start();
    const blob = gateway.content('some bytes', { filled: 4 });
    const client = (await open(gateway.port, path(blob.digest))).read();
    await client.has(4);
    const drained = gateway.server.drain(1_000_000);
    await gateway.server.drain(0);
    await drained;
    assert.equal(await client.over, false);
  });
});

describe('keeping connections', () => {
  it('serves many requests on one, and leaves no listener on its socket', async () => {
    await using gateway = await TestGateway.start();
    const blob = gateway.content('some bytes');
    const agent = keepAliveAgent();
    const warnings: Error[] = [];
    const onWarning = (warning: Error) => warnings.push(warning);
    process.on('warning', onWarning);
    for (let round = 0; round < 30; round++) {
      const answer = await ask(gateway.port, path(blob.digest), { agent });
      assert.equal(answer.body.toString(), 'some bytes');
    }
    await new Promise((resolve) => setImmediate(resolve));
    process.off('warning', onWarning);
    assert.deepEqual(warnings, []);
    agent.destroy();
  });
});
