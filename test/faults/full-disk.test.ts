import assert from 'node:assert/strict';
import { readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { buildImage, type Content } from '../../src/cli/demo/image.ts';
import { Child, run } from '../support/child.ts';
import { PullClient } from '../support/client.ts';
import { Leaks } from '../support/leaks.ts';
import { freePort, TemporaryDirectory, untilUp } from '../support/loopback.ts';
import { ScriptedRegistry } from '../support/scripted-registry.ts';
import { assertWhole, told } from './world.ts';

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

test('a full disk is a clear error, leaves others alone, and is over when there is room', {
  skip: await cannotMount(),
}, async () => {
  const leaks = await Leaks.watch();
  {
    await using registry = await ScriptedRegistry.start();
    registry.content.add(repository, image, 'v1');
    await using folder = await TemporaryDirectory.make();
    const [host, config, path] = [`127.0.0.1:${await freePort()}`, join(folder.path, 'config.yaml'), folder.path];
    const upstreams = { 'demo.example': { url: registry.url, default: true } };
    const sections = { listen: host, admin: `127.0.0.1:${await freePort()}`, storage: { path }, upstreams };
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
    await writeFile(join(disk, 'ballast'), Buffer.alloc(8 * 2 ** 20));
    const refused = await client.blob(repository, large.digest);
    if (refused.outcome === 'complete') assert.equal(told(refused), '503 UNAVAILABLE');
    assertWhole(await client.blob(repository, small.digest), small);
    assertWhole(await client.blob(repository, early.digest), early);
    await rm(join(disk, 'ballast'));
    hold.release();
    assertWhole(await slow, running);

    await untilUp(async () => {
      const download = await client.blob(repository, large.digest);
      if (download.status === 200 && download.outcome === 'complete') assertWhole(download, large);
      return download.status === 200 && download.outcome === 'complete';
    }, 'the blob that found no room');
    assert.ok(registry.tally.bytesSent(large.digest) < 2 * large.bytes.length, 'what had found room was kept');
    await untilUp(async () => (await fills(disk)).length === 0, 'the end of the last fill');
    assert.ok(onepull.isRunning);
  }
  await leaks.assertNone();
});

async function fills(disk: string): Promise<readonly string[]> {
  return (await readdir(join(disk, 'ingest'))).filter((name) => /\.(part|json)$/.test(name));
}
