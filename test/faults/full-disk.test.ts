import assert from 'node:assert/strict';
import { readdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { buildImage, type Content } from '../../src/cli/demo/image.ts';
import { Child, run } from '../support/child.ts';
import { PullClient } from '../support/client.ts';
import { Leaks } from '../support/leaks.ts';
import { freePort, TemporaryDirectory, untilUp } from '../support/loopback.ts';
import { ScriptedRegistry } from '../support/scripted-registry.ts';
import { assertWhole, blobFile } from './world.ts';

const program = new URL('../../bin/onepull', import.meta.url).pathname;
const repository = 'org/app';
const image = buildImage({ seed: 'full', layerSizes: [2_000_000, 6_000_000, 60_000, 3_000_000] });
const [running, large, small, early] = image.layers as [Content, Content, Content, Content];

/** A disk of 16 MiB that only onepull's own mount namespace has, so that it goes when onepull does. */
const mountAndServe = 'mount -t tmpfs -o size=16m tmpfs "$1" && exec "$2" serve --config "$3"';

async function cannotMount(): Promise<string | false> {
  const tried = await run('unshare', ['-m', 'true']).catch(() => undefined);
  return tried?.code === 0 ? false : 'needs root: unshare -m, to mount a disk of its own';
}

test('a full disk is told to the operator, costs no client a pull, and is over when there is room', {
  skip: await cannotMount(),
}, async () => {
  const leaks = await Leaks.watch();
  {
    await using registry = await ScriptedRegistry.start();
    registry.content.add(repository, image, 'v1');
    await using folder = await TemporaryDirectory.make();
    const [host, config, path] = [`127.0.0.1:${await freePort()}`, join(folder.path, 'config.yaml'), folder.path];
    const upstreams = { 'demo.example': { url: registry.url, default: true } };
    const admin = `127.0.0.1:${await freePort()}`;
    const sections = { listen: host, admin, storage: { path, minFree: '64KiB' }, upstreams };
    await writeFile(config, JSON.stringify(sections));
    // The configuration is read before the disk covers its folder: from an open descriptor.
    const command = ['-m', 'sh', '-c', `exec 3<"$3"; ${mountAndServe.replace('"$3"', '/dev/fd/3')}`];
    await using onepull = new Child('unshare', [...command, 'sh', path, program, config]);
    await onepull.line((line) => line.includes('"event":"listening"'));
    const disk = `/proc/${onepull.pid}/root${path}`;
    await using client = new PullClient(`http://${host}`);
    assert.equal((await client.manifest(repository, 'v1')).status, 200);
    assertWhole(await client.blob(repository, early.digest), early);

    const hold = registry.hold(running.digest, 1_900_000);
    const slow = client.blob(repository, running.digest);
    await hold.reached;
    await writeFile(join(disk, 'ballast'), Buffer.alloc(10 * 2 ** 20));
    // No room is to be had for it: nothing leaves in vain, it is streamed through, and an operator can see why.
    assertWhole(await client.blob(repository, large.digest), large);
    assert.equal(await isThere(disk, large), false);
    const ready = await fetch(`http://${admin}/readyz`);
    assert.equal(ready.status, 200);
    const { warnings } = (await ready.json()) as { warnings?: readonly string[] };
    assert.match(String(warnings), /^the disk is full/);
    assertWhole(await client.blob(repository, small.digest), small);
    assertWhole(await client.blob(repository, early.digest), early);
    await rm(join(disk, 'ballast'));
    hold.release();
    assertWhole(await slow, running);

    await untilUp(async () => {
      assertWhole(await client.blob(repository, large.digest), large);
      return isThere(disk, large);
    }, 'the blob that found no room');
    const sentBytes = registry.tally.bytesSent(large.digest);
    assertWhole(await client.blob(repository, large.digest), large);
    assertWhole(await client.blob(repository, early.digest), early);
    assert.equal(registry.tally.bytesSent(large.digest), sentBytes, 'it is kept now');
    assert.equal(registry.tally.bodies(early.digest).length, 1, 'nothing had left in vain');
    await untilUp(async () => (await fills(disk)).length === 0, 'the end of the last fill');
    assert.ok(onepull.isRunning);
  }
  await leaks.assertNone();
});

async function isThere(disk: string, { digest }: Content): Promise<boolean> {
  return (await stat(blobFile(disk, digest)).catch(() => undefined)) !== undefined;
}

async function fills(disk: string): Promise<readonly string[]> {
  return (await readdir(join(disk, 'ingest'))).filter((name) => /\.(part|json)$/.test(name));
}
