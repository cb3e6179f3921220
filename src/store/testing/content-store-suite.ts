import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ChangeCount } from '../../core/change-count.ts';
import { digestOf } from '../../core/digest.ts';
import { SharedUse } from '../../core/shared-use.ts';
import type { ContentStore, PartialBlob } from '../content-store.ts';
import { readFully } from '../fs/file-io.ts';
import { sampleBlob } from './sample-content.ts';

export interface ContentStoreUnderTest extends AsyncDisposable {
  readonly content: ContentStore;
  /** What it was made with. */
  readonly changes: ChangeCount;
}

/** What every content store does. */
export function contentStoreSuite(name: string, factory: () => Promise<ContentStoreUnderTest>): void {
  const { digest, bytes } = sampleBlob(1, 10_000);
  const half = 5000;

  function behaves(behaviour: string, test: (content: ContentStore, changes: ChangeCount) => Promise<void>): void {
    it(behaviour, async () => {
      await using subject = await factory();
      await test(subject.content, subject.changes);
    });
  }

  describe(`${name}: committed content`, () => {
    behaves('what was never committed is a miss', async (content) => {
      assert.equal(await content.sizeOf(digest), undefined);
      assert.equal(await content.open(digest), undefined);
      assert.equal(await content.read(digest, 1e6), undefined);
    });

    behaves('small content is there whole once it was put, and putting it twice is harmless', async (content) => {
      await content.put(digest, bytes);
      await content.put(digest, bytes);
      assert.equal(await content.sizeOf(digest), bytes.byteLength);
      assert.deepEqual(await content.read(digest, bytes.byteLength), bytes);
    });

    behaves('empty content is content', async (content) => {
      const empty = digestOf(new Uint8Array());
      await content.put(empty, new Uint8Array());
      assert.equal(await content.sizeOf(empty), 0);
      assert.equal((await content.read(empty, 0))?.byteLength, 0);
    });

    behaves('content of sha512 is content', async (content) => {
      const long = digestOf(bytes, 'sha512');
      await content.put(long, bytes);
      assert.deepEqual(await content.read(long, 1e6), bytes);
    });

    behaves('content larger than asked for is not read into memory', async (content) => {
      await content.put(digest, bytes);
      await assert.rejects(content.read(digest, bytes.byteLength - 1), { code: 'STORAGE_FAILED' });
      await assert.rejects(content.look(digest, bytes.byteLength - 1), { code: 'STORAGE_FAILED' });
    });

    behaves('who only looks sees the same', async (content) => {
      assert.equal(await content.look(digest, 1e6), undefined);
      await content.put(digest, bytes);
      assert.deepEqual(await content.look(digest, bytes.byteLength), bytes);
    });

    behaves('many readers read at their own positions, and closing twice is harmless', async (content) => {
      await content.put(digest, bytes);
      const blobs = await Promise.all([content.open(digest), content.open(digest), content.open(digest)]);
      for (const [index, blob] of blobs.entries()) {
        assert.ok(blob);
        assert.deepEqual(await readAt(blob.fd, index * 100, 100), bytes.subarray(index * 100, index * 100 + 100));
        blob.close();
        blob.close();
      }
    });
  });

  describe(`${name}: leases`, () => {
    behaves('what a lease names can be read after the last reader has left', async (content) => {
      await content.put(digest, bytes);
      const { fd, lease } = await lend(content, 0);
      assert.ok(lease.enter());
      assert.deepEqual(await readAt(fd, 100, 100), bytes.subarray(100, 200));
      lease.leave();
    });

    behaves('a gateway has one lease on a file, and others have others', async (content) => {
      await content.put(digest, bytes);
      const [first, again, other] = [await lend(content, 0), await lend(content, 0), await lend(content, 1)];
      assert.equal(first.fileId, again.fileId);
      first.lease.enter();
      assert.equal(again.lease.users, 1);
      assert.equal(other.lease.users, 0);
      first.lease.leave();
    });

    behaves(
      'what is condemned is lent no more: a free lease is taken back, and that counts as a change',
      async (content, changes) => {
        await content.put(digest, bytes);
        const { lease, fd } = await lend(content, 0);
        const before = changes.value;
        await content.condemn(digest, fd, 'the test says so');
        assert.equal(lease.enter(), false);
        assert.ok(changes.value > before);
        await content.put(digest, bytes);
        assert.equal(lease.enter(), false, 'what has its place now is lent anew');
        assert.ok((await lend(content, 0)).lease.enter());
      },
    );

    behaves('who is in a lease reads on when the content is condemned', async (content) => {
      await content.put(digest, bytes);
      const { lease, fd } = await lend(content, 0);
      assert.ok(lease.enter());
      await content.condemn(digest, fd, 'the test says so');
      await content.put(digest, bytes);
      assert.deepEqual(await readAt(fd, 100, 100), bytes.subarray(100, 200));
      lease.leave();
    });

    behaves('a gateway that is in a lease has the file held for it, whatever has its place', async (content) => {
      await content.put(digest, bytes);
      const { lease, fd, fileId } = await lend(content, 0);
      assert.ok(lease.enter());
      const listed = content.leased(digest, fileId);
      await content.condemn(digest, fd, 'the test says so');
      await content.put(digest, bytes);
      const left = content.leased(digest, fileId);
      lease.leave();
      await lend(content, 0);
      for (const blob of [listed, left]) {
        assert.ok(blob);
        assert.deepEqual([blob.view.fileId, blob.sizeBytes, blob.proof], [fileId, bytes.length, undefined]);
        assert.equal(blob.lease, undefined);
        assert.deepEqual(await readAt(blob.fd, 100, 100), bytes.subarray(100, 200));
        blob.close();
      }
      assert.equal(content.leased(digest, fileId + 1000), undefined);
    });

    behaves('what a gateway that died was in is written off', async (content) => {
      await content.put(digest, bytes);
      const { lease } = await lend(content, 3);
      assert.ok(lease.enter());
      content.gatewayEnded(3);
      assert.equal(lease.enter(), false);
      assert.ok((await lend(content, 3)).lease.enter(), 'the next one with its number gets a lease of its own');
    });

    behaves('each open file has a number of its own', async (content) => {
      const ids: number[] = [];
      for (let round = 0; round < 3; round++) {
        const partial = await content.openPartial(digest);
        ids.push(partial.fileId);
        await partial.write(bytes, 0);
        if (round < 2) await partial.discard();
        else await partial.commit(bytes.byteLength);
        await partial.close();
      }
      ids.push((await lend(content, 0)).fileId);
      assert.equal(new Set(ids).size, ids.length);
    });

    async function lend(content: ContentStore, gateway: number) {
      const blob = await content.open(digest);
      const lent = blob?.lease?.(gateway);
      assert.ok(blob && lent);
      blob.close();
      return { ...blob.view, lease: new SharedUse(new Int32Array(lent.words), lent.index) };
    }
  });

  describe(`${name}: fills`, () => {
    behaves('a fill is content once it is committed, and not before', async (content) => {
      const partial = await content.openPartial(digest);
      assert.deepEqual(partial.resumed, { filled: [], sizeBytes: undefined });
      await partial.write(bytes.subarray(half), half);
      await partial.write(bytes.subarray(0, half), 0);
      assert.equal(await content.sizeOf(digest), undefined);
      await partial.commit(bytes.byteLength);
      assert.deepEqual(await content.read(digest, 1e6), bytes);
      await partial.close();
    });

    behaves('what is written can be read at once, and after commit until the fill is closed', async (content) => {
      const partial = await content.openPartial(digest);
      await partial.write(bytes, 0);
      assert.deepEqual(await readAt(partial.fd, 10, 20), bytes.subarray(10, 30));
      await partial.commit(bytes.byteLength);
      assert.deepEqual(await readAt(partial.fd, 10, 20), bytes.subarray(10, 30));
      await partial.close();
      await partial.close();
    });

    behaves('the last bytes beyond the size are cut at commit', async (content) => {
      const partial = await content.openPartial(digest);
      await partial.write(bytes, 0);
      await partial.write(bytes, bytes.byteLength);
      await partial.commit(bytes.byteLength);
      await partial.close();
      assert.deepEqual(await content.read(digest, 1e6), bytes);
    });

    behaves('a fill that is short of its size cannot be committed', async (content) => {
      const partial = await content.openPartial(digest);
      await partial.write(bytes.subarray(0, half), 0);
      await assert.rejects(partial.commit(bytes.byteLength), { code: 'STORAGE_FAILED' });
      await partial.close();
      assert.equal(await content.sizeOf(digest), undefined);
    });

    behaves('a fill that ended early resumes with what was recorded and what followed in order', async (content) => {
      await leave(content, async (partial) => {
        await partial.record([{ start: 0, end: 0 }], bytes.byteLength);
        await partial.write(bytes.subarray(0, 100), 0);
        await partial.record(
          [
            { start: 0, end: 100 },
            { start: half, end: half },
          ],
          bytes.byteLength,
        );
        await partial.write(bytes.subarray(half, half + 300), half);
      });
      const partial = await content.openPartial(digest);
      const filled = [
        { start: 0, end: 100 },
        { start: half, end: half + 300 },
      ];
      assert.deepEqual(partial.resumed, { filled, sizeBytes: bytes.byteLength });
      assert.deepEqual(await readAt(partial.fd, half, 300), bytes.subarray(half, half + 300));
      await partial.close();
    });

    behaves('what was written without a record is not resumed, now or later', async (content) => {
      await leave(content, (partial) => partial.write(bytes, 0));
      await leave(content, async (partial) => {
        assert.deepEqual(partial.resumed.filled, []);
        await partial.record([{ start: 0, end: 0 }], undefined);
        await partial.write(bytes.subarray(0, 10), 0);
      });
      const partial = await content.openPartial(digest);
      assert.deepEqual(partial.resumed.filled, [{ start: 0, end: 10 }]);
      await partial.close();
    });

    behaves('a discarded fill leaves nothing, and can be read until it is closed', async (content) => {
      await leave(content, async (partial) => {
        await partial.write(bytes, 0);
        await partial.record([{ start: 0, end: bytes.byteLength }], bytes.byteLength);
        await partial.discard();
        assert.deepEqual(await readAt(partial.fd, 0, 10), bytes.subarray(0, 10));
        await assert.rejects(partial.commit(bytes.byteLength), { code: 'INTERNAL' });
      });
      const partial = await content.openPartial(digest);
      assert.deepEqual(partial.resumed, { filled: [], sizeBytes: undefined });
      await partial.close();
    });

    behaves('what is held can be read after the fill is closed and the next one has begun', async (content) => {
      const first = await content.openPartial(digest);
      await first.write(bytes, 0);
      const release = first.hold();
      await first.close();
      const second = await content.openPartial(digest);
      assert.deepEqual(await readAt(first.fd, 100, 100), bytes.subarray(100, 200));
      release();
      release();
      await second.close();
    });

    behaves('a digest has one open fill at a time', async (content) => {
      const partial = await content.openPartial(digest);
      await assert.rejects(content.openPartial(digest), { code: 'INTERNAL' });
      await partial.close();
      await (await content.openPartial(digest)).close();
    });
  });

  async function leave(content: ContentStore, fill: (partial: PartialBlob) => Promise<void>): Promise<void> {
    const partial = await content.openPartial(digest);
    await fill(partial);
    await partial.close();
  }
}

async function readAt(fd: number, position: number, length: number): Promise<Uint8Array> {
  const buffer = new Uint8Array(length);
  assert.equal(await readFully(fd, buffer, position), length);
  return buffer;
}
