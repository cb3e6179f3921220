import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { promisify } from 'node:util';
import { boundUnsent, type Ffi, linuxTcp, mostUnsentBytes, nodeFfi } from './unsent-bound.ts';

const run = promisify(execFile);
const ffi = nodeFfi();
const without = ffi === undefined || process.platform !== 'linux' ? 'node has no way to call the system here' : false;

async function listening(context: TestContext): Promise<Server> {
  const server = createServer();
  context.after(() => server.close());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}

/** The server's side of a connection. */
async function accepted(context: TestContext, server: Server): Promise<Socket> {
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
  context.after(() => client.destroy());
  const [socket]: Socket[] = await once(server, 'connection');
  assert.ok(socket);
  context.after(() => socket.destroy());
  return socket;
}

function boundOf(socket: Socket): number | undefined {
  using library = ffi?.dlopen(null, {
    getsockopt: { arguments: ['i32', 'i32', 'i32', 'pointer', 'pointer'], return: 'i32' },
  });
  const value = new Uint32Array(1);
  const length = new Uint32Array([value.byteLength]);
  const descriptor: number = Reflect.get(Reflect.get(socket, '_handle'), 'fd');
  assert.equal(library?.functions.getsockopt(descriptor, linuxTcp.level, linuxTcp.notSentLowat, value, length), 0);
  return value[0];
}

describe('what the kernel takes for a client', () => {
  it('is bounded for every connection that is accepted from then on', { skip: without }, async (context) => {
    const server = await listening(context);
    assert.notEqual(boundOf(await accepted(context, server)), mostUnsentBytes);
    assert.ok(boundUnsent(server));
    for (let n = 0; n < 2; n++) assert.equal(boundOf(await accepted(context, server)), mostUnsentBytes);
  });

  it('stays as the system has it where it cannot be called, or refuses', async (context) => {
    const server = await listening(context);
    const refused: Ffi = {
      dlopen: () => {
        throw new Error('Access to this API has been restricted');
      },
    };
    assert.ok(!boundUnsent(server, refused));
    server.close();
    await once(server, 'close');
    assert.ok(!boundUnsent(server));
  });

  it('is bounded without a word on stderr', async () => {
    const module = new URL('./unsent-bound.ts', import.meta.url).href;
    const script = `import { nodeFfi } from ${JSON.stringify(module)}; console.log(typeof nodeFfi()?.dlopen)`;
    const { stdout, stderr } = await run(process.execPath, ['--input-type=module', '--eval', script]);
    assert.deepEqual([stdout.trim(), stderr], [typeof ffi?.dlopen, '']);
  });
});
