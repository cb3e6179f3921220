import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { createServer } from 'node:net';
import { describe, it } from 'node:test';
import { AppError } from '../core/errors.ts';
import { ociManifest } from '../core/media-types.ts';
import { VirtualClock } from '../core/testing/virtual-clock.ts';
import { failure, makeClient, never, openBlob, readAll, repository, someDigest } from './testing/test-client.ts';
import { answer, TestServer } from './testing/test-server.ts';

function nextRequest(): { handler: (_: unknown, response: ServerResponse) => void; arrived: Promise<ServerResponse> } {
  const { promise, resolve } = Promise.withResolvers<ServerResponse>();
  return { handler: (_, response) => resolve(response), arrived: promise };
}

describe('waiting for the headers', () => {
  it('ends after headersTimeoutMs, and the connection with it', async () => {
    const { handler, arrived } = nextRequest();
    await using server = await TestServer.start(handler);
    const clock = new VirtualClock();
    const { client, events } = makeClient(server.url, { clock, headersTimeoutMs: 3000 });
    await using _ = client;
    const asked = client.getManifest(repository, 'latest', ociManifest, 1000, never);
    await arrived;
    clock.advance(2999);
    assert.equal(clock.pending, 1);
    clock.advance(1);
    const error = await failure(asked, 'UPSTREAM_TIMEOUT');
    assert.match(error.message, /127\.0\.0\.1.*3000 ms/);
    assert.equal(events.requests[0]?.status, 'UPSTREAM_TIMEOUT');
    assert.equal(clock.pending, 0);
    await server.idle();
  });

  it('ends when the caller aborts, with the caller’s own reason', async () => {
    const { handler, arrived } = nextRequest();
    await using server = await TestServer.start(handler);
    const clock = new VirtualClock();
    const { client } = makeClient(server.url, { clock });
    await using _ = client;
    const abort = new AbortController();
    const asked = client.getManifest(repository, 'latest', ociManifest, 1000, abort.signal);
    await arrived;
    abort.abort(new AppError('PULL_DEADLINE', 'too late'));
    await failure(asked, 'PULL_DEADLINE');
    assert.equal(clock.pending, 0);
    await server.idle();
  });

  it('does not begin with a signal that is aborted already', async () => {
    await using server = await TestServer.start((_, response) => answer(response, 200));
    const { client } = makeClient(server.url);
    await using _ = client;
    await failure(openBlob(client, someDigest, 0, undefined, AbortSignal.abort()), 'CANCELLED');
    assert.equal(server.requests.length, 0);
  });
});

describe('waiting for a body', () => {
  async function opened(more: { stallTimeoutMs: number }) {
    const { handler, arrived } = nextRequest();
    const server = await TestServer.start(handler);
    const clock = new VirtualClock();
    const { client, events } = makeClient(server.url, { clock, ...more });
    const stack = new AsyncDisposableStack();
    stack.use(server);
    stack.use(client);
    const opening = openBlob(client, someDigest, 0, undefined, never);
    const response = await arrived;
    response.writeHead(200, { 'content-length': '10' });
    response.write('abc');
    const iterator = (await opening).chunks[Symbol.asyncIterator]();
    return { server, clock, events, stack, response, iterator };
  }

  it('ends as stalled when nothing comes for stallTimeoutMs', async () => {
    const { server, clock, events, stack, iterator } = await opened({ stallTimeoutMs: 1000 });
    await using _ = stack;
    await iterator.next();
    const waiting = iterator.next();
    clock.advance(999);
    assert.equal(clock.pending, 1);
    clock.advance(1);
    await failure(waiting, 'UPSTREAM_STALLED');
    assert.deepEqual(events.bytes, [3]);
    assert.equal(clock.pending, 0);
    await server.idle();
  });

  it('counts anew with each byte that comes', async () => {
    const { clock, stack, response, iterator } = await opened({ stallTimeoutMs: 1000 });
    await using _ = stack;
    await iterator.next();
    for (const text of ['d', 'e']) {
      const waiting = iterator.next();
      clock.advance(999);
      response.write(text);
      assert.equal(Buffer.from((await waiting).value ?? '').toString(), text);
    }
    const last = iterator.next();
    clock.advance(999);
    assert.equal(clock.pending, 1, 'the timer looked, and waits for the rest');
    clock.advance(1);
    await failure(last, 'UPSTREAM_STALLED');
  });

  it('does not count while it is the reader who takes its time', async () => {
    const { clock, stack, response, iterator } = await opened({ stallTimeoutMs: 1000 });
    await using _ = stack;
    await iterator.next();
    clock.advance(1_000_000);
    const waiting = iterator.next();
    clock.advance(999);
    response.end('defghij');
    assert.equal(Buffer.from((await waiting).value ?? '').toString(), 'defghij');
    assert.equal((await iterator.next()).done, true);
    assert.equal(clock.pending, 0);
  });

  it('of a document ends after headersTimeoutMs, whatever the stall bound is', async () => {
    const { handler, arrived } = nextRequest();
    await using server = await TestServer.start(handler);
    const clock = new VirtualClock();
    const { client, channels } = makeClient(server.url, { clock, headersTimeoutMs: 3000, stallTimeoutMs: 4000 });
    await using _ = client;
    const headed = Promise.withResolvers<void>();
    channels.upstreamRequest.subscribe(() => headed.resolve());
    const asked = client.getManifest(repository, 'latest', ociManifest, 1000, never);
    const response = await arrived;
    response.write('{');
    await headed.promise;
    // The reader waits, and both of its timers run.
    while (clock.pending < 2) await new Promise((resolve) => setImmediate(resolve));
    clock.advance(3000);
    await failure(asked, 'UPSTREAM_TIMEOUT');
    assert.equal(clock.pending, 0);
  });
});

describe('waiting for a connection', () => {
  it('ends after connectTimeoutMs where nobody shakes hands', async () => {
    const silent = createServer((socket) => socket.on('error', () => {}).resume());
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const address = silent.address();
    const port = typeof address === 'object' ? address?.port : 0;
    const { client } = makeClient(`https://127.0.0.1:${port}`, { connectTimeoutMs: 50 });
    await failure(client.headBlob(repository, someDigest, never), 'UPSTREAM_TIMEOUT');
    await client[Symbol.asyncDispose]();
    await new Promise((resolve) => silent.close(resolve));
  });

  it('of ours ends after acquireTimeoutMs, and does not hold up manifests', async () => {
    await using server = await TestServer.start((request, response) => {
      if (request.url.includes('/manifests/')) return answer(response, 200, {}, '{}');
      response.writeHead(200, { 'content-length': '10' });
      response.write('x');
    });
    const clock = new VirtualClock();
    const { client } = makeClient(server.url, { clock, connections: 1, acquireTimeoutMs: 5000 });
    await using _ = client;
    const held = await openBlob(client, someDigest, 0, undefined, never);
    const queued = openBlob(client, someDigest, 0, undefined, never);
    await client.getManifest(repository, 'latest', ociManifest, 1000, never);
    clock.advance(5000);
    await failure(queued, 'OVERLOADED');
    for await (const _chunk of held.chunks) break;
    assert.equal(clock.pending, 0);
  });

  it('in the queue ends when the caller aborts, and the next in line is served', async () => {
    let served = 0;
    await using server = await TestServer.start((_, response) => {
      response.writeHead(200, { 'content-length': '10' });
      if (served++ === 0) response.write('x');
      else response.end('0123456789');
    });
    const { client } = makeClient(server.url, { connections: 1 });
    await using _ = client;
    const held = await openBlob(client, someDigest, 0, undefined, never);
    const abort = new AbortController();
    const leaves = openBlob(client, someDigest, 0, undefined, abort.signal);
    const stays = openBlob(client, someDigest, 0, undefined, never);
    abort.abort();
    await failure(leaves, 'CANCELLED');
    for await (const _chunk of held.chunks) break;
    assert.equal((await readAll((await stays).chunks)).toString(), '0123456789');
  });
});
