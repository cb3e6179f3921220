import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Agent, get } from 'node:https';
import { connect as connectPlain, type Socket } from 'node:net';
import { test } from 'node:test';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import { makeCertificate } from '../../core/testing/certificates.ts';
import { TestGateway, until } from '../testing/test-gateway.ts';
import type { ServerCertificate } from './tls-front.ts';

const pair = makeCertificate();
const certificate: ServerCertificate = { ...pair, ticketKeys: Buffer.alloc(48, 7) };

function start(options: Parameters<typeof TestGateway.start>[0] = {}): Promise<TestGateway> {
  return TestGateway.start({ certificate, ...options });
}

/** A secure connection, or the error that it failed with. */
async function secure(port: number, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const socket = connect({ port, host: '127.0.0.1', ca: pair.cert, ...options });
  await once(socket, 'secureConnect');
  return socket;
}

async function answerOf(port: number, path: string, ca = pair.cert): Promise<{ status: number; body: Buffer }> {
  const agent = new Agent();
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; body: Buffer }>();
  get({ port, host: '127.0.0.1', path, ca, agent }, async (response) => {
    const chunks: Buffer[] = [];
    response.on('data', (chunk) => chunks.push(chunk));
    response.on('error', reject);
    response.on('end', () => resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks) }));
  }).on('error', reject);
  return promise.finally(() => agent.destroy());
}

/** All that comes until the end, and whether the end was a broken connection. */
async function allOf(socket: Socket): Promise<{ text: string; broken: boolean }> {
  let [text, broken] = ['', false];
  socket.on('data', (chunk) => {
    text += chunk;
  });
  socket.on('error', () => {
    broken = true;
  });
  await new Promise((resolve) => socket.once('close', resolve));
  return { text, broken };
}

test('serves over TLS what is served without', async () => {
  await using gateway = await start();
  const content = gateway.content(Buffer.alloc(3_000_000, 'x'));
  assert.equal((await answerOf(gateway.port, '/v2/')).status, 200);
  const blob = await answerOf(gateway.port, `/v2/org/app/blobs/${content.digest}`);
  assert.equal(blob.body.length, 3_000_000);
  assert.equal((await gateway.event()).client, '127.0.0.1');
});

test('speaks HTTP/1 only, and TLS from 1.2 on', async () => {
  await using gateway = await start();
  for (const [protocols, chosen] of [
    [['h2', 'http/1.1'], 'http/1.1'],
    [['http/1.0'], 'http/1.0'],
  ] as const) {
    const socket = await secure(gateway.port, { ALPNProtocols: [...protocols] });
    assert.equal(socket.alpnProtocol, chosen);
    socket.destroy();
  }
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    const socket = await secure(gateway.port, { minVersion: version, maxVersion: version });
    assert.equal(socket.getProtocol(), version);
    socket.destroy();
  }
  const old = { minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT:@SECLEVEL=0' } as const;
  await assert.rejects(secure(gateway.port, old), { code: 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION' });
});

test('a session is resumed at another gateway that has the same ticket keys, and at no other', async () => {
  await using one = await start();
  await using other = await start();
  await using stranger = await start({ certificate: { ...pair, ticketKeys: Buffer.alloc(48, 8) } });
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
    const first = await secure(one.port, { maxVersion });
    const session = maxVersion === 'TLSv1.2' ? first.getSession() : (await once(first, 'session'))[0];
    first.destroy();
    const reused: boolean[] = [];
    for (const { port } of [other, stranger]) {
      const socket = await secure(port, { maxVersion, session });
      reused.push(socket.isSessionReused());
      socket.destroy();
    }
    assert.deepEqual(reused, [true, false], maxVersion);
  }
});

test('a new certificate is for new connections; an answer that is under way goes on', async () => {
  await using gateway = await start();
  const next = makeCertificate();
  const content = gateway.content(Buffer.alloc(2_000_000, 'x'), { filled: 1_000_000 });
  const old = await secure(gateway.port);
  const answer = allOf(old);
  old.write(`GET /v2/org/app/blobs/${content.digest} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
  await until(() => content.waiting > 0);
  gateway.server.useCertificate({ ...next, ticketKeys: certificate.ticketKeys });
  assert.equal((await answerOf(gateway.port, '/v2/', next.cert)).status, 200);
  await assert.rejects(answerOf(gateway.port, '/v2/'), { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' });
  content.finish();
  const { text, broken } = await answer;
  assert.ok(!broken && text.length > 2_000_000);
});

test('a client that speaks plain HTTP is closed, without a warning to anybody', async () => {
  await using gateway = await start();
  const socket = connectPlain(gateway.port, '127.0.0.1');
  socket.write('GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n');
  assert.deepEqual(await allOf(socket), { text: '', broken: false });
  await until(() => gateway.notices.length > 0);
  assert.deepEqual(
    gateway.notices.map(({ level, message }) => [level, message]),
    [['debug', 'a client speaks plain HTTP where TLS is spoken']],
  );
  assert.equal(gateway.requests.length, 0);
});

test('noise, a reset and a client that only closes harm nobody', async () => {
  await using gateway = await start();
  for (const noise of ['\x16\x03\x01\xff\xff', '\x00\x01\x02\x03\x04\x05\x06\x07', '']) {
    const socket = connectPlain(gateway.port, '127.0.0.1');
    await once(socket, 'connect');
    socket.end(noise, 'latin1');
    await allOf(socket.resume());
  }
  const socket = connectPlain(gateway.port, '127.0.0.1');
  await once(socket, 'connect');
  socket.resetAndDestroy();
  assert.equal((await answerOf(gateway.port, '/v2/')).status, 200);
  assert.ok(gateway.notices.every(({ level }) => level === 'debug'));
});

test('a handshake that does not come is given up in time', async () => {
  await using gateway = await start({ headersReceiveTimeoutMs: 200 });
  const socket = connectPlain(gateway.port, '127.0.0.1');
  assert.equal((await allOf(socket)).text, '');
  await until(() => gateway.notices.length > 0);
  assert.equal(gateway.notices[0]?.fields?.code, 'ERR_TLS_HANDSHAKE_TIMEOUT');
});

/** Connections that say nothing; without waiting for the gateway to have seen them. */
async function silentCrowd(port: number, count: number): Promise<Socket[]> {
  const sockets = Array.from({ length: count }, () => connectPlain(port, '127.0.0.1'));
  for (const socket of sockets) socket.on('error', () => {});
  await Promise.all(sockets.map((socket) => once(socket, 'connect')));
  return sockets;
}

test('handshakes that do not come make room for clients that do', async () => {
  await using gateway = await start({ maxConnections: 3, maxRefused: 2 });
  const silent = await silentCrowd(gateway.port, 3);
  const clients = [await secure(gateway.port)];
  gateway.clock.advance(1_000);
  clients.push(await secure(gateway.port), await secure(gateway.port));
  for (const socket of [...silent, ...clients]) socket.destroy();
});

test('also where they fill the listener itself', async () => {
  await using gateway = await start({ maxConnections: 3, maxRefused: 2 });
  const silent = await silentCrowd(gateway.port, 5);
  const clients: TLSSocket[] = [];
  for (let attempt = 0; clients.length < 3; attempt++) {
    assert.ok(attempt < 10, 'they keep everybody out');
    gateway.clock.advance(1_000);
    // One may be dropped for the room to be made.
    const client = await secure(gateway.port).catch(() => undefined);
    if (client !== undefined) clients.push(client);
  }
  for (const socket of [...silent, ...clients]) socket.destroy();
});

test('a drain does not wait for handshakes', async () => {
  await using gateway = await start();
  const silent = connectPlain(gateway.port, '127.0.0.1');
  silent.on('error', () => {});
  await once(silent, 'connect');
  assert.equal((await answerOf(gateway.port, '/v2/')).status, 200);
  await gateway.server.drain(60_000);
  await allOf(silent);
});

test('a body that is cut never looks complete, not even to a client that knows its end by the close', async () => {
  await using gateway = await start();
  const content = gateway.content(Buffer.alloc(500_000, 'x'), { filled: 100_000, sizeKnown: false });
  const socket = await secure(gateway.port);
  const answer = allOf(socket);
  socket.write(`GET /v2/org/app/blobs/${content.digest} HTTP/1.0\r\n\r\n`);
  await until(() => content.waiting > 0);
  content.fail(new Error('gone'));
  const { text, broken } = await answer;
  assert.ok(text.includes('200 OK') && text.length < 500_000);
  assert.equal(broken, true);
});

test('what TLS copies for clients that stop taking is counted for each, and is little', async () => {
  await using gateway = await start();
  const content = gateway.content(Buffer.alloc(64 * 1024 * 1024, 'x'));
  const clients: TLSSocket[] = [];
  for (let client = 0; client < 4; client++) {
    const socket = await secure(gateway.port);
    socket.write(`GET /v2/org/app/blobs/${content.digest} HTTP/1.1\r\nHost: x\r\n\r\n`);
    await once(socket, 'readable');
    clients.push(socket);
  }
  const copied = () => gateway.server.load().queuedBytes - gateway.pool.lentBytes;
  // Each has stopped, at the latest when the kernels hold all that they can.
  await until(() => copied() >= clients.length * 32 * 1024);
  assert.ok(copied() <= clients.length * 128 * 1024, `${copied()} bytes`);
  for (const socket of clients) socket.destroy();
});
