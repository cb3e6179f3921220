import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { connect } from 'node:tls';
import { digestOf } from '../../core/digest.ts';
import { makeCertificate } from '../../core/testing/certificates.ts';
import { TestGateway, until } from '../testing/test-gateway.ts';
import { framed, get, undated } from './testing/lane-client.ts';

const { cert, key } = makeCertificate();
const manifest = Buffer.from(JSON.stringify({ schemaVersion: 2 }));
const path = `/v2/a/manifests/${digestOf(manifest)}`;

async function start(): Promise<TestGateway> {
  const gateway = await TestGateway.start({
    remembers: true,
    certificate: { cert, key, ticketKeys: Buffer.alloc(48) },
  });
  gateway.depot.addManifest('a', 'v1', manifest, 'application/json');
  gateway.depot.keepUntilMs = Number.POSITIVE_INFINITY;
  return gateway;
}

async function client(port: number) {
  const socket = connect({ port, host: '127.0.0.1', ca: cert });
  let text = '';
  socket.on('data', (chunk) => {
    text += chunk.toString('latin1');
  });
  await once(socket, 'secureConnect');
  /** Sends a piece; resolves with all answers so far once there are so many. */
  const ask = async (piece: string, count: number) => {
    socket.write(piece);
    await until(() => framed(text, []).length === count);
    return framed(text, []);
  };
  return { socket, ask };
}

describe('a request that was judged before, over TLS', () => {
  it('is answered with the same bytes, and node:http sees nothing of it', async () => {
    await using gateway = await start();
    const { socket, ask } = await client(gateway.port);
    for (let count = 1; count <= 4; count++) {
      const answers = await ask(get(path), count);
      assert.equal(undated(answers.at(-1) ?? ''), undated(answers[0] ?? ''));
      await until(() => gateway.server.load().responses === 0);
    }
    assert.equal(gateway.server.laneAnswers, 3);
    assert.ok(gateway.requests.every(({ complete, bytes }) => complete && bytes === manifest.length));
    socket.end();
    await once(socket, 'close');
  });

  it('is answered in order with others that come in the same turn', async () => {
    await using gateway = await start();
    const { socket, ask } = await client(gateway.port);
    await ask(get(path), 1);
    socket.write(get(path));
    socket.write(get('/v2/a/manifests/v1'));
    const answers = await ask(get(path), 4);
    const caching = answers.map((answer) => /Cache-Control: ([a-z-]+)/.exec(answer)?.[1]);
    assert.deepEqual(caching, ['max-age', 'max-age', 'no-cache', 'max-age']);
    socket.end();
    await once(socket, 'close');
  });
});
