import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { buildImage, type Content } from '../../src/cli/demo/image.ts';
import type { Digest } from '../../src/core/digest.ts';
import { digestOf } from '../../src/core/digest.ts';
import { Random } from '../../src/flights/testing/random.ts';
import { Layout } from '../../src/store/fs/layout.ts';
import { parseIndex } from '../../src/store/fs/layout-index.ts';
import { Leaks } from '../support/leaks.ts';
import { OnepullProcess } from '../support/onepull-process.ts';
import { pull } from '../support/pull.ts';
import { ScriptedRegistry } from '../support/scripted-registry.ts';
import { blobFile, fillsIn } from './world.ts';

const kills = 12;
const clientsPerImage = 3;
const blockBytes = 4096;

const shared = 'kills-anywhere';
const images = [
  buildImage({ seed: `${shared}-a`, layerSizes: [6_000_000, 900_000, 40_000] }),
  buildImage({ seed: `${shared}-b`, layerSizes: [9_000_000, 300_000] }),
  buildImage({ seed: `${shared}-c`, layerSizes: [2_500_000, 2_500_000, 2_500_000, 1000] }),
];
const contents: readonly Content[] = images.flatMap(({ manifest, config, layers }) => [manifest, config, ...layers]);
const totalBytes = images.reduce((sum, image) => sum + image.totalBytes, 0);

test(`kill -9 at ${kills} moments of pulls and of starts: nothing is fetched twice but what sockets held, and in the end all is right`, async (t) => {
  const seed = Number(process.env.ONEPULL_TEST_SEED ?? Date.now() % 1_000_000);
  t.diagnostic(`ONEPULL_TEST_SEED=${seed}`);
  const random = new Random(seed);
  const leaks = await Leaks.watch();
  {
    await using registry = await ScriptedRegistry.start({ bytesPerSecond: 16_000_000 });
    for (const [index, image] of images.entries()) registry.content.add(`org/app-${index}`, image, 'v1');
    const upstreams = { 'demo.example': { url: registry.url, default: true } };
    await using onepull = await OnepullProcess.start({ upstreams });
    const layout = new Layout(onepull.dataFolder);
    const committed = new Set<string>();
    let againBytes = 0;
    let blocksFound = 0;
    for (let round = 0; round < kills; round++) {
      const there = await bytesOnDisk(layout);
      blocksFound += [...there.values()].reduce((sum, blocks) => sum + blocks.size, 0);
      const bodiesBefore = registry.tally.bodies().length;
      if (round % 4 === 3) await killWhileItStarts(onepull, random);
      else await killInABurst(onepull, registry, random.below((1.2 * totalBytes) / kills));
      againBytes += overlapBytes(registry.tally.bodies().slice(bodiesBefore), there);
      await assertKept(layout, committed);
      // A start that is broken off may not say so: there is one that is not.
      await onepull.startAgain();
    }
    const foundBytes = blocksFound * blockBytes;
    t.diagnostic(`${foundBytes} bytes of fills were found on disk; of these ${againBytes} were fetched again`);
    assert.ok(foundBytes > 0, 'no kill left a fill');
    assert.ok(againBytes <= 0.02 * totalBytes, `${againBytes} bytes on disk were fetched again`);
    for (const outcome of await burst(onepull))
      assert.equal(outcome.status, 'fulfilled', String(Object(outcome).reason));
    await onepull.admin.assertIdle();
    for (const { digest } of contents) {
      assert.equal(digestOf(await readFile(blobFile(onepull.dataFolder, digest))), digest);
    }
    assert.deepEqual(await readdir(layout.quarantine), []);
    assert.deepEqual(await onepull.terminate(), { code: 0, signal: null });
    assert.deepEqual(await fillsIn(onepull.dataFolder), []);
    assert.deepEqual(await readdir(layout.ingest), []);
    const tags = parseIndex(await readFile(layout.index, 'utf8')).filter(({ tag }) => tag?.tag === 'v1');
    assert.equal(new Set(tags.map(({ digest }) => digest)).size, images.length);
  }
  await leaks.assertNone();
});

function burst(onepull: OnepullProcess) {
  const pulls = images.flatMap(({ layers: expected }, index) =>
    Array.from({ length: clientsPerImage }, () => pull(onepull.url, `org/app-${index}`, 'v1', { expected })),
  );
  return Promise.allSettled(pulls);
}

async function killInABurst(onepull: OnepullProcess, registry: ScriptedRegistry, afterBytes: number): Promise<void> {
  const before = registry.tally.bytesSent();
  const pulls = burst(onepull);
  await Promise.race([pulls, registry.tally.until((tally) => tally.bytesSent() - before >= afterBytes)]);
  assert.deepEqual(await onepull.killHard(), { code: null, signal: 'SIGKILL' });
  for (const outcome of await pulls) {
    if (outcome.status === 'rejected') assert.doesNotMatch(String(outcome.reason), /wrong bytes/);
  }
}

/** Some ms into the start, wherever that is. */
async function killWhileItStarts(onepull: OnepullProcess, random: Random): Promise<void> {
  await onepull.killHard();
  const starting = onepull.startAgain().catch(() => {});
  await delay(random.below(600));
  await onepull.killHard();
  await starting;
}

/** Which blocks of each fill's file hold what they should. */
async function bytesOnDisk(layout: Layout): Promise<Map<Digest, Set<number>>> {
  const there = new Map<Digest, Set<number>>();
  for (const { digest, bytes } of contents) {
    const part = await readFile(layout.partialData(digest)).catch(() => undefined);
    if (part === undefined) continue;
    const blocks = new Set<number>();
    for (let start = 0; start + blockBytes <= part.length; start += blockBytes) {
      const block = part.subarray(start, start + blockBytes);
      if (block.equals(bytes.subarray(start, start + blockBytes))) blocks.add(start / blockBytes);
    }
    there.set(digest, blocks);
  }
  return there;
}

function overlapBytes(
  bodies: readonly { readonly digest: Digest; readonly start: number; readonly sentBytes: number }[],
  there: ReadonlyMap<Digest, ReadonlySet<number>>,
): number {
  let blocks = 0;
  for (const { digest, start, sentBytes } of bodies) {
    for (const block of there.get(digest) ?? []) {
      if (block * blockBytes >= start && (block + 1) * blockBytes <= start + sentBytes) blocks++;
    }
  }
  return blocks * blockBytes;
}

/** Content that was there once stays; what is in the store is right; the index can be read. */
async function assertKept(layout: Layout, committed: Set<string>): Promise<void> {
  const folder = layout.blobFolder('sha256');
  const names = await readdir(folder);
  for (const name of committed) assert.ok(names.includes(name), `${name} was committed and is gone`);
  for (const name of names) {
    assert.equal(digestOf(await readFile(`${folder}/${name}`)), `sha256:${name}`);
    committed.add(name);
  }
  const index = await readFile(layout.index, 'utf8').catch(() => undefined);
  if (index !== undefined) parseIndex(index);
}
