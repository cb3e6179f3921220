import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type Digest, digestOf, hexOf } from '../../core/digest.ts';
import { FsStoreFixture } from '../testing/fs-store-fixture.ts';
import { sampleBlob } from '../testing/sample-content.ts';
import { readFully } from './file-io.ts';
import { digestOfFileName } from './layout.ts';

const child = fileURLToPath(new URL('../testing/commit-until-killed.ts', import.meta.url));
const blobBytes = 300_000;
const rounds = 3;
const commitsPerRound = 6;

/** Lets a process commit until it has done so for a while, and kills it. Returns the seeds of what it committed. */
async function commitAndKill(path: string, firstSeed: number): Promise<number[]> {
  const committer = spawn(process.execPath, [child, path, String(firstSeed)], { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = once(committer, 'exit');
  const seeds: number[] = [];
  for await (const line of createInterface({ input: committer.stdout })) {
    seeds.push(Number(line));
    if (seeds.length === commitsPerRound) committer.kill('SIGKILL');
  }
  await exited;
  return seeds;
}

describe('a process killed in the middle of commits', () => {
  it('leaves only whole content, keeps what it committed, and its partial files resume', async () => {
    await using fixture = await FsStoreFixture.create();
    for (let round = 0; round < rounds; round++) {
      await fixture.close();
      const seeds = await commitAndKill(fixture.layout.root, round * 1000);
      const { content, settled } = await fixture.open();
      const contentOf = new Map<Digest, Uint8Array>();
      for (let seed = round * 1000; seed <= Math.max(...seeds) + 8; seed++) {
        const { digest, bytes } = sampleBlob(seed, blobBytes);
        contentOf.set(digest, bytes);
        if (seeds.includes(seed)) assert.equal(await content.sizeOf(digest), blobBytes, `blob ${seed} was committed`);
      }
      await settled;
      await assertAllWhole(fixture);
      await resumeAll(fixture, contentOf);
    }
    assert.equal(fixture.store.stats().leftoverPartials, 0);
  });
});

async function assertAllWhole({ layout, store }: FsStoreFixture): Promise<void> {
  const names = await readdir(layout.blobFolder('sha256'));
  for (const name of names) {
    assert.equal(hexOf(digestOf(await readFile(`${layout.blobFolder('sha256')}/${name}`))), name);
  }
  assert.equal(store.stats().blobs, names.length);
}

async function resumeAll({ layout, store }: FsStoreFixture, contentOf: Map<Digest, Uint8Array>): Promise<void> {
  for (const name of (await readdir(layout.ingest)).filter((file) => file.endsWith('.part'))) {
    const digest = digestOfFileName(name.replace('.part', ''));
    const bytes = digest && contentOf.get(digest);
    assert.ok(digest && bytes, `${name} is of this round`);
    const partial = await store.content.openPartial(digest);
    const { start, end } = partial.resumed.filled[0] ?? { start: 0, end: 0 };
    const resumed = new Uint8Array(end - start);
    await readFully(partial.fd, resumed, start);
    assert.deepEqual(resumed, bytes.subarray(start, end));
    await partial.write(bytes.subarray(end), end);
    await partial.commit(blobBytes);
    await partial.close();
  }
}
