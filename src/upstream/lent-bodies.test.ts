import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { describe, it } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { makeCertificate } from '../core/testing/certificates.ts';
import { VirtualClock } from '../core/testing/virtual-clock.ts';
import type { SourceBody } from '../flights/source.ts';
import { sampleBytes } from '../store/testing/sample-content.ts';
import { failure, makeClient, never, openBlob, readAll, someDigest } from './testing/test-client.ts';
import { answer, type Handler, TestServer } from './testing/test-server.ts';

const size = 20_000_000;
const blob = Buffer.from(sampleBytes(7, size));
const hashOf = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

function head(response: ServerResponse, bytes = size): Socket {
  response.writeHead(200, { 'content-length': String(bytes) });
  response.flushHeaders();
  return response.socket ?? assert.fail('it has no connection');
}

type More = Parameters<typeof makeClient>[1] & { readonly scheme?: string };
const certificate = makeCertificate();

async function opened(handler: Handler, { scheme = 'http', ...more }: More = {}, signal = never) {
  const isTls = scheme === 'https';
  const server = await TestServer.start(handler, isTls ? certificate : undefined);
  const { client, events } = makeClient(server.url, { ...more, tls: isTls ? { ca: certificate.cert } : {} });
  const stack = new AsyncDisposableStack();
  stack.use(server);
  stack.use(client);
  return { stack, server, client, events, body: await openBlob(client, someDigest, 0, undefined, signal) };
}

async function turns(count: number): Promise<undefined> {
  for (let turn = 0; turn < count; turn++) await new Promise(setImmediate);
}

function lent(body: SourceBody): (bytes: number) => void {
  return body.lend?.() ?? assert.fail('it is not lent');
}

/** Reads what is lent; gives it back `behind` chunks late. */
async function readLent(body: SourceBody, behind = 0): Promise<string> {
  const giveBack = lent(body);
  const hash = createHash('sha256');
  const held: Uint8Array[] = [];
  const take = (chunk: Uint8Array | undefined) => {
    if (chunk === undefined) return;
    hash.update(chunk);
    giveBack(chunk.length);
  };
  for await (const chunk of body.chunks) {
    held.push(chunk);
    if (held.length > behind) take(held.shift());
  }
  for (const chunk of held) take(chunk);
  return hash.digest('hex');
}

for (const scheme of ['http', 'https']) {
  describe(`a large body whose memory is lent, over ${scheme}`, () => {
    for (const behind of [0, 1, 5]) {
      it(`is what upstream sent, where each chunk is given back ${behind} chunks later`, async () => {
        const { stack, body, events } = await opened((_request, response) => answer(response, 200, {}, blob), {
          scheme,
        });
        await using _ = stack;
        assert.equal(await readLent(body, behind), hashOf(blob));
        assert.equal(
          events.bytes.reduce((sum, bytes) => sum + bytes, 0),
          size,
        );
      });
    }

    it('is what upstream sent, whatever pieces it comes in', async () => {
      const { stack, body } = await opened(
        (_request, response) => {
          const socket = head(response);
          let at = 0;
          const next = () => {
            if (at >= size) return;
            const bytes = [1, 100, 70_000, 300_000, 5][at % 5] ?? 1;
            socket.write(blob.subarray(at, at + bytes), next);
            at += bytes;
          };
          next();
        },
        { scheme },
      );
      await using _ = stack;
      assert.equal(await readLent(body), hashOf(blob));
    });

    it('begins with what came together with the head', async () => {
      const { stack, body } = await opened(
        (_request, response) => {
          const socket = response.socket ?? assert.fail('it has no connection');
          const text = `HTTP/1.1 200 OK\r\ncontent-length: ${size}\r\n\r\n`;
          socket.write(Buffer.concat([Buffer.from(text), blob.subarray(0, 1000)]));
          setImmediate(() => socket.write(blob.subarray(1000)));
        },
        { scheme },
      );
      await using _ = stack;
      assert.equal(await readLent(body), hashOf(blob));
    });

    it('ends with its last byte, whatever upstream sends after it', async () => {
      const { stack, server, body } = await opened(
        (_request, response) => {
          head(response).write(Buffer.concat([blob, Buffer.from('HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc')]));
        },
        { scheme },
      );
      await using _ = stack;
      assert.equal(await readLent(body), hashOf(blob));
      await server.idle();
    });

    it('does not come faster than it is given back, and all of it then', async () => {
      let sender: Socket | undefined;
      const { stack, body } = await opened(
        (_request, response) => {
          sender = head(response);
          sender.write(blob);
        },
        { scheme },
      );
      await using _ = stack;
      const giveBack = lent(body);
      const iterator = body.chunks[Symbol.asyncIterator]();
      const hash = createHash('sha256');
      const held: Uint8Array[] = [];
      let heldBytes = 0;
      // Nothing is given back: sooner or later nothing more comes.
      let next = iterator.next();
      for (;;) {
        const result = await Promise.race([next, turns(200)]);
        if (result?.value === undefined) break;
        held.push(result.value);
        heldBytes += result.value.length;
        next = iterator.next();
      }
      assert.ok(heldBytes < 3 * 1024 * 1024, `${heldBytes} bytes came`);
      for (const chunk of held) {
        hash.update(chunk);
        giveBack(chunk.length);
      }
      for (let result = await next; result.done !== true; result = await iterator.next()) {
        hash.update(result.value);
        giveBack(result.value.length);
      }
      assert.equal(hash.digest('hex'), hashOf(blob));
    });

    it('that breaks off is an interruption, after all that came', async () => {
      for (const how of ['destroy', 'end', 'resetAndDestroy'] as const) {
        if (how === 'resetAndDestroy' && scheme === 'https') continue;
        const { stack, body } = await opened(
          (_request, response) => {
            const socket = head(response);
            socket.write(blob.subarray(0, 5_000_000), () => socket[how]());
          },
          { scheme },
        );
        await using _ = stack;
        const giveBack = lent(body);
        let bytes = 0;
        const reading = (async () => {
          for await (const chunk of body.chunks) {
            bytes += chunk.length;
            giveBack(chunk.length);
          }
        })();
        await failure(reading, 'UPSTREAM_INTERRUPTED');
        // A reset may overtake what was sent before.
        if (how !== 'resetAndDestroy') assert.equal(bytes, 5_000_000, how);
      }
    });

    it('of a connection that upstream closes after it comes whole, or is an interruption', async () => {
      for (const bytes of [size, size - 1]) {
        const { stack, body } = await opened(
          (_request, response) => {
            const socket = response.socket ?? assert.fail('it has no connection');
            const text = `HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: ${size}\r\n\r\n`;
            socket.end(Buffer.concat([Buffer.from(text), blob.subarray(0, bytes)]));
          },
          { scheme },
        );
        await using _ = stack;
        const reading = readLent(body);
        if (bytes === size) assert.equal(await reading, hashOf(blob));
        else await failure(reading, 'UPSTREAM_INTERRUPTED');
      }
    });

    it('that stalls ends as such, and the connection with it', async () => {
      const clock = new VirtualClock();
      const options = { clock, stallTimeoutMs: 1000, scheme };
      const { stack, server, body } = await opened((_request, response) => {
        head(response).write(blob.subarray(0, 1000));
      }, options);
      await using _ = stack;
      const giveBack = lent(body);
      const iterator = body.chunks[Symbol.asyncIterator]();
      for (let bytes = 0; bytes < 1000; ) {
        const { value } = await iterator.next();
        bytes += value?.length ?? 0;
        giveBack(value?.length ?? 0);
      }
      const stalled = failure(iterator.next(), 'UPSTREAM_STALLED');
      clock.advance(1000);
      await stalled;
      await server.idle();
    });

    it('ends when the caller aborts, or leaves, and the connection with it', async () => {
      for (const how of ['abort', 'leave'] as const) {
        const controller = new AbortController();
        const opening = opened((_request, response) => void head(response).write(blob), { scheme }, controller.signal);
        const { stack, server, body } = await opening;
        await using _ = stack;
        lent(body);
        const iterator = body.chunks[Symbol.asyncIterator]();
        await iterator.next();
        if (how === 'abort') controller.abort(new Error('enough'));
        else await iterator.return?.();
        await server.idle();
      }
    });

    it('keeps its place among the connections until it has ended, and makes room then', async () => {
      const going: ServerResponse[] = [];
      let isWhole = false;
      const { stack, server, client, body } = await opened(
        (_request, response) => {
          if (going.length === 0) {
            head(response).write(blob.subarray(0, 1000));
            going.push(response);
          } else {
            assert.ok(isWhole, 'two bodies at once');
            answer(response, 200, {}, 'small');
          }
        },
        { connections: 2, scheme },
      );
      await using _ = stack;
      const first = readLent(body);
      const second = openBlob(client, someDigest, 0, undefined, never);
      await turns(100);
      assert.equal(server.requests.length, 1);
      isWhole = true;
      going[0]?.socket?.write(blob.subarray(1000));
      assert.equal(await first, hashOf(blob));
      assert.equal((await readAll((await second).chunks)).toString(), 'small');
      assert.equal(server.accepted, 2);
    });
  });
}

describe('a body is not lent', () => {
  const cases: [string, Handler][] = [
    ['that is small', (_request, response) => answer(response, 200, {}, blob.subarray(0, 100_000))],
    [
      'whose length nobody said',
      (_request, response) => {
        response.writeHead(200);
        response.end(blob);
      },
    ],
  ];
  for (const [what, handler] of cases) {
    it(what, async () => {
      const { stack, body } = await opened(handler);
      await using _ = stack;
      assert.equal(body.lend?.(), undefined);
      const bytes = await readAll(body.chunks);
      assert.equal(hashOf(bytes), hashOf(blob.subarray(0, bytes.length)));
    });
  }

  it('where its reader does not ask for that: then it comes as ever, and its connection is used again', async () => {
    const { stack, server, client, body } = await opened((_request, response) => answer(response, 200, {}, blob));
    await using _ = stack;
    assert.equal(hashOf(await readAll(body.chunks)), hashOf(blob));
    // By then the pool knows.
    await turns(10);
    const again = await openBlob(client, someDigest, 0, undefined, never);
    assert.equal(hashOf(await readAll(again.chunks)), hashOf(blob));
    assert.equal(server.accepted, 1);
  });

  it('once its first byte was read', async () => {
    const { stack, body } = await opened((_request, response) => answer(response, 200, {}, blob));
    await using _ = stack;
    const iterator = body.chunks[Symbol.asyncIterator]();
    await iterator.next();
    assert.equal(body.lend?.(), undefined);
    await iterator.return?.();
  });
});

it('the connection after one whose body was lent goes on with its TLS session', async () => {
  const { stack, server, client, body } = await opened((_request, response) => answer(response, 200, {}, blob), {
    scheme: 'https',
  });
  await using _ = stack;
  assert.equal(await readLent(body), hashOf(blob));
  const resumed = new Promise<boolean>((resolve) => {
    server.server.once('secureConnection', (socket: TLSSocket) => resolve(socket.isSessionReused()));
  });
  assert.equal(await readLent(await openBlob(client, someDigest, 0, undefined, never)), hashOf(blob));
  assert.equal(await resumed, true);
});
