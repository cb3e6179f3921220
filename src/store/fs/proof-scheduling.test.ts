import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { setImmediate as nextTick } from 'node:timers/promises';
import type { Digest } from '../../core/digest.ts';
import type { StoredBlob } from '../content-store.ts';
import { sampleBlob } from '../testing/sample-content.ts';
import { tempFolder } from '../testing/temp-folder.ts';
import { type HeldFile, OpenFiles } from './open-files.ts';
import { Proofs, type ProofsOptions } from './proofs.ts';

/** Files of a few chunks each, and what was told of them. */
async function proofsOf(options: Partial<ProofsOptions> = {}) {
  const folder = await tempFolder();
  const files = new OpenFiles();
  const right: Digest[] = [];
  const condemned: string[] = [];
  const ledger = { isProved: () => false, right: (digest: Digest) => void right.push(digest) };
  const condemn = async (_: HeldFile, reason: string) => void condemned.push(reason);
  const proofs = new Proofs({ ledger, condemn }, { atOnce: 2, chunkBytes: 64 * 1024, nearlyDoneBytes: 0, ...options });
  const open = async (seed: number, sizeBytes = 2_000_000): Promise<StoredBlob> => {
    const { digest, bytes } = sampleBlob(seed, sizeBytes);
    const shared = files.share(digest);
    if (shared !== undefined) return proofs.serve(shared);
    const path = join(folder.path, String(seed));
    await writeFile(path, bytes);
    const held = await files.open(digest, path);
    assert.ok(held);
    return proofs.serve(held);
  };
  return {
    files,
    proofs,
    right,
    condemned,
    open,
    [Symbol.asyncDispose]: async () => {
      await proofs[Symbol.asyncDispose]();
      await files[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
}

const endOf = (blob: StoredBlob): Promise<unknown> =>
  (blob.proof ?? Promise.resolve()).then(
    () => 'right',
    (e) => e,
  );

describe('proofs', () => {
  it('run so many at once, in the order in which they were asked for', async () => {
    await using world = await proofsOf({ atOnce: 1 });
    const blobs = [];
    for (const seed of [1, 2, 3, 4]) blobs.push(await world.open(seed));
    await Promise.all(blobs.map(endOf));
    assert.deepEqual(
      world.right,
      [1, 2, 3, 4].map((seed) => sampleBlob(seed, 2_000_000).digest),
    );
    for (const blob of blobs) blob.close();
  });

  it('that nobody waits for any more are cancelled: at once in the queue, else at the next chunk', async () => {
    await using world = await proofsOf({ atOnce: 1 });
    const [running, waiting] = [await world.open(1), await world.open(2)];
    const ends = Promise.all([endOf(running), endOf(waiting)]);
    waiting.close();
    assert.equal(world.files.isOpen(waiting.digest), false);
    running.close();
    for (const end of await ends) assert.equal((end as { code?: unknown }).code, 'CANCELLED');
    assert.equal(world.files.isOpen(running.digest), false);
    assert.deepEqual([world.right, world.condemned], [[], []]);
  });

  it('go on for who opens the file again before the end of its last reader was noticed', async () => {
    await using world = await proofsOf();
    const first = await world.open(1);
    first.close();
    const second = await world.open(1);
    assert.equal(await endOf(second), 'right');
    second.close();
  });

  it('of which little is left are finished for nobody', async () => {
    await using world = await proofsOf({ nearlyDoneBytes: 3_000_000 });
    const blob = await world.open(1);
    const end = endOf(blob);
    blob.close();
    assert.equal(await end, 'right');
    assert.equal(world.files.isOpen(blob.digest), false);
  });

  it('never hold the event loop for the whole of a blob', async () => {
    await using world = await proofsOf();
    const blob = await world.open(1, 8_000_000);
    let ticks = 0;
    let isDone = false;
    const end = endOf(blob).finally(() => {
      isDone = true;
    });
    while (!isDone) {
      await nextTick();
      ticks++;
    }
    assert.equal(await end, 'right');
    assert.ok(ticks > 20, `only ${ticks} turns of the event loop`);
    blob.close();
  });

  it('of an empty blob, and of one of a chunk or a byte more, are right', async () => {
    await using world = await proofsOf();
    for (const [seed, size] of [0, 64 * 1024, 64 * 1024 + 1].entries()) {
      const blob = await world.open(seed, size);
      assert.equal(await endOf(blob), 'right', `${size} bytes`);
      blob.close();
    }
  });

  it('end with the store, whoever waits', async () => {
    const world = await proofsOf({ atOnce: 1, nearlyDoneBytes: 1e9 });
    const blobs = [await world.open(1), await world.open(2)];
    const ends = Promise.all(blobs.map(endOf));
    await world[Symbol.asyncDispose]();
    for (const end of await ends) assert.equal((end as { code?: unknown }).code, 'CANCELLED');
    for (const blob of blobs) blob.close();
  });
});
