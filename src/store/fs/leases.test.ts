import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { closeSync, readSync } from 'node:fs';
import { readdir, readlink, rm } from 'node:fs/promises';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Worker } from 'node:worker_threads';
import { digestOf } from '../../core/digest.ts';
import { SharedUse } from '../../core/shared-use.ts';
import { Random } from '../../flights/testing/random.ts';
import type { ContentStore } from '../content-store.ts';
import { FsStoreFixture } from '../testing/fs-store-fixture.ts';
import { letIn, misled, over, type ReaderOrder, refused } from '../testing/lease-reader.ts';
import { sampleBlob, sampleManifest, sampleScope } from '../testing/sample-content.ts';
import { tempFolder } from '../testing/temp-folder.ts';

const maxSizeBytes = 100_000;
const gateway = 0;
const isElsewhere = process.platform === 'linux' ? false : 'limits of descriptors are set as Linux has them';

/** Stored, read once, and lent to the gateway. */
async function lend(content: ContentStore, blob: ReturnType<typeof sampleBlob>, to: number = gateway) {
  if ((await content.sizeOf(blob.digest)) === undefined) await content.put(blob.digest, blob.bytes);
  const stored = await content.open(blob.digest);
  const lent = stored?.lease?.(to);
  assert.ok(stored && lent);
  stored.close();
  const { fd, fileId, kind } = stored.view;
  return { ...lent, kind, fd, fileId, use: new SharedUse(new Int32Array(lent.words), lent.index) };
}

/** Open files of the store's. */
async function openCount({ layout }: FsStoreFixture, folder = 'blobs'): Promise<number> {
  const targets = (await readdir('/proc/self/fd')).map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => ''));
  return (await Promise.all(targets)).filter(
    (target) => target.startsWith(layout.root) && target.includes(`/${folder}/`),
  ).length;
}

/** Content that consists of one number, again and again. */
function numbers(number: number, sizeBytes: number) {
  const bytes = new Uint8Array(new Int32Array(sizeBytes / 4).fill(number).buffer);
  return { number, digest: digestOf(bytes), bytes };
}

describe('leases and eviction', () => {
  it('content that is open for nobody, and lent to who does not read it, leaves a full cache', async () => {
    await using fixture = await FsStoreFixture.create({ maxSizeBytes });
    const { content } = fixture.store;
    const old = await lend(content, sampleBlob(1, 60_000));
    assert.equal(await content.makeRoom(90_000), 'enough');
    assert.equal(await content.sizeOf(sampleBlob(1, 60_000).digest), undefined);
    assert.equal(old.use.enter(), false);
    assert.equal(await openCount(fixture), 0);
  });

  it('content that a gateway is reading stays until it has left', async () => {
    await using fixture = await FsStoreFixture.create({ maxSizeBytes });
    const { content } = fixture.store;
    const { use } = await lend(content, sampleBlob(1, 60_000));
    assert.ok(use.enter());
    assert.equal(await content.makeRoom(90_000), 'cache-in-use');
    assert.equal(use.isTakenBack, false);
    use.leave();
    assert.equal(await content.makeRoom(90_000), 'enough');
    assert.equal(use.enter(), false);
  });

  it('of an image that a gateway reads a layer of, the rest leaves only where it must', async () => {
    await using fixture = await FsStoreFixture.create({ maxSizeBytes });
    const { catalog, content } = fixture.store;
    const [read, rest] = [sampleBlob(1, 20_000), sampleBlob(2, 20_000)];
    const manifest = sampleManifest([read, rest]);
    for (const { digest, bytes } of [manifest, read, rest]) await content.put(digest, bytes);
    catalog.addManifest(manifest);
    fixture.clock.advance(10_000);
    await content.put(sampleBlob(3, 20_000).digest, sampleBlob(3, 20_000).bytes);
    const { use } = await lend(content, read);
    assert.ok(use.enter());
    assert.equal(await content.makeRoom(45_000), 'enough');
    assert.notEqual(await content.sizeOf(rest.digest), undefined);
    assert.equal(await content.makeRoom(75_000), 'enough');
    assert.equal(await content.sizeOf(rest.digest), undefined);
    assert.notEqual(await content.sizeOf(read.digest), undefined);
    assert.equal(use.isTakenBack, false);
    use.leave();
  });

  it('what a gateway that died was reading leaves', async () => {
    await using fixture = await FsStoreFixture.create({ maxSizeBytes });
    const { content } = fixture.store;
    const counts = new Int32Array(new SharedArrayBuffer(16));
    const blob = numbers(7, 60_000);
    const lease = await lend(content, blob);
    const worker = await readerOf(counts, { ...lease, number: 7, sizeBytes: 60_000 });
    worker.postMessage({ kind: 'stay' } satisfies ReaderOrder);
    await new Promise((resolve) => worker.once('message', resolve));
    assert.equal(await content.makeRoom(90_000), 'cache-in-use');
    await worker.terminate();
    assert.equal(await content.makeRoom(90_000), 'cache-in-use');
    content.gatewayEnded(gateway);
    assert.equal(await content.makeRoom(90_000), 'enough');
    assert.equal(await openCount(fixture), 0);
  });

  it('an image that leaves is one change', async () => {
    await using fixture = await FsStoreFixture.create({ maxSizeBytes });
    const { catalog, content } = fixture.store;
    const scope = sampleScope('library/alpine');
    const layers = [sampleBlob(1, 20_000), sampleBlob(2, 20_000), sampleBlob(3, 20_000)];
    const manifest = sampleManifest(layers);
    for (const { digest, bytes } of [manifest, ...layers]) await content.put(digest, bytes);
    catalog.addManifest(manifest);
    catalog.link(
      scope,
      [manifest, ...layers].map(({ digest }) => ({ digest, sizeBytes: undefined, mediaType: undefined })),
    );
    catalog.setTag(scope, 'v1', 'any', { digest: manifest.digest, checkedAtMs: 1 });
    fixture.clock.advance(10_000);
    const before = fixture.changes.value;
    assert.equal(await content.makeRoom(90_000), 'enough');
    assert.equal(fixture.changes.value, before + 1);
  });

  it('a gateway that reads all that it was ever lent reads nothing else, while all of it leaves and comes again', async () => {
    const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
    const random = new Random(seed);
    await using fixture = await FsStoreFixture.create({ maxSizeBytes, maxIdleFiles: 3 });
    const { content } = fixture.store;
    const counts = new Int32Array(new SharedArrayBuffer(16));
    const worker = await readerOf(counts);
    for (let round = 0; round < 400 || (Atomics.load(counts, refused) === 0 && round < 20_000); round++) {
      const number = random.below(12);
      const blob = numbers(number, 12_000 + 4 * number);
      const lease = await lend(content, blob).catch(() => undefined);
      if (lease !== undefined) {
        const { fd, words, index } = lease;
        const lent = { fd, words, index, number, sizeBytes: blob.bytes.length };
        worker.postMessage({ kind: 'lent', lease: lent } satisfies ReaderOrder);
      }
      if (random.next() < 0.3) await content.makeRoom(50_000 + random.below(50_000));
      if (random.next() < 0.1) {
        const open = await content.open(blob.digest);
        if (open !== undefined) await content.condemn(blob.digest, open.fd, 'the test says so');
        open?.close();
      }
    }
    Atomics.store(counts, over, 1);
    Atomics.notify(counts, over);
    await new Promise((resolve) => worker.once('exit', resolve));
    assert.equal(Atomics.load(counts, misled), 0, `SEED=${seed}: it read what it was not lent`);
    assert.ok(Atomics.load(counts, letIn) > 0 && Atomics.load(counts, refused) > 0, `SEED=${seed}: ${counts}`);
    assert.equal(await content.makeRoom(maxSizeBytes), 'enough');
    assert.equal(await openCount(fixture), 0);
  });
});

describe('leases and proofs', () => {
  it('are given no longer than the proof of the content is believed', async () => {
    await using fixture = await FsStoreFixture.create({ verifyAfterMs: 60_000 });
    const { content } = fixture.store;
    const blob = sampleBlob(1, 10_000);
    const first = await lend(content, blob);
    assert.ok(first.untilMs > fixture.clock.now());
    fixture.clock.advance(59_000);
    assert.equal((await lend(content, blob)).untilMs, fixture.clock.now() + 1000);
    fixture.clock.advance(1000);
    const unproven = await content.open(blob.digest);
    assert.equal(unproven?.lease, undefined);
    await unproven?.proof;
    unproven?.close();
    assert.ok((await lend(content, blob)).untilMs > fixture.clock.now());
  });

  it('are not given where each reading needs a proof of its own', async () => {
    await using fixture = await FsStoreFixture.create({ verifyAfterMs: 0 });
    const { content } = fixture.store;
    const { digest, bytes } = sampleBlob(1, 10_000);
    await content.put(digest, bytes);
    const blob = await content.open(digest);
    assert.equal(blob?.lease, undefined);
    await blob?.proof;
    blob?.close();
  });
});

describe('files that nobody reads', () => {
  it('stay open for the next reader, as many as may, those that were read last', async () => {
    await using fixture = await FsStoreFixture.create({ maxIdleFiles: 4 });
    const { content } = fixture.store;
    const leases = [];
    const before = fixture.changes.value;
    for (let seed = 0; seed < 10; seed++) leases.push(await lend(content, sampleBlob(seed, 100)));
    // Each that was closed is asked for again; what else gateways know stands.
    assert.equal(fixture.changes.value, before);
    assert.equal(await openCount(fixture), 4);
    assert.deepEqual(
      leases.map(({ use }) => use.isTakenBack),
      [true, true, true, true, true, true, false, false, false, false],
    );
    assert.equal((await lend(content, sampleBlob(9, 100))).fileId, leases[9]?.fileId);
    assert.notEqual((await lend(content, sampleBlob(0, 100))).fileId, leases[0]?.fileId);
  });

  it('are not displaced by what is read in one go: that is closed again', async () => {
    await using fixture = await FsStoreFixture.create({ maxIdleFiles: 2 });
    const { content } = fixture.store;
    const leases = [await lend(content, sampleBlob(0, 100)), await lend(content, sampleBlob(1, 100))];
    for (let seed = 0; seed < 6; seed++) {
      const { digest, bytes } = sampleBlob(seed, 100);
      await content.put(digest, bytes);
      assert.deepEqual(await content.read(digest, 100), bytes);
    }
    assert.deepEqual(
      leases.map(({ use }) => use.isTakenBack),
      [false, false],
    );
    assert.equal(await openCount(fixture), 2);
  });

  it('that gateways read are not closed, however many they are', async () => {
    await using fixture = await FsStoreFixture.create({ maxIdleFiles: 2 });
    const { content } = fixture.store;
    const leases = [];
    for (let seed = 0; seed < 6; seed++) {
      const lease = await lend(content, sampleBlob(seed, 100));
      assert.ok(lease.use.enter());
      leases.push(lease);
    }
    assert.equal(await openCount(fixture), 6);
    for (const { use } of leases) use.leave();
    await lend(content, sampleBlob(7, 100));
    assert.equal(await openCount(fixture), 2);
  });

  it('are looked at before they are read again: what was removed or written to behind our back is noticed', async () => {
    await using fixture = await FsStoreFixture.create();
    const { content } = fixture.store;
    const blob = sampleBlob(1, 10_000);
    const { use } = await lend(content, blob);
    const before = fixture.changes.value;
    await rm(fixture.layout.blob(blob.digest));
    assert.equal(await content.open(blob.digest), undefined);
    assert.equal(use.enter(), false);
    assert.ok(fixture.changes.value > before);
    assert.equal(await openCount(fixture), 0);
  });

  it('make room for others where the process has no descriptor left', { skip: isElsewhere }, async () => {
    await using folder = await tempFolder();
    const program = fileURLToPath(new URL('../testing/open-all.ts', import.meta.url));
    const line = 'ulimit -n 64; exec "$0" "$@"';
    await promisify(execFile)('sh', ['-c', line, process.execPath, program, folder.path, '150']);
  });

  it('are closed with the store', async () => {
    await using fixture = await FsStoreFixture.create();
    for (let seed = 0; seed < 10; seed++) await lend(fixture.store.content, sampleBlob(seed, 100));
    assert.equal(await openCount(fixture), 10);
    await fixture.close();
    assert.equal(await openCount(fixture), 0);
  });

  it('are not closed under a gateway that is still in its lease when the store ends', async () => {
    await using fixture = await FsStoreFixture.create();
    const { fd, use } = await lend(fixture.store.content, sampleBlob(1, 100));
    assert.ok(use.enter());
    await fixture.close();
    assert.equal(readSync(fd, Buffer.alloc(100)), 100);
    use.leave();
    closeSync(fd);
  });

  it('forgotten while a gateway reads them, are closed once it has left', async () => {
    await using fixture = await FsStoreFixture.create();
    const { content } = fixture.store;
    const { fd, use } = await lend(content, sampleBlob(1, 100));
    assert.ok(use.enter());
    await content.condemn(sampleBlob(1, 100).digest, fd, 'the test says so');
    assert.equal(await openCount(fixture, 'quarantine'), 1);
    assert.equal(readSync(fd, Buffer.alloc(100)), 100);
    use.leave();
    await lend(content, sampleBlob(2, 100));
    for (let turn = 0; turn < 1000 && (await openCount(fixture, 'quarantine')) > 0; turn++);
    assert.equal(await openCount(fixture, 'quarantine'), 0);
  });
});

async function readerOf(counts: Int32Array, lease?: object): Promise<Worker> {
  const worker = new Worker(new URL('../testing/lease-reader.ts', import.meta.url));
  worker.postMessage({ counts });
  if (lease !== undefined) {
    const { use: _, ...lent } = lease as { use?: unknown };
    worker.postMessage({ kind: 'lent', lease: lent });
  }
  await new Promise((resolve) => worker.once('online', resolve));
  return worker;
}
