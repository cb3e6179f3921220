import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { describe, it } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { VirtualClock } from '../../core/testing/virtual-clock.ts';
import { sampleDigest } from '../testing/sample-content.ts';
import { tempFolder } from '../testing/temp-folder.ts';
import { adoptStored } from './blob-walk.ts';
import { digestAlgorithms, Layout } from './layout.ts';

const files = 1000;

/** A folder of stored files, of which the catalog knows all but the first. Looking one up takes `lookUpMs`. */
async function world(lookUpMs: number) {
  const folder = await tempFolder();
  const layout = new Layout(folder.path);
  for (const algorithm of digestAlgorithms) await mkdir(layout.blobFolder(algorithm), { recursive: true });
  const digests = Array.from({ length: files }, (_, n) => sampleDigest(`blob ${n}`));
  for (const digest of digests) await writeFile(layout.blob(digest), '');
  const clock = new VirtualClock();
  const seen = { found: 0, adopted: [] as string[] };
  const blobs = {
    find: (digest: string) => {
      seen.found++;
      clock.advance(lookUpMs);
      return digest === digests[0] ? undefined : {};
    },
  };
  const content = {
    adopt: async (digest: string) => {
      seen.adopted.push(digest);
      return 0;
    },
  };
  const abort = new AbortController();
  const walk = (share: number) => adoptStored({ clock, layout, blobs, content }, { share }, abort.signal);
  return { clock, seen, walk, abort, unknown: digests[0], [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose]() };
}

describe('the walk over stored files', () => {
  it('adopts what has no row, and takes no turn for what has one', async () => {
    await using it = await world(0);
    assert.equal(await it.walk(0.2), true);
    assert.equal(it.seen.found, files);
    assert.deepEqual(it.seen.adopted, [it.unknown]);
  });

  it('rests after a few files for as long as its share of the time says', async () => {
    await using it = await world(0.01);
    const walked = it.walk(0.1);
    let [before, mostAtOnce] = [0, 0];
    for (let isOver = false; !isOver; ) {
      await nextTurn();
      mostAtOnce = Math.max(mostAtOnce, it.seen.found - before);
      before = it.seen.found;
      if (it.clock.nextDueInMs !== undefined) it.clock.advance(it.clock.nextDueInMs);
      isOver = await Promise.race([walked.then(() => true), nextTurn(false)]);
    }
    assert.ok(mostAtOnce <= 128, `${mostAtOnce} files in one turn`);
    // 10 ms of looking things up are a tenth of 100.
    assert.ok(it.clock.monotonic() > 95 && it.clock.monotonic() < 105, `${it.clock.monotonic()} ms`);
  });

  it('ends at once where it is told to while it rests', async () => {
    await using it = await world(0.01);
    const walked = it.walk(0.1);
    while (it.clock.pending === 0) await nextTurn();
    it.abort.abort();
    assert.equal(await walked, false);
    assert.equal(it.clock.pending, 0);
    assert.ok(it.seen.found < files);
  });
});
