import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AppError } from '../core/errors.ts';
import { ask, open, RawClient } from './testing/test-client.ts';
import { TestGateway, until } from './testing/test-gateway.ts';

const path = (digest: string) => `/v2/a/blobs/${digest}`;

/** Bytes of which every part is different. */
function patterned(length: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let index = 0; index + 4 <= length; index += 4) bytes.writeUInt32LE(Math.imul(index, 2654435761) >>> 0, index);
  return bytes;
}

/** More than the kernels buffer for a connection whose client does not read. */
const huge = Buffer.alloc(48 * 1024 * 1024);

describe('a blob that is being filled', () => {
  it('is sent to the byte as it arrives, from the start, to early and late clients alike', async () => {
    await using gateway = await TestGateway.start();
    gateway.depot.served = 'joined';
    const blob = gateway.content(patterned(500_000), { filled: 1 });
    const early = (await open(gateway.port, path(blob.digest))).read();
    assert.equal(early.headers['content-length'], '500000');
    await early.has(1);
    blob.grow(99_999);
    await early.has(100_000);
    const late = (await open(gateway.port, path(blob.digest))).read();
    await late.has(100_000);
    blob.grow(1);
    await Promise.all([early.has(100_001), late.has(100_001)]);
    blob.finish();
    for (const client of [early, late]) {
      assert.equal(await client.over, true);
      assert.ok(client.body.equals(blob.bytes));
    }
    await gateway.event(1);
    assert.deepEqual(
      gateway.served.map(({ from, bytes }) => [from, bytes]),
      [
        ['flight', 500_000],
        ['flight', 500_000],
      ],
    );
  });

  it('serves a range inside it from the same fill', async () => {
    await using gateway = await TestGateway.start();
    const blob = gateway.content(patterned(10_000), { filled: 10 });
    const waiting = open(gateway.port, path(blob.digest), { headers: { range: 'bytes=5000-5999' } });
    await until(() => blob.waiting === 1);
    blob.grow(5_500);
    const client = (await waiting).read();
    assert.equal(client.status, 206);
    await client.has(510);
    blob.grow(1_000);
    assert.equal(await client.over, true);
    assert.ok(client.body.equals(blob.bytes.subarray(5_000, 6_000)));
    assert.equal(blob.closes[0], 1);
  });

  it('goes out chunked where its size is unknown, and ends when it ends', async () => {
    await using gateway = await TestGateway.start();
    const blob = gateway.content(patterned(100_000), { filled: 7, sizeKnown: false });
    const client = (await open(gateway.port, path(blob.digest))).read();
    assert.equal(client.headers['content-length'], undefined);
    assert.equal(client.headers['transfer-encoding'], 'chunked');
    await client.has(7);
    blob.finish();
    assert.equal(await client.over, true);
    assert.ok(client.body.equals(blob.bytes));
  });

  it('is sent to an HTTP/1.0 client until the close', async () => {
    await using gateway = await TestGateway.start();
    const blob = gateway.content('some bytes', { filled: 4, sizeKnown: false });
    const client = new RawClient(gateway.port).send(`GET ${path(blob.digest)} HTTP/1.0\r\n\r\n`);
    await client.received(/\r\n\r\nsome$/);
    blob.finish();
    const { text, reset } = await client.closed;
    assert.match(text, /\r\n\r\nsome bytes$/);
    assert.ok(!reset && !/chunked/i.test(text));
  });

  it('goes on for the others when a client leaves', async () => {
    await using gateway = await TestGateway.start();
    const blob = gateway.content(patterned(1_000), { filled: 100 });
    const first = (await open(gateway.port, path(blob.digest))).read();
    const second = (await open(gateway.port, path(blob.digest))).read();
    await first.has(100);
    first.leave();
    await until(() => blob.closes[0] === 1);
    const event = await gateway.event();
    assert.deepEqual([event.status, event.complete, event.bytes, event.errorCode], [200, false, 100, undefined]);
    blob.finish();
    assert.equal(await second.over, true);
    assert.ok(second.body.equals(blob.bytes));
  });

  it('lets a client leave that waits for its headers', async () => {
    await using gateway = await TestGateway.start();
    const blob = gateway.content('bytes', { filled: 0 });
    const client = new RawClient(gateway.port).send(`GET ${path(blob.digest)} HTTP/1.1\r\nHost: a\r\n\r\n`);
    await until(() => blob.waiting === 1);
    client.socket.destroy();
    const event = await gateway.event();
    assert.deepEqual([event.status, event.errorCode, event.bytes, event.complete], [499, undefined, 0, false]);
    assert.equal(gateway.notices.length, 0);
  });

  it('paces a slow client without slowing the others, and holds one block for it at most', async () => {
    await using gateway = await TestGateway.start();
    const blob = gateway.content(huge);
    const slow = await open(gateway.port, path(blob.digest));
    const quick = await ask(gateway.port, path(blob.digest));
    assert.ok(quick.complete && quick.body.length === huge.length);
    assert.equal(gateway.pool.lent, 1);
    slow.read();
    assert.equal(await slow.over, true);
    assert.equal(slow.body.length, huge.length);
  });

  it('is not read any further for a client that leaves in the middle of a block', async () => {
    await using gateway = await TestGateway.start();
    const blob = gateway.content(huge);
    const client = await open(gateway.port, path(blob.digest));
    await until(() => gateway.pool.lent === 1);
    client.leave();
    await until(() => blob.closes[0] === 1 && gateway.pool.lent === 0);
    assert.ok((await gateway.event()).bytes < huge.length);
  });
});

describe('a client that accepts nothing', () => {
  it('is cut after its time', async () => {
    await using gateway = await TestGateway.start({ clientTimeoutMs: 1_000 });
    const blob = gateway.content(huge);
    const client = await open(gateway.port, path(blob.digest));
    // Stuck: the same block is lent over many turns, and the clock moves only then.
    while (blob.closes[0] === 0) {
      await new Promise((resolve) => setImmediate(resolve));
      gateway.clock.advance(1);
    }
    client.read();
    assert.equal(await client.over, false);
    assert.equal((await gateway.event()).complete, false);
  });

  it('is cut in a manifest too', async () => {
    await using gateway = await TestGateway.start({ clientTimeoutMs: 1_000 });
    gateway.depot.addManifest('a', 'v1', huge, 'application/json');
    const client = await open(gateway.port, '/v2/a/manifests/v1');
    while (gateway.requests.length === 0) {
      await new Promise((resolve) => setImmediate(resolve));
      gateway.clock.advance(1);
    }
    client.read();
    assert.equal(await client.over, false);
  });

  it('is not cut while it is we who have nothing to send', async () => {
    await using gateway = await TestGateway.start({ clientTimeoutMs: 1_000 });
    const blob = gateway.content('some bytes', { filled: 4 });
    const client = (await open(gateway.port, path(blob.digest))).read();
    await client.has(4);
    await until(() => blob.waiting === 1);
    gateway.clock.advance(100_000);
    blob.finish();
    assert.equal(await client.over, true);
  });
});

describe('a fill that fails', () => {
  const failure = new AppError('CONTENT_MISMATCH', 'wrong digest');

  it('before the first byte is an error response', async () => {
    await using gateway = await TestGateway.start();
    const blob = gateway.content('bytes', { filled: 0 });
    const asked = ask(gateway.port, path(blob.digest));
    await until(() => blob.waiting === 1);
    blob.fail(failure);
    const answer = await asked;
    assert.equal(answer.status, 502);
    assert.equal(JSON.parse(answer.body.toString()).errors[0].code, 'DIGEST_INVALID');
    assert.equal(answer.headers['content-range'], undefined);
  });

  it('of an empty blob is an error response', async () => {
    await using gateway = await TestGateway.start();
    const blob = gateway.content('');
    blob.fail(failure);
    assert.equal((await ask(gateway.port, path(blob.digest))).status, 502);
  });

  for (const sizeKnown of [true, false]) {
    it(`in the middle cuts a body ${sizeKnown ? 'with Content-Length' : 'that is chunked'}`, async () => {
      await using gateway = await TestGateway.start();
      const blob = gateway.content('some bytes', { filled: 4, sizeKnown });
      const client = (await open(gateway.port, path(blob.digest))).read();
      await client.has(4);
      blob.fail(failure);
      assert.equal(await client.over, false);
      assert.equal(client.body.toString(), 'some');
      const event = await gateway.event();
      assert.deepEqual([event.status, event.complete, event.errorCode], [200, false, 'CONTENT_MISMATCH']);
    });
  }

  it('sends no last chunk', async () => {
    await using gateway = await TestGateway.start();
    const blob = gateway.content('some bytes', { filled: 4, sizeKnown: false });
    const client = new RawClient(gateway.port).send(`GET ${path(blob.digest)} HTTP/1.1\r\nHost: a\r\n\r\n`);
    await client.received(/\r\nsome\r\n$/);
    blob.fail(failure);
    assert.match((await client.closed).text, /\r\n4\r\nsome\r\n$/);
  });

  it('resets the connection of an HTTP/1.0 client, to whom a close would be the end', async () => {
    await using gateway = await TestGateway.start();
    const blob = gateway.content('some bytes', { filled: 4, sizeKnown: false });
    const client = new RawClient(gateway.port).send(`GET ${path(blob.digest)} HTTP/1.0\r\n\r\n`);
    await client.received(/\r\n\r\nsome$/);
    blob.fail(failure);
    assert.equal((await client.closed).reset, true);
  });

  it('because the file is shorter than it says cuts the body', async () => {
    await using gateway = await TestGateway.start();
    const blob = gateway.content(patterned(1_000_000));
    blob.truncate(300_000);
    const client = (await open(gateway.port, path(blob.digest))).read();
    assert.equal(await client.over, false);
    assert.equal((await gateway.event()).errorCode, 'STORAGE_FAILED');
  });
});

describe('headers', () => {
  it('are sent when they are due, although no byte is there, where the size is known', async () => {
    await using gateway = await TestGateway.start({ headerTimeoutMs: 25_000 });
    const blob = gateway.content('some bytes', { filled: 0 });
    const opened = open(gateway.port, path(blob.digest));
    await until(() => blob.waiting === 1);
    gateway.clock.advance(25_000);
    const client = (await opened).read();
    assert.equal(client.status, 200);
    assert.equal(client.headers['content-length'], '10');
    blob.finish();
    assert.equal(await client.over, true);
    assert.equal(client.body.toString(), 'some bytes');
  });

  it('are an error when they are due and the size is unknown', async () => {
    await using gateway = await TestGateway.start({ headerTimeoutMs: 25_000 });
    const blob = gateway.content('some bytes', { filled: 0, sizeKnown: false });
    const asked = ask(gateway.port, path(blob.digest));
    await until(() => blob.waiting === 1);
    gateway.clock.advance(25_000);
    const answer = await asked;
    assert.equal(answer.status, 504);
    assert.equal(answer.headers['retry-after'], '5');
    assert.equal((await gateway.event()).errorCode, 'HEADER_TIMEOUT');
  });

  it('are an error when the depot does not answer, and its late answer is closed', async () => {
    await using gateway = await TestGateway.start({ headerTimeoutMs: 25_000 });
    const blob = gateway.content('some bytes');
    const asks = Promise.withResolvers<void>();
    const answers = Promise.withResolvers<void>();
    gateway.depot.blob = async () => {
      asks.resolve();
      await answers.promise;
      return { kind: 'body', sizeBytes: 10, part: undefined, body: blob.body(), served: 'led' };
    };
    const asked = ask(gateway.port, path(blob.digest));
    await asks.promise;
    gateway.clock.advance(25_000);
    assert.equal((await asked).status, 504);
    answers.resolve();
    await until(() => blob.closes[0] === 1);
  });
});
