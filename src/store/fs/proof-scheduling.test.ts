import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { setImmediate as nextTick } from 'node:timers/promises';
import type { Digest } from '../../core/digest.ts';
import { AppError } from '../../core/errors.ts';
import { Random } from '../../flights/testing/random.ts';
import type { ContentHasher } from '../content-hasher.ts';
import type { StoredBlob } from '../content-store.ts';
import { InlineHasher } from '../hashing/inline-hasher.ts';
import { sampleBlob } from '../testing/sample-content.ts';
import { tempFolder } from '../testing/temp-folder.ts';
import { type HeldFile, OpenFiles } from './open-files.ts';
import { Proofs, type ProofsOptions } from './proofs.ts';

/** Files of a few chunks each, and what was told of them. */
async function proofsOf(options: Partial<ProofsOptions> = {}, hasher: ContentHasher = new InlineHasher()) {
  const folder = await tempFolder();
  const files = new OpenFiles();
  const right: Digest[] = [];
  const condemned: string[] = [];
  const ledger = { isProved: () => false, right: (digest: Digest) => void right.push(digest) };
  const condemn = async (_: HeldFile, reason: string) => void condemned.push(reason);
  const proofs = new Proofs(
    { hasher, ledger, condemn },
    { atOnce: 2, chunkBytes: 64 * 1024, nearlyDoneBytes: 0, ...options },
  );
  const open = async (seed: number, sizeBytes = 2_000_000): Promise<StoredBlob> => {
    const { digest, bytes } = sampleBlob(seed, sizeBytes);
    const shared = files.share(digest);
    if (shared !== undefined) return proofs.serve(shared);
    const path = join(folder.path, String(seed));
    await writeFile(path, bytes);
    const held = await files.open(digest, path, () => true);
    assert.ok(held);
    return proofs.serve(held);
  };
  /** One of each size, before any of them has begun to be hashed; the first runs then. */
  const openAll = async (sizes: readonly number[]): Promise<StoredBlob[]> => {
    const held: HeldFile[] = [];
    for (const [seed, sizeBytes] of sizes.entries()) {
      const { digest, bytes } = sampleBlob(seed, sizeBytes);
      const path = join(folder.path, `all-${seed}`);
      await writeFile(path, bytes);
      const file = await files.open(digest, path, () => true);
      if (file !== undefined) held.push(file);
    }
    return held.map((file) => proofs.serve(file));
  };
  return {
    files,
    proofs,
    openAll,
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

function digestOf(blobs: readonly StoredBlob[], sizeBytes: number): Digest | undefined {
  return blobs.find((blob) => blob.sizeBytes === sizeBytes)?.digest;
}

describe('proofs', () => {
  it('that cannot be made say nothing of the content', async () => {
    const fails = () => Promise.reject(new AppError('SHUTTING_DOWN', 'no more threads'));
    await using world = await proofsOf({}, { begin: () => ({ advance: fails, finish: fails, end: async () => {} }) });
    const blob = await world.open(1);
    assert.match(String(await endOf(blob)), /no more threads/);
    assert.deepEqual([world.right, world.condemned], [[], []]);
    blob.close();
  });

  it('are forgotten where they are made as soon as they are over, however that came', async () => {
    let open = 0;
    const inline = new InlineHasher();
    const hasher: ContentHasher = {
      begin(digest, fd) {
        const hash = inline.begin(digest, fd);
        open++;
        const end = async () => {
          open--;
          await hash.end();
        };
        return { advance: (to) => hash.advance(to), finish: (to) => hash.finish(to), end };
      },
    };
    await using world = await proofsOf({ atOnce: 1 }, hasher);
    const [first, second, third] = await Promise.all([world.open(1), world.open(2), world.open(3)]);
    second?.close();
    if (third !== undefined) await endOf(third);
    // Its readers hear of it first.
    while (open > 0) await new Promise((resolve) => setImmediate(resolve));
    first?.close();
    third?.close();
  });

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

  it('of small blobs go before those of large ones', async () => {
    await using world = await proofsOf({ atOnce: 1 });
    const sizes = [3_000_000, 2_000_000, 70_000, 200_000];
    const blobs = await world.openAll(sizes);
    await Promise.all(blobs.map(endOf));
    assert.deepEqual(
      world.right,
      [70_000, 200_000, 2_000_000, 3_000_000].map((size) => digestOf(blobs, size)),
    );
    for (const blob of blobs) blob.close();
  });

  it('that somebody waits for go before all others, however large they are', async () => {
    await using world = await proofsOf({ atOnce: 1 });
    const blobs = await world.openAll([1_000_000, 500_000, 2_000_000, 70_000]);
    blobs.find(({ sizeBytes }) => sizeBytes === 2_000_000)?.hurry();
    await Promise.all(blobs.map(endOf));
    assert.equal(world.right[0], digestOf(blobs, 2_000_000));
    for (const blob of blobs) blob.close();
  });

  it('of large blobs do not wait for ever behind small ones that keep coming', async () => {
    await using world = await proofsOf({ atOnce: 1 });
    const large = await world.open(1, 1_000_000);
    large.hurry();
    let isProven = false;
    const end = endOf(large).finally(() => {
      isProven = true;
    });
    let small = 0;
    for (; !isProven && small < 400; small++) {
      const blob = await world.open(100 + small, 60_000);
      blob.hurry();
      void endOf(blob).then(() => blob.close());
    }
    assert.equal(await end, 'right');
    assert.ok(small < 400, 'it waited for all of them');
    large.close();
  });

  it('that give way and are left meanwhile are cancelled, and nothing is held for them', async () => {
    await using world = await proofsOf({ atOnce: 1 });
    const [large, small] = [await world.open(1, 8_000_000), await world.open(2, 1_000_000)];
    const ends = Promise.all([endOf(large), endOf(small)]);
    small.hurry();
    large.close();
    const [left, right] = await ends;
    assert.equal((left as { code?: unknown }).code, 'CANCELLED');
    assert.equal(right, 'right');
    assert.equal(world.files.isOpen(large.digest), false);
    small.close();
    assert.equal(world.files.isOpen(small.digest), false);
  });

  it('end rightly in whatever order they are asked for, hurried and left, and hold nothing then', async () => {
    const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
    const random = new Random(seed);
    for (let history = 0; history < 20; history++) {
      await using world = await proofsOf({
        atOnce: 1 + random.below(3),
        nearlyDoneBytes: random.pick([0, 300_000]) ?? 0,
      });
      const ends: Promise<unknown>[] = [];
      const open: StoredBlob[] = [];
      for (let step = 0; step < 60; step++) {
        const chance = random.next();
        const seed = random.below(12);
        if (chance < 0.4) open.push(await world.open(seed, 1 + seed * 90_000));
        else if (chance < 0.6) random.pick(open)?.hurry();
        else if (chance < 0.8) open.splice(random.below(open.length + 1), 1)[0]?.close();
        else await nextTick();
        if (chance < 0.4) ends.push(endOf(open.at(-1) as StoredBlob));
      }
      for (const blob of open)
        assert.equal(await endOf(blob), 'right', `SEED=${seed}: somebody waits, and it is cancelled`);
      for (const blob of open) blob.close();
      await Promise.all(ends);
      await world.proofs[Symbol.asyncDispose]();
      assert.deepEqual([...world.files.entries()], [], `SEED=${seed}: held for nobody`);
      assert.deepEqual(world.condemned, []);
    }
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
