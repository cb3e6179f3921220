import assert from 'node:assert/strict';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Interval } from '../../core/byte-range.ts';
import { type Digest, digestOf } from '../../core/digest.ts';
import { IntervalSet } from '../../core/interval-set.ts';
import { VirtualClock } from '../../core/testing/virtual-clock.ts';
import { Channels } from '../../telemetry/channels.ts';
import type { ContentStore, PartialBlob } from '../content-store.ts';
import type { Disk } from '../fs/disk.ts';
import { readFully } from '../fs/file-io.ts';
import { digestOfFileName, Layout } from '../fs/layout.ts';
import { nodeDisk } from '../fs/node-disk.ts';
import { type FsStore, openFsStore } from '../fs/open-fs-store.ts';
import type { CrashState, Survival } from './crash-model.ts';
import { CrashingDisk } from './crashing-disk.ts';
import { historyContent, historyMaxBytes, type Promised, PromiseLedger, StoreHistory } from './store-history.ts';
import { memoryFolder, tempFolder } from './temp-folder.ts';

const options = { scrubBytesPerSecond: 0, verifyAfterMs: 1e9, syncEveryBytes: 8000 };
const statesAtOnce = 4;

/** What is tested here is what a crash leaves, not whether the next one is survived: no need to wait for the real disk. */
const hastyDisk = (boot: string): Disk => ({
  ...nodeDisk,
  boot: async () => boot,
  async open(path, as) {
    const file = await nodeDisk.open(path, as);
    return Object.assign(file, { sync: async () => {} });
  },
  syncFolder: async () => {},
});

/** A store's life on a disk that noted every change of it. */
export interface Life {
  readonly disk: CrashingDisk;
  readonly ledger: PromiseLedger;
  readonly root: string;
  everyStep<T>(make: (step: number) => T): T[];
}

export async function live(): Promise<Life> {
  await using folder = await tempFolder(memoryFolder());
  const root = join(folder.path, 'data');
  const { catalog } = new Layout(root);
  const disk = new CrashingDisk({ beside: ['', '-wal', '-shm'].map((suffix) => `${catalog}${suffix}`) });
  const clock = new VirtualClock();
  const ledger = new PromiseLedger(() => disk.steps);
  const open = () =>
    openFsStore({ clock, channels: new Channels(), disk }, { path: root, maxSizeBytes: historyMaxBytes, ...options });
  await StoreHistory.live(open, clock, ledger);
  const everyStep = <T>(make: (step: number) => T) => Array.from({ length: disk.steps + 1 }, (_, step) => make(step));
  return { disk, ledger, root, everyStep };
}

/** How a life ends, and what is found after it. */
export interface Crash {
  readonly step: number;
  readonly how: string;
  readonly survival: Survival;
  /** What became of the catalog's files. */
  readonly catalog: (state: CrashState, root: string) => CrashState;
}

/** Puts the state into a folder of its own, and a store there. */
async function survive(life: Life, crash: Crash, check: (store: FsStore, layout: Layout) => Promise<void>) {
  // First of all, while it is our turn at chance: what a seed brings must not hang on who is faster.
  const state = crash.catalog(life.disk.crash(crash.step, crash.survival), life.root);
  await using folder = await tempFolder(memoryFolder());
  const moved = (path: string) => join(folder.path, path.slice(dirname(life.root).length));
  for (const path of state.folders) await mkdir(moved(path), { recursive: true });
  for (const [path, bytes] of state.files) await writeFile(moved(path), bytes);
  const path = join(folder.path, 'data');
  const layout = new Layout(path);
  try {
    {
      await using store = await openFsStore(
        {
          clock: new VirtualClock(),
          channels: new Channels(),
          disk: hastyDisk(crash.survival.kind === 'all' ? 'before the crash' : 'after the crash'),
        },
        { path, maxSizeBytes: 1e9, ...options },
      );
      await store.settled;
      await check(store, layout);
    }
    assert.deepEqual(await readdir(layout.ingest), [], 'files of fills are left');
  } catch (error) {
    const at = `step ${crash.step} (${life.disk.describe(crash.step)}), ${crash.how}`;
    throw new Error(`after ${at}: ${error instanceof Error ? error.message : error}`, { cause: error });
  }
}

async function assertSound(store: FsStore, layout: Layout, promised: Promised, isPowerLoss: boolean): Promise<void> {
  await assertNoStrays(store, layout);
  for (const [digest, bytes] of historyContent) {
    const isServed = await isServedRight(store, digest);
    assert.ok(isServed || !promised.kept.has(digest), `${digest} was committed and is gone`);
    const toFind = isPowerLoss ? promised.safe : promised.filled;
    if (isServed) continue;
    await goOn(store, { digest, bytes, toFind: toFind.get(digest) ?? [], isWrong: promised.wrong.has(digest) });
  }
}

/** Whatever is served to the end is right. */
async function isServedRight({ content }: FsStore, digest: Digest): Promise<boolean> {
  const blob = await content.open(digest);
  if (blob === undefined) return false;
  try {
    if (blob.proof !== undefined && !(await blob.proof.then(() => true).catch(() => false))) return false;
    const bytes = new Uint8Array(blob.sizeBytes);
    await readFully(blob.fd, bytes, 0);
    assert.equal(digestOf(bytes), digest, 'wrong content is served');
    return true;
  } finally {
    blob.close();
  }
}

interface Left {
  readonly digest: Digest;
  readonly bytes: Uint8Array;
  readonly toFind: readonly Interval[];
  readonly isWrong: boolean;
}

/** What a fill finds is right, now and in the process after a next kill, and its content can be completed. */
async function goOn({ content }: FsStore, { digest, bytes, toFind, isWrong }: Left): Promise<void> {
  for (let processes = 0; processes < 2; processes++) {
    await using partial = await openFill(content, digest);
    const { filled } = partial.resumed;
    for (const { start, end } of isWrong ? [] : filled) {
      const there = new Uint8Array(end - start);
      await readFully(partial.fd, there, start);
      assert.ok(Buffer.from(there).equals(bytes.subarray(start, end)), `wrong bytes in ${start}-${end} of ${digest}`);
    }
    const found = new IntervalSet(filled);
    for (const { start, end } of toFind) {
      assert.ok(
        found.endFrom(start) >= end,
        `${start}-${end} of ${digest} is lost; there is ${JSON.stringify(filled)}`,
      );
    }
    await partial.record(filled, bytes.byteLength);
  }
  await using partial = await openFill(content, digest);
  await partial.write(bytes, 0);
  await partial.commit(bytes.byteLength);
}

async function openFill(content: ContentStore, digest: Digest): Promise<PartialBlob & AsyncDisposable> {
  const partial = await content.openPartial(digest);
  return Object.assign(partial, { [Symbol.asyncDispose]: () => partial.close() });
}

/** Everything in `ingest/` is of a fill that can go on. */
async function assertNoStrays(store: FsStore, layout: Layout): Promise<void> {
  const names = await readdir(layout.ingest);
  const stems = names.filter((name) => name.endsWith('.part')).map((name) => name.replace('.part', ''));
  assert.equal(store.stats().leftoverPartials, stems.length);
  assert.deepEqual(names.sort(), stems.flatMap((stem) => [`${stem}.json`, `${stem}.part`]).sort());
  for (const stem of stems) {
    const digest = digestOfFileName(stem);
    assert.ok(digest);
    assert.equal(await store.content.open(digest), undefined, `${stem} is complete and yet being filled`);
    const partial = await store.content.openPartial(digest);
    assert.notDeepEqual(partial.resumed.filled, [], `${stem} is of no use to anybody`);
    await partial.close();
  }
}

export const asItWas = (state: CrashState): CrashState => state;

/** Opens a store on what each crash left, and holds it to what was promised before. */
export async function surviveAll(life: Life, crashes: readonly Crash[]): Promise<void> {
  const left = crashes.values();
  const worker = async () => {
    for (const crash of left) {
      const promised = life.ledger.after(crash.step);
      const isPowerLoss = crash.survival.kind !== 'all';
      await survive(life, crash, (store, layout) => assertSound(store, layout, promised, isPowerLoss));
    }
  };
  await Promise.all(Array.from({ length: statesAtOnce }, worker));
}
