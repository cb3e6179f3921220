import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Digest } from '../../core/digest.ts';
import { FsStoreFixture } from '../testing/fs-store-fixture.ts';
import { sampleBlob, sampleDigest, sampleManifest, sampleScope } from '../testing/sample-content.ts';

const yearMs = 365 * 24 * 3600 * 1000;
const blobBytes = 10_000;
const scope = sampleScope('library/app');

/** Room for ten blobs. */
const fixtureOf = () => FsStoreFixture.create({ maxSizeBytes: 10 * blobBytes });

async function put({ store }: FsStoreFixture, seed: number): Promise<Digest> {
  const { digest, bytes } = sampleBlob(seed, blobBytes);
  await store.content.put(digest, bytes);
  return digest;
}

async function use({ store, clock }: FsStoreFixture, digest: Digest): Promise<void> {
  const blob = await store.content.open(digest);
  assert.ok(blob, `${digest} is here to be used`);
  blob.close();
  clock.advance(1000);
}

async function stored({ store }: FsStoreFixture, digests: readonly Digest[]): Promise<number[]> {
  const sizes = await Promise.all(digests.map((digest) => store.content.sizeOf(digest)));
  return sizes.flatMap((size, index) => (size === undefined ? [] : [index]));
}

for (const [how, jumps] of [
  ['set back by years', [-5]],
  ['set forward by years', [5]],
  ['set forward by years and then right again', [5, -5]],
  ['set back by years and then right again', [-5, 5]],
] as const) {
  describe(`a clock that is ${how}`, () => {
    for (const isRestarted of [false, true]) {
      it(`what was used last stays, what was not leaves${isRestarted ? ', also after a restart' : ''}`, async () => {
        await using fixture = await fixtureOf();
        const digests: Digest[] = [];
        for (let seed = 0; seed < 5; seed++) digests.push(await put(fixture, seed));
        for (const years of jumps) {
          fixture.clock.setBy(years * yearMs);
          if (isRestarted) await fixture.reopen();
          for (const index of [3, 1]) await use(fixture, digests[index] as Digest);
          digests.push(await put(fixture, digests.length));
          fixture.clock.advance(1000);
        }
        const before = digests.length;
        await fixture.store.content.makeRoom((10 - before + 3) * blobBytes);
        const left = await stored(fixture, digests);
        assert.deepEqual(
          [0, 2, 4].filter((index) => left.includes(index)),
          [],
          'what was not used is still there',
        );
        assert.equal(left.length, before - 3, 'too much has left');
      });
    }

    it('a cache that goes round keeps what came last', async () => {
      await using fixture = await fixtureOf();
      const digests: Digest[] = [];
      const fill = async (blobs: number) => {
        for (let blob = 0; blob < blobs; blob++) {
          digests.push(await put(fixture, digests.length));
          fixture.clock.advance(1000);
          await fixture.store.content.makeRoom(0);
        }
      };
      await fill(10);
      for (const years of jumps) {
        fixture.clock.setBy(years * yearMs);
        await fill(25);
      }
      const left = await stored(fixture, digests);
      assert.ok(left.length >= 9, `${left.length} blobs are left`);
      assert.deepEqual(
        left,
        Array.from({ length: left.length }, (_, index) => digests.length - left.length + index),
      );
    });

    it('a fill goes on where it was left', async () => {
      await using fixture = await fixtureOf();
      const { digest, bytes } = sampleBlob(1, blobBytes);
      const first = await fixture.store.content.openPartial(digest);
      await first.record([{ start: 0, end: 0 }], blobBytes);
      await first.write(bytes.subarray(0, 4000), 0);
      await first.close();
      for (const years of jumps) {
        fixture.clock.setBy(years * yearMs);
        await fixture.reopen();
      }
      const partial = await fixture.store.content.openPartial(digest);
      assert.deepEqual(partial.resumed.filled, [{ start: 0, end: 4000 }]);
      await partial.close();
    });
  });
}

it('what belongs to nothing is forgotten a day later, by whatever clock it was noted', async () => {
  await using fixture = await FsStoreFixture.create();
  const { content, catalog } = fixture.store;
  const blob = sampleBlob(1, 100);
  const manifest = sampleManifest([blob]);
  for (const { digest, bytes } of [blob, manifest]) await content.put(digest, bytes);
  catalog.addManifest(manifest);
  const nothing = { sizeBytes: undefined, mediaType: undefined };
  const orphan = sampleDigest('never came');
  catalog.link(scope, [{ digest: manifest.digest, ...nothing }]);
  catalog.link(scope, [{ digest: orphan, ...nothing }], 'confirmed');
  catalog.setTag(scope, 'unknown', 'any', { digest: orphan, checkedAtMs: fixture.clock.now() });
  fixture.clock.setBy(-5 * yearMs);
  catalog.touch(blob.digest);
  fixture.clock.advance(5000);
  assert.equal(catalog.linked(scope, orphan), undefined);
  assert.equal(catalog.tag(scope, 'unknown', 'any'), undefined);
  assert.notEqual(catalog.linked(scope, manifest.digest), undefined);
});
