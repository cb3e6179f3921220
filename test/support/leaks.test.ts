import assert from 'node:assert/strict';
import { open } from 'node:fs/promises';
import { test } from 'node:test';
import { LoopbackServer } from '../../src/cli/demo/loopback-server.ts';
import { Leaks } from './leaks.ts';

test('an open file, a socket and a timer are seen until they are closed', async () => {
  const leaks = await Leaks.watch();
  const file = await open(import.meta.filename);
  assert.match((await leaks.left()).join('\n'), /leaks\.test\.ts/);
  const server = new LoopbackServer(() => {});
  await server.open();
  const timer = setTimeout(() => {}, 60_000);
  const left = (await leaks.left()).join('\n');
  for (const kind of [/socket:/, /TCPServerWrap|TCPSERVERWRAP/i, /Timeout/]) assert.match(left, kind);
  await file.close();
  await server[Symbol.asyncDispose]();
  clearTimeout(timer);
  await leaks.assertNone();
});
