import assert from 'node:assert/strict';
import { connect, createServer, type Socket } from 'node:net';
import { describe, it } from 'node:test';
import { Connection } from './connection.ts';
import { ConnectionTable } from './connection-table.ts';

/** So long after its last request a connection may be given up. */
const spareMs = 1_000;

/** Connections of each address, as many as are told, which are idle since 0 in that order. */
async function table(
  connections: Readonly<Record<string, number>>,
  body: (table: ConnectionTable, cut: () => string[]) => void,
) {
  const server = createServer();
  const sockets: Socket[] = [];
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  assert(typeof address === 'object' && address !== null);
  const table = new ConnectionTable();
  const named: { name: string; socket: Socket }[] = [];
  for (const [client, count] of Object.entries(connections)) {
    for (let index = 0; index < count; index++) {
      // All of them come over loopback, so an address is said for each.
      const socket = connect(address.port, '127.0.0.1');
      Object.defineProperty(socket, 'remoteAddress', { value: client });
      sockets.push(socket);
      named.push({ name: `${client} ${index}`, socket });
      table.add(socket, new Connection(socket, 0, () => {}));
    }
  }
  const cut = () => named.filter(({ socket }) => socket.destroyed).map(({ name }) => name);
  try {
    body(table, cut);
  } finally {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  }
}

describe('connections where there is no room', () => {
  it('give way where they are idle for longest, of the address that has most', () =>
    table({ a: 2, b: 3 }, (connections, cut) => {
      assert.ok(connections.makeRoom('c', spareMs));
      assert.deepEqual(cut(), ['b 0']);
      assert.ok(connections.makeRoom('a', spareMs));
      assert.deepEqual(cut(), ['b 0', 'b 1']);
    }));

  it('of others do not give way to an address that has more than its share: its own do, or it is refused', () =>
    table({ greedy: 3, modest: 1 }, (connections, cut) => {
      for (let times = 0; times < 3; times++) assert.ok(connections.makeRoom('greedy', spareMs));
      assert.deepEqual(cut(), ['greedy 0', 'greedy 1', 'greedy 2']);
      assert.equal(connections.makeRoom('greedy', spareMs), false);
      assert.ok(connections.makeRoom('newcomer', spareMs), 'a newcomer has no share yet');
    }));

  it('give way where the one that has most is busy, and none that has only just come', () =>
    table({ a: 1, b: 2 }, (connections, cut) => {
      for (const socket of connections.sockets) {
        const connection = connections.get(socket);
        if (connection?.client === 'b') connections.busy(connection);
      }
      assert.equal(connections.makeRoom('c', spareMs - 1), false);
      assert.ok(connections.makeRoom('c', spareMs));
      assert.deepEqual(cut(), ['a 0']);
    }));

  it('of one address alone are one crowd', () =>
    table({ a: 2 }, (connections, cut) => {
      assert.ok(connections.makeRoom('a', spareMs));
      assert.deepEqual(cut(), ['a 0']);
    }));
});
