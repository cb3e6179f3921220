import assert from 'node:assert/strict';
import { readdir, readFile, readlink } from 'node:fs/promises';
import { connect } from 'node:net';
import { describe, test } from 'node:test';
import { Child } from '../support/child.ts';
import { PullClient } from '../support/client.ts';
import { TemporaryDirectory } from '../support/loopback.ts';

const program = new URL('../../bin/onepull', import.meta.url).pathname;

/** The demo with a temporary folder of its own, to see what it leaves there. */
async function startDemo(...args: string[]) {
  const folder = await TemporaryDirectory.make();
  const env = { ...process.env, TMPDIR: folder.path, HTTP_PROXY: 'http://127.0.0.1:9', ONEPULL_LISTEN: '0.0.0.0:1' };
  const child = new Child(program, ['demo', ...args], { env });
  return {
    child,
    async assertNothingLeft() {
      assert.deepEqual(await readdir(folder.path), []);
      assert.deepEqual(await processesNaming(folder.path), []);
    },
    async [Symbol.asyncDispose]() {
      await child[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
}

/** Processes whose arguments hold `text`. Empty where there is no /proc. */
async function processesNaming(text: string): Promise<string[]> {
  const pids = (await readdir('/proc').catch(() => [])).filter((name) => /^\d+$/.test(name));
  const commands = pids.map(async (pid) => {
    const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => ''); // it may have ended meanwhile
    return command.includes(text)
      ? [`${pid} ${command.replaceAll('\0', ' ')} ${await readlink(`/proc/${pid}/exe`)}`]
      : [];
  });
  return (await Promise.all(commands)).flat();
}

function isListening(host: string): Promise<boolean> {
  const { hostname, port } = new URL(`http://${host}`);
  return new Promise((resolve) => {
    const socket = connect({ host: hostname, port: Number(port) });
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}

describe('onepull demo', { concurrency: true }, () => {
  test('measures that many nodes cost upstream what one does, and leaves nothing', async () => {
    await using demo = await startDemo('--nodes', '3', '--json');
    assert.deepEqual(await demo.child.exited, { code: 0, signal: null }, demo.child.tail);
    await demo.assertNothingLeft();
    const { nodes, image, onItsOwn, throughOnepull, savedBytes } = JSON.parse(demo.child.stdout.join('\n'));
    assert.equal(nodes, 3);
    assert.equal(image.layers, 4);
    assert.equal(onItsOwn.upstreamBytes, 3 * image.totalBytes);
    assert.equal(throughOnepull.upstreamBytes, image.totalBytes, 'every byte is fetched once');
    assert.equal(savedBytes, 2 * image.totalBytes);
    assert.ok(throughOnepull.upstreamRequests < onItsOwn.upstreamRequests / 2);
    assert.ok(throughOnepull.medianNodeMs > 0);
    assert.ok(onItsOwn.slowestNodeMs >= onItsOwn.medianNodeMs);
    assert.match(demo.child.stderr.join('\n'), /1 of 2 {2}each on its own[\s\S]+2 of 2 {2}through onepull/);
  });

  test('stays up with --serve until Ctrl-C', async () => {
    await using demo = await startDemo('--nodes', '1', '--serve');
    const pull = await demo.child.line((line) => line.includes('podman pull'));
    const hosts = demo.child.stdout.join('\n').match(/127\.0\.0\.1:\d+/g) ?? [];
    assert.equal(new Set(hosts).size, 3, 'onepull, its admin API, upstream');
    assert.ok((await Promise.all(hosts.map(isListening))).every(Boolean));
    const [, host, repository = '', tag = ''] = /(127[^/]+)\/(.+):(.+)$/.exec(pull) ?? [];
    await using client = new PullClient(`http://${host}`);
    assert.equal((await client.manifest(repository, tag)).status, 200);
    assert.deepEqual(await demo.child.kill('SIGINT'), { code: 130, signal: null }, demo.child.tail);
    assert.ok(!(await Promise.all(hosts.map(isListening))).some(Boolean));
    await demo.assertNothingLeft();
  });

  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    test(`${signal} in the middle ends it with ${code} and leaves nothing`, async () => {
      await using demo = await startDemo();
      await demo.child.line((line) => line.includes('1 of 2'));
      assert.deepEqual(await demo.child.kill(signal), { code, signal: null }, demo.child.tail);
      await demo.assertNothingLeft();
    });
  }

  test('more nodes than a machine can play are refused', async () => {
    await using demo = await startDemo('--nodes', '1001');
    assert.equal((await demo.child.exited).code, 2);
    assert.match(demo.child.stderr.join('\n'), /the most is 1000/);
  });
});
