import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { buildImage } from '../../src/cli/demo/image.ts';
import { run } from '../support/child.ts';
import { freePort, TemporaryDirectory } from '../support/loopback.ts';
import { needs } from '../support/need.ts';
import { ScriptedRegistry } from '../support/scripted-registry.ts';

const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
const bin = new URL('../../bin', import.meta.url).pathname;
const skip = needs('bash', 'redis-server', 'openssl', 'skopeo', 'curl');
const image = buildImage({ seed: 'three nodes', layerSizes: [3_000, 2_000_000] });

/** The commands below the heading, as they stand. */
function commands(): string {
  const [, text = ''] = readme.split('\n## From one node to three in five minutes\n');
  const [section = ''] = text.split('\n## ');
  return [...section.matchAll(/```sh\n(.*?)```/gs)].map(([, block = '']) => block).join('');
}

/** A line that is printed, without what differs each time. */
function shapeOf(line: string): string {
  return line.replace(/[\d-]+T[\d:.]+Z/, 'TIME').replace(/:\d+,/, ':PORT,');
}

/** But for ports, which another program may have. */
async function onOtherPorts(script: string): Promise<string> {
  const [nodes, redis] = [await freeTens(), await freePort()];
  return script.replaceAll('6399', String(redis)).replaceAll('127.0.0.1:51', `127.0.0.1:${nodes}`);
}

/** What ports of four or five digits begin with, of which those that end in 10 to 32 are free. */
async function freeTens(): Promise<number> {
  for (;;) {
    const begin = Math.floor((await freePort()) / 100);
    const ports = [1, 2, 3].flatMap((node) => [0, 1, 2].map((what) => begin * 100 + node * 10 + what));
    const free = await Promise.all(ports.map(isFree));
    if (free.every(Boolean)) return begin;
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer().listen(port, '127.0.0.1');
  const isMine = await once(server, 'listening').then(
    () => true,
    () => false,
  );
  if (isMine) await once(server.close(), 'close');
  return isMine;
}

test('the commands of "From one node to three in five minutes" do what they say', { skip }, async () => {
  await using folder = await TemporaryDirectory.make();
  await using registry = await ScriptedRegistry.start();
  registry.content.add('library/busybox', image, 'latest');
  await symlink(bin, join(folder.path, 'bin'));
  const script = join(folder.path, 'commands.sh');
  // Whatever happens, nothing of it stays.
  const end = "trap 'kill $(jobs -p) 2>/dev/null; wait' EXIT\n";
  await writeFile(script, end + (await onOtherPorts(commands())));
  const { code, stdout, stderr } = await run('bash', ['-eu', script], {
    cwd: folder.path,
    env: {
      PATH: process.env.PATH,
      HOME: folder.path,
      ONEPULL_UPSTREAMS_DOCKER_IO_URL: registry.url,
      ONEPULL_CLUSTER_TIMEOUT: '10s',
    },
    endSignal: 'SIGTERM',
  });
  assert.equal(code, 0, `${stdout}\n${stderr}`);
  // Who is there is heard once a second, so on a busy machine the others may not be known yet.
  assert.match(stdout, /engine +up since.*^node-1#\S+ \(this one\)/ms, stdout);
  const shapes = (text: string) => [...text.matchAll(/^(engine|sends) +.*$/gm)].map(([line]) => shapeOf(line));
  assert.deepEqual(shapes(stdout), shapes(readme), 'the sample in the README is what is printed');
  const bytes = (name: string) =>
    [...stdout.matchAll(new RegExp(`${name}(?:\\{[^}]*\\})? (\\d+)`, 'g'))].reduce(
      (sum, [, count]) => sum + Number(count),
      0,
    );
  const blobs = image.totalBytes - image.manifest.bytes.length;
  assert.equal(bytes('onepull_upstream_bytes_total'), image.totalBytes, stdout);
  assert.equal(bytes('onepull_peer_received_bytes_total'), 2 * blobs, stdout);
});
