import { readdir, readFile } from 'node:fs/promises';
import { type ProcessUse, processUse } from './cpu-time.ts';

/** What a process and all its descendants have used so far; undefined where the system does not tell. */
export async function treeUse(pid: number | undefined): Promise<ProcessUse | undefined> {
  if (pid === undefined) return undefined;
  const members = descendants(pid, await parents());
  const uses = (await Promise.all(members.map(processUse))).filter((use) => use !== undefined);
  if (uses.length === 0) return undefined;
  return {
    cpuMs: uses.reduce((sum, { cpuMs }) => sum + cpuMs, 0),
    peakMemoryBytes: uses.reduce((sum, { peakMemoryBytes }) => sum + peakMemoryBytes, 0),
  };
}

/** `root` and whoever descends from it, by each process's parent. */
export function descendants(root: number, parentOf: ReadonlyMap<number, number>): number[] {
  const children = Map.groupBy(parentOf.keys(), (pid) => parentOf.get(pid));
  const found = [root];
  for (const pid of found) found.push(...(children.get(pid) ?? []));
  return found;
}

async function parents(): Promise<Map<number, number>> {
  const pids = (await readdir('/proc').catch(() => [])).filter((name) => /^\d+$/.test(name));
  const pairs = await Promise.all(pids.map(async (pid) => [Number(pid), await parentOf(pid)] as const));
  return new Map(pairs);
}

async function parentOf(pid: string): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1] ?? 0);
}
