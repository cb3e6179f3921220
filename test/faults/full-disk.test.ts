import assert from 'node:assert/strict';
import { open, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { buildImage, type Content } from '../../src/cli/demo/image.ts';
import { AdminApi } from '../support/admin-api.ts';
import { Child, run } from '../support/child.ts';
import { PullClient } from '../support/client.ts';
import { Gate } from '../support/gate.ts';
import { Leaks } from '../support/leaks.ts';
import { freePort, TemporaryDirectory, untilUp } from '../support/loopback.ts';
import { ScriptedRegistry } from '../support/scripted-registry.ts';
import { assertWhole } from './world.ts';

const program = new URL('../../bin/onepull', import.meta.url).pathname;
const repository = 'org/app';
const MB = 1_000_000;
const image = buildImage({ seed: 'full', layerSizes: [2 * MB, 8 * MB, 60_000, 3 * MB, 5 * MB] });
const [running, large, small, early, other] = image.layers as [Content, Content, Content, Content, Content];

/** A disk of 24 MiB that only onepull's own mount namespace has, so that it goes when onepull does. */
const mountAndServe = 'mount -t tmpfs -o size=24m tmpfs "$1" && exec "$2" serve --config "$3"';

async function cannotMount(): Promise<string | false> {
  const tried = await run('unshare', ['-m', 'true']).catch(() => undefined);
  return tried?.code === 0 ? false : 'needs root: unshare -m, to mount a disk of its own';
}

interface DiskWorld {
  readonly registry: ScriptedRegistry;
  readonly client: PullClient;
  readonly admin: AdminApi;
  /** The process that has the disk. */
  readonly pid: number;
  /** Where the disk is, seen from here. */
  readonly disk: string;
  /** The path of the disk, seen from onepull. */
  readonly path: string;
  crowd(clients: number): PullClient[];
}

async function onSmallDisk(body: (world: DiskWorld) => Promise<void>): Promise<void> {
  const leaks = await Leaks.watch();
  {
    await using closing = new AsyncDisposableStack();
    const registry = closing.use(await ScriptedRegistry.start());
    registry.content.add(repository, image, 'v1');
    const { path } = closing.use(await TemporaryDirectory.make());
    const [host, adminHost] = [`127.0.0.1:${await freePort()}`, `127.0.0.1:${await freePort()}`];
    const upstreams = { 'demo.example': { url: registry.url, default: true } };
    const sections = { listen: host, admin: adminHost, storage: { path, minFree: '0' }, upstreams };
    const config = join(path, 'config.yaml');
    await writeFile(config, JSON.stringify(sections));
    // The configuration is read before the disk covers its folder: from an open descriptor.
    const command = ['-m', 'sh', '-c', `exec 3<"$3"; ${mountAndServe.replace('"$3"', '/dev/fd/3')}`];
    const onepull = closing.use(new Child('unshare', [...command, 'sh', path, program, config]));
    await onepull.line((line) => line.includes('"event":"listening"'));
    const crowd = (clients: number) =>
      Array.from({ length: clients }, () => closing.use(new PullClient(`http://${host}`)));
    const [client] = crowd(1);
    assert.ok(client && onepull.pid);
    assert.equal((await client.manifest(repository, 'v1')).status, 200);
    const disk = `/proc/${onepull.pid}/root${path}`;
    const admin = new AdminApi(`http://${adminHost}`);
    await body({ registry, client, admin, pid: onepull.pid, disk, path, crowd });
    assert.ok(onepull.isRunning);
  }
  await leaks.assertNone();
}

/** Takes all the space that is left. */
async function fill(disk: string): Promise<void> {
  const file = await open(join(disk, 'ballast'), 'w');
  try {
    for (const block of [Buffer.alloc(MB), Buffer.alloc(4096)]) {
      for (let isFull = false; !isFull; ) {
        isFull = await file.write(block).then(
          ({ bytesWritten }) => bytesWritten < block.length,
          () => true,
        );
      }
    }
  } finally {
    await file.close();
  }
}

async function fills(disk: string): Promise<readonly string[]> {
  return (await readdir(join(disk, 'ingest'))).filter((name) => /\.(part|json)$/.test(name));
}

const options = { skip: await cannotMount() };

test('on a full disk everything is served, through memory, and kept again when there is room', options, () =>
  onSmallDisk(async ({ registry, client, admin, disk, crowd }) => {
    assertWhole(await client.blob(repository, early.digest), early);
    await fill(disk);
    registry.tally.reset();
    const pulls = crowd(8).map((one) => one.blob(repository, large.digest, { expected: large }));
    for (const download of await Promise.all(pulls)) assertWhole(download, large);
    // The disk was taken by others: a fill may have been begun before that is known.
    assert.ok(registry.tally.bodies(large.digest).length <= 2);
    assertWhole(await client.blob(repository, small.digest), small);
    assertWhole(await client.blob(repository, early.digest), early);
    assert.ok((await admin.metric('onepull_passed_through_total', { cause: 'disk-full' })) >= 1);
    await rm(join(disk, 'ballast'));
    // What was here may have left for what is smaller; where it came again, a fill of it may have been begun and left.
    const all = [large, early, small];
    for (const blob of all) {
      await untilUp(async () => {
        assertWhole(await client.blob(repository, blob.digest), blob);
        return isStored(disk, blob);
      }, 'the blob on disk');
    }
    registry.tally.reset();
    for (const blob of all) assertWhole(await client.blob(repository, blob.digest), blob);
    assert.equal(registry.tally.bytesSent(), 0);
    await untilUp(async () => (await fills(disk)).length === 0, 'the end of the last fill');
  }),
);

test('a disk that fills up in the middle of pulls is noticed by none of their clients', options, () =>
  onSmallDisk(async ({ registry, client, admin, disk, crowd }) => {
    const gate = new Gate();
    const [still, ...others] = crowd(10);
    const hold = registry.hold(large.digest, 4 * MB);
    const held = registry.hold(running.digest, 1_900_000);
    const last = client.blob(repository, running.digest);
    const paused = still?.blob(repository, large.digest, { pauseAt: { afterBytes: 1, gate } });
    const pulls = others.map((one) => one.blob(repository, large.digest, { expected: large }));
    const [part] = crowd(1);
    const range = { start: 3 * MB, end: 7 * MB };
    const inRange = part?.blob(repository, large.digest, { range, keep: true });
    await Promise.all([hold.reached, held.reached, gate.reached]);
    await fill(disk);
    hold.release();
    held.release();
    for (const download of await Promise.all(pulls)) assertWhole(download, large);
    assert.ok((await inRange)?.body.equals(large.bytes.subarray(range.start, range.end)));
    assertWhole(await last, running);
    gate.release();
    assert.ok(paused);
    assertWhole(await paused, large);
    assert.ok((await admin.metric('onepull_passed_through_total')) >= 1);
    await rm(join(disk, 'ballast'));
    for (const blob of [large, running]) {
      await untilUp(async () => {
        assertWhole(await client.blob(repository, blob.digest), blob);
        return isStored(disk, blob);
      }, 'the blob on disk');
    }
    await admin.assertIdle();
    await untilUp(async () => (await fills(disk)).length === 0, 'the end of the last fill');
  }),
);

test('a disk that turns read-only fails no pull', options, () =>
  onSmallDisk(async ({ registry, client, admin, pid, path, disk, crowd }) => {
    assertWhole(await client.blob(repository, early.digest), early);
    const hold = registry.hold(large.digest, 4 * MB);
    const pulls = crowd(4).map((one) => one.blob(repository, large.digest, { expected: large }));
    await hold.reached;
    const inside = (...command: string[]) => run('nsenter', ['-t', String(pid), '-m', ...command]);
    const covered = await inside('mount', '-t', 'tmpfs', '-o', 'ro', 'tmpfs', path);
    assert.equal(covered.code, 0, covered.stderr);
    hold.release();
    for (const download of await Promise.all(pulls)) assertWhole(download, large);
    const more = await Promise.all(
      [early, other, small, other].map(async (blob) => ({ blob, got: await client.blob(repository, blob.digest) })),
    );
    for (const { blob, got } of more) assertWhole(got, blob);
    await admin.assertIdle();
    assert.equal((await inside('umount', path)).code, 0);
    await untilUp(async () => {
      assertWhole(await client.blob(repository, other.digest), other);
      return isStored(disk, other);
    }, 'the blob on disk');
  }),
);

async function isStored(disk: string, { digest }: Content): Promise<boolean> {
  return (await readdir(join(disk, 'blobs', 'sha256'))).includes(digest.replace('sha256:', ''));
}
