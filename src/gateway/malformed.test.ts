import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { RawClient, sendRaw } from './testing/test-client.ts';
import { TestGateway, until } from './testing/test-gateway.ts';

const get = (target: string, headers = '') =>
  `GET ${target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${headers}\r\n`;

/** The status of a response that has the form of an OCI error; fails where it has not. */
function errorOf(text: string): { status: number; code: string } {
  const [head = '', body = ''] = text.split('\r\n\r\n');
  assert.match(head, /Docker-Distribution-Api-Version: registry\/2\.0/);
  assert.match(head, /Content-Type: application\/json/);
  assert.match(head, /Connection: close/);
  assert.match(head, new RegExp(`Content-Length: ${Buffer.byteLength(body)}(\r\n|$)`));
  return { status: Number(head.split(' ')[1]), code: JSON.parse(body).errors[0].code };
}

describe('requests that are no HTTP', () => {
  const cases: [what: string, text: string, status: number][] = [
    ['garbage', 'hello there\r\n\r\n', 400],
    ['a TLS greeting', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', 400],
    ['an HTTP/2 preface', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400],
    ['a NUL in the target', get('/v2/a\0b/manifests/x'), 400],
    ['a header without a colon', 'GET /v2/ HTTP/1.1\r\nHost a\r\n\r\n', 400],
    ['two lengths', get('/v2/', 'Content-Length: 1\r\nContent-Length: 2\r\n'), 400],
    ['a length and chunks', get('/v2/', 'Content-Length: 1\r\nTransfer-Encoding: chunked\r\n'), 400],
    ['headers beyond the limit', get('/v2/', `X-Long: ${'x'.repeat(20_000)}\r\n`), 431],
    ['a target beyond the limit', get(`/v2/${'x'.repeat(20_000)}`), 431],
    ['no Host', 'GET /v2/ HTTP/1.1\r\nConnection: close\r\n\r\n', 400],
    ['CONNECT', 'CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n', 405],
  ];
  for (const [what, text, status] of cases) {
    it(`answers ${status} to ${what}, closes, and counts it`, async () => {
      await using gateway = await TestGateway.start();
      const { status: told } = errorOf(await sendRaw(gateway.port, text));
      assert.equal(told, status);
      const counted = [...gateway.tally.cells()].map(({ labels, duration }) => [labels.status, duration.count]);
      assert.deepEqual(counted, [[status, 1]]);
      assert.deepEqual([...gateway.tally.errors().values()], [1]);
    });
  }

  it('answers 408 to a client that does not finish its headers', async () => {
    await using gateway = await TestGateway.start({ headersReceiveTimeoutMs: 20, requestReceiveTimeoutMs: 40 });
    const { status } = errorOf(await sendRaw(gateway.port, 'GET /v2/ HTTP/1.1\r\nX-Slow: '));
    assert.equal(status, 408);
  });

  it('are cut when the client does not take the answer', async () => {
    await using gateway = await TestGateway.start();
    const client = new RawClient(gateway.port);
    client.socket.allowHalfOpen = true;
    client.send('garbage\r\n\r\n');
    await client.received(/UNSUPPORTED/);
    gateway.clock.advance(1_000);
    await until(() => client.send('more').socket.closed);
  });
});

describe('paths that try something', () => {
  const cases: [target: string, status: number, code: string][] = [
    ['/v2/a%2fb/manifests/x', 400, 'NAME_INVALID'],
    ['/v2/%2e%2e/%2e%2e/etc/passwd', 400, 'NAME_INVALID'],
    ['/v2/../../etc/passwd', 400, 'NAME_INVALID'],
    ['/v2/a%00/manifests/x', 400, 'NAME_INVALID'],
    ['/v2/a%0d%0aSet-Cookie:x/manifests/x', 400, 'NAME_INVALID'],
    ['/v2//a/manifests/x', 400, 'NAME_INVALID'],
    ['/v2/A/manifests/x', 400, 'NAME_INVALID'],
    ['http://elsewhere.example/v2/a/manifests/x', 404, 'MANIFEST_UNKNOWN'],
    ['/v2/a/manifests/x?ns=a&ns=b', 400, 'NAME_INVALID'],
    ['/v2/a/blobs/sha256:short', 400, 'DIGEST_INVALID'],
  ];
  for (const [target, status, code] of cases) {
    it(`are ${status} ${code}: ${target}`, async () => {
      await using gateway = await TestGateway.start();
      assert.deepEqual(errorOf(await sendRaw(gateway.port, get(target))), { status, code });
    });
  }
});

describe('requests with more than a head', () => {
  it('may expect 100-continue: a push is refused without it, a read is served', async () => {
    await using gateway = await TestGateway.start();
    const expect = 'Expect: 100-continue\r\nContent-Length: 1000\r\n';
    const push = await sendRaw(gateway.port, `PUT /v2/a/manifests/x HTTP/1.1\r\nHost: a\r\n${expect}\r\n`);
    assert.equal(errorOf(push).status, 405);
    const read = await sendRaw(gateway.port, get('/v2/', expect));
    assert.match(read, /^HTTP\/1\.1 200 OK\r\n/);
    assert.match(await sendRaw(gateway.port, get('/v2/', 'Expect: something\r\n')), /^HTTP\/1\.1 200 OK\r\n/);
  });

  it('are answered while their body still comes, which is not read for long', async () => {
    await using gateway = await TestGateway.start();
    const head = 'PUT /v2/a/blobs/uploads/x HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n';
    const client = new RawClient(gateway.port).send(head);
    await client.received(/"errors"/);
    client.send(Buffer.alloc(1_000));
    gateway.clock.advance(1_000);
    assert.equal(errorOf((await client.closed).text).status, 405);
  });

  it('are answered when their body ends', async () => {
    await using gateway = await TestGateway.start();
    const body = 'x'.repeat(1_000);
    const push = `POST /v2/a/blobs/uploads/ HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n${body}`;
    assert.equal(errorOf(await sendRaw(gateway.port, push)).status, 405);
  });

  it('may come several at once: they are answered in order', async () => {
    await using gateway = await TestGateway.start();
    const blob = gateway.content('some bytes', { filled: 4 });
    const first = `GET /v2/a/blobs/${blob.digest} HTTP/1.1\r\nHost: a\r\n\r\n`;
    const second = 'HEAD /v2/ HTTP/1.1\r\nHost: a\r\n\r\n';
    const client = new RawClient(gateway.port).send(first + second + get('/v2/nothing'));
    await client.received(/some$/);
    assert.equal(gateway.requests.length, 0);
    blob.finish();
    const { text } = await client.closed;
    assert.match(text, /some bytesHTTP\/1\.1 200 OK[^{]*HTTP\/1\.1 404 Not Found/s);
    assert.deepEqual(
      gateway.requests.map((event) => event.status),
      [200, 200, 404],
    );
  });

  it('may not come by the hundred on one connection', async () => {
    await using gateway = await TestGateway.start();
    const blob = gateway.content('some bytes', { filled: 0 });
    const one = `GET /v2/a/blobs/${blob.digest} HTTP/1.1\r\nHost: a\r\n\r\n`;
    const client = new RawClient(gateway.port).send(one.repeat(100));
    assert.equal((await client.closed).text, '');
    assert.equal(blob.closes.length, 1);
  });

  it('work in HTTP/1.0', async () => {
    await using gateway = await TestGateway.start();
    const text = await sendRaw(gateway.port, 'GET /v2/ HTTP/1.0\r\n\r\n');
    assert.match(text, /^HTTP\/1\.1 200 OK\r\n.*Content-Length: 2\r\n.*\r\n\r\n{}$/s);
  });

  it('cut the connection when garbage follows a request that is being answered', async () => {
    await using gateway = await TestGateway.start();
    const blob = gateway.content('some bytes', { filled: 4 });
    const client = new RawClient(gateway.port);
    client.send(`GET /v2/a/blobs/${blob.digest} HTTP/1.1\r\nHost: a\r\n\r\n`);
    await client.received(/some$/);
    client.send('garbage\r\n\r\n');
    assert.match((await client.closed).text, /some$/);
    assert.equal((await gateway.event()).complete, false);
  });
});
