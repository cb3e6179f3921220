import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** What V8 writes (`node --cpu-prof`), as far as it is read here. */
interface ProfileFile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  }[];
  /** In µs of the machine's monotonic clock. */
  readonly startTime: number;
  /** Ids of the nodes on top of the stack, one for each sample. */
  readonly samples: readonly number[];
  /** Before each sample, in µs. */
  readonly timeDeltas: readonly number[];
}

/** Where time went: a function itself, without what it calls. */
export interface SelfTime {
  readonly name: string;
  /** `file:line`, or nothing for what V8 does itself. */
  readonly place: string;
  readonly selfMs: number;
  /** Of the time in which its thread was not idle. */
  readonly share: number;
}

export interface CpuProfile {
  /** Of all threads together. */
  readonly busyMs: number;
  readonly idleMs: number;
  /** Of each thread, the busiest first. */
  readonly threads: readonly { readonly busyMs: number; readonly idleMs: number }[];
  /** The most first. */
  readonly functions: readonly SelfTime[];
}

/** Of the machine's monotonic clock, in ns: what was before and after is left out. */
export interface ProfileWindow {
  readonly fromNs: number;
  readonly toNs: number;
}

const idle = '(idle)';
const always: ProfileWindow = { fromNs: 0, toNs: Number.POSITIVE_INFINITY };

/** All profiles of a folder together: a process writes one for each of its threads. */
export async function readProfiles(folder: string, window: ProfileWindow = always): Promise<CpuProfile> {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.cpuprofile'));
  const files = await Promise.all(names.map(async (name) => JSON.parse(await readFile(join(folder, name), 'utf8'))));
  return summariseProfiles(files as ProfileFile[], window);
}

export function summariseProfiles(files: readonly ProfileFile[], window: ProfileWindow = always): CpuProfile {
  const threads = files.map((file) => functionsOf([file], window));
  const { busyMs, idleMs, functions } = functionsOf(files, window);
  return {
    busyMs,
    idleMs,
    threads: threads.map((own) => ({ busyMs: own.busyMs, idleMs: own.idleMs })).sort((a, b) => b.busyMs - a.busyMs),
    functions,
  };
}

function functionsOf(files: readonly ProfileFile[], { fromNs, toNs }: ProfileWindow): Omit<CpuProfile, 'threads'> {
  const totals = new Map<string, { name: string; place: string; us: number }>();
  for (const { nodes, samples, timeDeltas, startTime } of files) {
    const frames = new Map(nodes.map(({ id, callFrame }) => [id, callFrame]));
    let atUs = startTime;
    for (const [n, id] of samples.entries()) {
      atUs += timeDeltas[n] ?? 0;
      if (atUs * 1000 < fromNs || atUs * 1000 > toNs) continue;
      const { functionName, url = '', lineNumber = 0 } = frames.get(id) ?? { functionName: '(unknown)' };
      const place = url === '' ? '' : `${shortened(url)}:${lineNumber + 1}`;
      const name = functionName || '(anonymous)';
      const total = totals.get(`${name} ${place}`) ?? { name, place, us: 0 };
      // A sample stands for the time until the next one.
      total.us += Math.max(0, timeDeltas[n + 1] ?? 0);
      totals.set(`${name} ${place}`, total);
    }
  }
  const all = [...totals.values()];
  const idleMs = (all.find(({ name }) => name === idle)?.us ?? 0) / 1000;
  const busyMs = all.reduce((sum, { us }) => sum + us, 0) / 1000 - idleMs;
  const functions = all
    .filter(({ name }) => name !== idle)
    .map(({ name, place, us }) => ({ name, place, selfMs: us / 1000, share: us / 1000 / busyMs }))
    .sort((a, b) => b.selfMs - a.selfMs);
  return { busyMs, idleMs, functions };
}

/** Without where the checkout lies. */
function shortened(url: string): string {
  return url.replace(/^file:\/\/.*\/(src|bench|test|dist)\//, '$1/').replace(/^file:\/\/.*\/node_modules\//, '');
}
