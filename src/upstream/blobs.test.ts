import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { describe, it } from 'node:test';
import { failure, makeClient, never, openBlob, readAll, repository, someDigest } from './testing/test-client.ts';
import { answer, type Handler, type SeenRequest, TestServer } from './testing/test-server.ts';

const blob = Buffer.from(Array.from({ length: 1000 }, (_, i) => i % 251));

/** Serves the blob, ranges included. */
function serve(request: SeenRequest, response: ServerResponse): void {
  const match = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '');
  if (match === null) return answer(response, 200, {}, blob);
  const start = Number(match[1]);
  const end = match[2] === '' ? blob.length : Math.min(blob.length, Number(match[2]) + 1);
  answer(response, 206, { 'content-range': `bytes ${start}-${end - 1}/${blob.length}` }, blob.subarray(start, end));
}

async function open(handler: Handler, start = 0, end?: number) {
  const server = await TestServer.start(handler);
  const { client, events } = makeClient(server.url);
  const stack = new AsyncDisposableStack();
  stack.use(server);
  stack.use(client);
  return { body: openBlob(client, someDigest, start, end, never), server, events, stack };
}

describe('a blob', () => {
  it('is read whole, without a Range, and its connection goes back to the pool', async () => {
    const { body, server, events, stack } = await open(serve);
    await using _ = stack;
    const { start, blobSizeBytes, chunks } = await body;
    assert.deepEqual([start, blobSizeBytes, await readAll(chunks)], [0, blob.length, blob]);
    assert.equal(server.requests[0]?.url, `/v2/library/app/blobs/${someDigest}`);
    assert.equal(server.requests[0]?.headers.range, undefined);
    assert.deepEqual(events.bytes, [blob.length]);
    assert.equal(server.sockets.size, 1);
  });

  it('goes over a bounded number of connections, each used again', async () => {
    await using server = await TestServer.start(serve);
    const { client } = makeClient(server.url, { connections: 4 });
    await using _ = client;
    for (let round = 0; round < 4; round++) {
      const reads = Array.from({ length: 10 }, async () => {
        const { chunks } = await openBlob(client, someDigest, 0, undefined, never);
        assert.deepEqual(await readAll(chunks), blob);
      });
      await Promise.all(reads);
    }
    assert.equal(server.accepted, 3);
  });

  const ranges: [start: number, end: number | undefined, header: string][] = [
    [0, 10, 'bytes=0-9'],
    [100, 200, 'bytes=100-199'],
    [100, undefined, 'bytes=100-'],
    [990, 5000, 'bytes=990-4999'],
  ];
  for (const [start, end, header] of ranges) {
    it(`is read from ${start} to ${end ?? 'its end'} with ${header}`, async () => {
      const { body, server, stack } = await open(serve, start, end);
      await using _ = stack;
      const answered = await body;
      assert.deepEqual([answered.start, answered.blobSizeBytes], [start, blob.length]);
      assert.deepEqual(await readAll(answered.chunks), blob.subarray(start, end));
      assert.equal(server.requests[0]?.headers.range, header);
    });
  }

  const asked: [start: number, end: number | undefined, isWhole: true | undefined][] = [
    [100, undefined, true],
    [100, 200, true],
    [0, 200, true],
    [0, undefined, undefined],
  ];
  for (const [start, end, isWhole] of asked) {
    it(`comes whole where upstream does not serve ranges and ${start} to ${end ?? 'the end'} was asked`, async () => {
      const { body, stack } = await open((_, response) => answer(response, 200, {}, blob), start, end);
      await using _ = stack;
      const answered = await body;
      assert.deepEqual([answered.start, answered.blobSizeBytes, answered.isWhole], [0, blob.length, isWhole]);
      assert.deepEqual(await readAll(answered.chunks), blob);
    });
  }

  it('without Content-Length has no size', async () => {
    const { body, stack } = await open((_, response) => {
      response.write(blob);
      response.end();
    });
    await using _ = stack;
    const { blobSizeBytes, chunks } = await body;
    assert.equal(blobSizeBytes, undefined);
    assert.deepEqual(await readAll(chunks), blob);
  });

  it('of no bytes is empty', async () => {
    const { body, events, stack } = await open((_, response) => answer(response, 200));
    await using _ = stack;
    const { blobSizeBytes, chunks } = await body;
    assert.deepEqual([blobSizeBytes, (await readAll(chunks)).length], [0, 0]);
    assert.deepEqual(events.bytes, [], 'nothing came, nothing is counted');
  });

  it('is trusted for its bytes, not for its type', async () => {
    const { body, stack } = await open((_, response) => answer(response, 200, { 'content-type': 'text/html' }, blob));
    await using _ = stack;
    assert.deepEqual(await readAll((await body).chunks), blob);
  });

  it('does not end up with more bytes than were asked or promised', async () => {
    const rest = Buffer.alloc(200_000);
    const headers = { 'content-range': 'bytes 0-9/1000' };
    const { body, events, stack } = await open((_, response) => answer(response, 206, headers, rest), 0, 10);
    await using _ = stack;
    assert.equal((await readAll((await body).chunks)).length, 10);
    assert.equal(events.bytes.length, 1);
  });

  const invalid: [name: string, status: number, headers: Record<string, string>][] = [
    ['a range from elsewhere', 206, { 'content-range': 'bytes 50-99/1000' }],
    ['a range that cannot be read', 206, { 'content-range': 'bytes */1000' }],
    ['several ranges', 206, { 'content-type': 'multipart/byteranges; boundary=x' }],
    ['416', 416, { 'content-range': 'bytes */1000' }],
    ['an encoded body', 200, { 'content-encoding': 'gzip' }],
    ['304', 304, {}],
  ];
  for (const [name, status, headers] of invalid) {
    it(`is invalid with ${name}`, async () => {
      const { body, stack } = await open((_, response) => answer(response, status, headers), 100, 200);
      await using _ = stack;
      await failure(body, 'UPSTREAM_INVALID');
    });
  }

  it('that is not there is unknown', async () => {
    const { body, stack } = await open((_, response) => answer(response, 404));
    await using _ = stack;
    await failure(body, 'BLOB_UNKNOWN');
  });
});

describe('a body that breaks off', () => {
  const cuts: [name: string, start: number, handler: Handler][] = [
    [
      'before its Content-Length',
      0,
      (_, response) => {
        response.writeHead(200, { 'content-length': '1000' });
        response.write(blob.subarray(0, 500), () => response.destroy());
      },
    ],
    [
      'before its Content-Length, politely closed',
      0,
      (_, response) => {
        response.writeHead(200, { 'content-length': '1000', connection: 'close' });
        response.write(blob.subarray(0, 500), () => response.socket?.end());
      },
    ],
    [
      'inside chunked encoding',
      0,
      (_, response) => {
        response.write(blob.subarray(0, 500), () => response.destroy());
      },
    ],
    [
      'before the end of its range, in chunked encoding that is well formed',
      500,
      (_, response) => {
        response.writeHead(206, { 'content-range': 'bytes 500-999/1000' });
        response.write(blob.subarray(0, 400));
        response.end(blob.subarray(400, 450));
      },
    ],
  ];
  for (const [name, start, handler] of cuts) {
    it(`${name} hands out what came and then is interrupted`, async () => {
      const { body, events, stack } = await open(handler, start);
      await using _ = stack;
      let bytes = 0;
      const reading = (async () => {
        for await (const chunk of (await body).chunks) bytes += chunk.length;
      })();
      await failure(reading, 'UPSTREAM_INTERRUPTED');
      assert.ok(bytes === 500 || bytes === 450, `${bytes} bytes`);
      assert.deepEqual(events.bytes, [bytes]);
    });
  }
});

describe('a reader', () => {
  const endless: Handler = (_, response) => {
    response.writeHead(200, { 'content-length': String(2 ** 40) });
    const block = Buffer.alloc(64 * 1024);
    const fill = () => {
      while (!response.destroyed && response.write(block));
    };
    response.on('drain', fill);
    fill();
  };

  it('that leaves ends the transfer', async () => {
    const { body, server, events, stack } = await open(endless);
    await using _ = stack;
    for await (const _chunk of (await body).chunks) break;
    await server.idle();
    assert.equal(events.bytes.length, 1);
  });

  it('that aborts ends the transfer and is told at once', async () => {
    await using server = await TestServer.start(endless);
    const { client, events } = makeClient(server.url);
    await using _ = client;
    const abort = new AbortController();
    const { chunks } = await openBlob(client, someDigest, 0, undefined, abort.signal);
    const iterator = chunks[Symbol.asyncIterator]();
    await iterator.next();
    abort.abort();
    await failure(iterator.next(), 'CANCELLED');
    assert.deepEqual(await iterator.next(), { done: true, value: undefined });
    await server.idle();
    assert.equal(events.bytes.length, 1);
  });

  it('that is slow holds the sender back', async () => {
    let sent = 0;
    const { body, server, stack } = await open((_, response) => {
      response.writeHead(200, { 'content-length': String(2 ** 40) });
      const block = Buffer.alloc(256 * 1024);
      const fill = () => {
        do sent += block.length;
        while (!response.destroyed && response.write(block));
      };
      response.on('drain', fill);
      fill();
    });
    await using _ = stack;
    const { chunks } = await body;
    const [socket] = server.sockets;
    assert.ok(socket);
    // The sender has come to rest once its socket has had the same backlog over many turns of the loop.
    let last = -1;
    for (let still = 0; still < 200; ) {
      await new Promise((resolve) => setImmediate(resolve));
      still = socket.bytesWritten - socket.writableLength === last ? still + 1 : 0;
      last = socket.bytesWritten - socket.writableLength;
    }
    assert.ok(sent < 64 * 1024 * 1024, `${sent} bytes sent to nobody`);
    for await (const _chunk of chunks) break;
  });
});

describe('a HEAD of a blob', () => {
  it('says its size and type', async () => {
    await using server = await TestServer.start((_, response) => {
      response.writeHead(200, { 'content-length': '1000', 'content-type': 'application/octet-stream' });
      response.end();
    });
    const { client } = makeClient(server.url);
    await using _ = client;
    const head = await client.headBlob(repository, someDigest, never);
    assert.deepEqual(head, { sizeBytes: 1000, mediaType: 'application/octet-stream' });
  });

  for (const status of [405, 501]) {
    it(`that upstream answers with ${status} becomes a GET of one byte`, async () => {
      for (const ranges of [true, false]) {
        await using server = await TestServer.start((request, response) => {
          if (request.method === 'HEAD') return answer(response, status);
          if (ranges) serve(request, response);
          else answer(response, 200, {}, Buffer.alloc(1_000_000));
        });
        const { client } = makeClient(server.url);
        await using _ = client;
        const { sizeBytes } = await client.headBlob(repository, someDigest, never);
        assert.equal(sizeBytes, ranges ? blob.length : 1_000_000);
        assert.deepEqual(
          server.requests.map(({ method, headers }) => [method, headers.range]),
          [
            ['HEAD', undefined],
            ['GET', 'bytes=0-0'],
          ],
        );
      }
    });
  }

  it('of an unknown one fails', async () => {
    await using server = await TestServer.start((_, response) => answer(response, 404));
    const { client } = makeClient(server.url);
    await using _ = client;
    await failure(client.headBlob(repository, someDigest, never), 'BLOB_UNKNOWN');
  });
});
