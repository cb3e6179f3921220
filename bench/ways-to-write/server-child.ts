import { openSync, readSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { type WayName, WayToWrite } from './ways.ts';

/** A server of one file by one way: `server-child.ts <file> <way> <block bytes>`. Says its port, and ends with its owner. */
const [path = '', name = '', blockText = ''] = process.argv.slice(2);
const fd = openSync(path, 'r');
const { size: sizeBytes } = statSync(path);
const shared = new SharedArrayBuffer(sizeBytes);
if (name.startsWith('shared')) {
  const step = 1024 * 1024;
  for (let at = 0; at < sizeBytes; at += step) {
    readSync(fd, Buffer.from(shared, at, Math.min(step, sizeBytes - at)), 0, Math.min(step, sizeBytes - at), at);
  }
}
const way = new WayToWrite({ name: name as WayName, blockBytes: Number(blockText) }, { path, fd, sizeBytes, shared });
const server = createServer({ noDelay: true }, (_request, response) => way.send(response));
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  if (typeof address === 'object' && address !== null) console.log(`port ${address.port}`);
});
