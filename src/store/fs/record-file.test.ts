import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { describe, it } from 'node:test';
import { VirtualClock } from '../../core/testing/virtual-clock.ts';
import { Channels } from '../../telemetry/channels.ts';
import { sampleBlob } from '../testing/sample-content.ts';
import { tempFolder } from '../testing/temp-folder.ts';
import type { Disk } from './disk.ts';
import { Layout } from './layout.ts';
import { nodeDisk } from './node-disk.ts';
import { openFsStore } from './open-fs-store.ts';
import { parseRecord } from './partial-record.ts';

const { digest, bytes } = sampleBlob(1, 50_000);

/** A store on a disk whose syncs of fills a test may watch, or let fail. */
async function storeOf(
  onSync: () => Promise<void>,
  boot: { readonly name: string | undefined } = { name: 'this one' },
) {
  const folder = await tempFolder();
  const disk: Disk = {
    ...nodeDisk,
    boot: async () => boot.name,
    async open(path, as) {
      const file = await nodeDisk.open(path, as);
      if (!path.endsWith('.part')) return file;
      const sync = file.sync.bind(file);
      return Object.assign(file, { sync: () => onSync().then(sync) });
    },
  };
  const store = await openFsStore(
    { clock: new VirtualClock(), channels: new Channels(), disk },
    { path: folder.path, maxSizeBytes: 1e9, scrubBytesPerSecond: 0, syncEveryBytes: 10_000 },
  );
  const layout = new Layout(folder.path);
  return {
    content: store.content,
    record: async () => parseRecord(await readFile(layout.partialRecord(digest), 'utf8')),
    close: () => store[Symbol.asyncDispose](),
    [Symbol.asyncDispose]: async () => {
      await store[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
}

const filledTo = (end: number) => [{ start: 0, end }];

describe('a fill and the life of the machine', () => {
  it('what was synced is in the next record, and no record waits for a sync', async () => {
    const synced = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    await using store = await storeOf(() => {
      begun.resolve();
      return synced.promise;
    });
    const partial = await store.content.openPartial(digest);
    await partial.write(bytes.subarray(0, 20_000), 0);
    await partial.record(filledTo(20_000), bytes.byteLength);
    await begun.promise;
    await partial.write(bytes.subarray(20_000, 25_000), 20_000);
    await partial.record(filledTo(25_000), bytes.byteLength);
    assert.deepEqual((await store.record())?.synced, []);
    synced.resolve();
    await partial.close();
    await store.close();
    const record = await store.record();
    assert.deepEqual([record?.filled, record?.synced], [filledTo(25_000), filledTo(25_000)]);
  });

  it('a sync that failed fails the commit, although the next one succeeds', async () => {
    let syncs = 0;
    const failed = Promise.withResolvers<void>();
    await using store = await storeOf(async () => {
      if (++syncs > 1) return;
      failed.resolve();
      throw Object.assign(new Error('EIO: i/o error, fsync'), { code: 'EIO' });
    });
    const partial = await store.content.openPartial(digest);
    await partial.write(bytes, 0);
    await partial.record(filledTo(bytes.byteLength), bytes.byteLength);
    await failed.promise;
    await assert.rejects(partial.commit(bytes.byteLength), { code: 'STORAGE_FAILED' });
    await partial.close();
    assert.equal(await store.content.open(digest), undefined);
    await store.close();
    assert.deepEqual((await store.record())?.synced, []);
  });

  it('nothing is synced before the commit where nobody knows which start of the machine it is', async () => {
    let syncs = 0;
    await using store = await storeOf(async () => void syncs++, { name: undefined });
    const partial = await store.content.openPartial(digest);
    await partial.write(bytes, 0);
    await partial.record(filledTo(bytes.byteLength), bytes.byteLength);
    assert.equal((await store.record())?.boot, undefined);
    await partial.close();
    await store.close();
    assert.equal(syncs, 0);
  });
});
