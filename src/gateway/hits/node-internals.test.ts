import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, Socket } from 'node:net';
import { describe, it } from 'node:test';
import { RawClient } from '../testing/test-client.ts';
import { sparing, takeOver } from './node-internals.ts';

async function listening(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

describe('node:http, as this version of Node has it', () => {
  it('lets somebody else read, and answers what it is then given', async () => {
    const server = createServer((_request, response) => response.end('answered'));
    const seen: string[] = [];
    server.on('connection', (socket) => {
      const theirs = takeOver(socket);
      assert.ok(theirs);
      socket.on('data', (chunk: NonSharedBuffer) => {
        seen.push(chunk.toString());
        theirs(chunk);
      });
    });
    const client = new RawClient(await listening(server));
    for (const piece of ['GET / HTTP/1.1\r\n', 'Host: a\r\nConnection: close\r\n\r\n']) {
      client.send(piece);
      while (!seen.join('').endsWith(piece)) await new Promise((resolve) => setImmediate(resolve));
    }
    assert.match((await client.closed).text, /^HTTP\/1.1 200 .*answered$/s);
    server.close();
  });

  it('does not end what is spared of its idle connections', async () => {
    const server = createServer((_request, response) => response.end('answered'));
    const sockets: Socket[] = [];
    server.on('connection', (socket) => sockets.push(socket));
    const port = await listening(server);
    const clients = [new RawClient(port), new RawClient(port)];
    for (const client of clients) {
      client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
      await client.received(/answered/);
      await new Promise((resolve) => setImmediate(resolve));
    }
    sparing(sockets.slice(0, 1), () => server.close());
    await clients[1]?.closed;
    assert.deepEqual(
      sockets.map(({ destroyed }) => destroyed),
      [false, true],
    );
    clients[0]?.send('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    assert.equal((await clients[0]?.closed)?.text.match(/answered/g)?.length, 2);
  });
});

describe('a socket that is not as node:http leaves it', () => {
  it('is left as it is', () => {
    const socket = new Socket();
    const listener = () => {};
    assert.equal(takeOver(socket), undefined);
    socket.on('data', listener);
    assert.equal(takeOver(socket), undefined);
    Reflect.set(socket, 'parser', { _consumed: true });
    assert.equal(takeOver(socket), undefined);
    assert.deepEqual(socket.listeners('data'), [listener]);
    socket.destroy();
  });
});
