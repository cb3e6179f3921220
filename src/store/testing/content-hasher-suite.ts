import assert from 'node:assert/strict';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { digestOf } from '../../core/digest.ts';
import type { ContentHasher } from '../content-hasher.ts';
import { sampleBytes } from './sample-content.ts';
import { tempFolder } from './temp-folder.ts';

/** A file with some content, open for reading. */
export async function sampleFile(bytes: Uint8Array): Promise<{ readonly file: FileHandle } & AsyncDisposable> {
  const folder = await tempFolder();
  const file = await open(join(folder.path, 'content'), 'w+');
  await file.write(bytes);
  return {
    file,
    async [Symbol.asyncDispose]() {
      await file.close();
      await folder[Symbol.asyncDispose]();
    },
  };
}

/** What every hasher does. */
export function contentHasherSuite(name: string, factory: () => ContentHasher & Partial<AsyncDisposable>): void {
  const bytes = sampleBytes(1, 20_000_001);
  const digest = digestOf(bytes);

  function behaves(behaviour: string, test: (hasher: ContentHasher, file: FileHandle) => Promise<void>): void {
    it(behaviour, async () => {
      const hasher = factory();
      await using sample = await sampleFile(bytes);
      try {
        await test(hasher, sample.file);
      } finally {
        await hasher[Symbol.asyncDispose]?.();
      }
    });
  }

  describe(`${name}: a hash`, () => {
    behaves('is that of all bytes, in however many steps it got there', async (hasher, { fd }) => {
      const hash = hasher.begin(digest, fd);
      for (const to of [0, 1, 1, 300_000, 300_000 + 2 ** 18, 15_000_000]) await hash.advance(to);
      assert.equal(await hash.finish(bytes.length), digest);
      assert.equal(await hasher.begin(digest, fd).finish(bytes.length), digest);
    });

    behaves('can end where it has come to, at the beginning too', async (hasher, { fd }) => {
      const hash = hasher.begin(digest, fd);
      await hash.advance(1000);
      assert.equal(await hash.finish(1000), digestOf(bytes.subarray(0, 1000)));
      assert.equal(await hasher.begin(digest, fd).finish(0), digestOf(new Uint8Array()));
    });

    behaves('is of the algorithm that is asked for', async (hasher, { fd }) => {
      const long = digestOf(bytes, 'sha512');
      assert.equal(await hasher.begin(long, fd).finish(bytes.length), long);
    });

    behaves('goes over what is written while it runs, once it is told', async (hasher, file) => {
      await file.truncate(1000);
      const hash = hasher.begin(digest, file.fd);
      await hash.advance(1000);
      await file.write(bytes, 1000, bytes.length - 1000, 1000);
      assert.equal(await hash.finish(bytes.length), digest);
    });

    behaves('of many files goes on beside each other', async (hasher, { fd }) => {
      const hashes = Array.from({ length: 10 }, async (_, index) => {
        const hash = hasher.begin(digest, fd);
        for (let to = index; to < bytes.length; to += 3_000_000) await hash.advance(to);
        return hash.finish(bytes.length - index);
      });
      const found = await Promise.all(hashes);
      assert.deepEqual(
        found,
        found.map((_, index) => digestOf(bytes.subarray(0, bytes.length - index))),
      );
    });

    behaves('says what is wrong with a file that does not give its bytes', async (hasher, file) => {
      const beyond = hasher.begin(digest, file.fd);
      await assert.rejects(beyond.finish(bytes.length + 1), { code: 'STORAGE_FAILED', message: /shorter/ });
      await beyond.end();
      const nowhere = hasher.begin(digest, 1_000_000);
      await assert.rejects(nowhere.advance(1), { code: 'STORAGE_FAILED', message: /cannot be read/ });
      await nowhere.end();
    });

    behaves('that is ended has left the file when that resolves, and does not go on', async (hasher, { fd }) => {
      const hash = hasher.begin(digest, fd);
      const outcome = hash.finish(bytes.length).then(
        () => 'finished',
        ({ code }) => code,
      );
      const ended = hash.end();
      assert.equal(await outcome, 'CANCELLED');
      await ended;
      await hash.end();
      await assert.rejects(hash.advance(1), { code: 'CANCELLED' });
    });
  });
}
