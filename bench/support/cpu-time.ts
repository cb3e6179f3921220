import { readFile } from 'node:fs/promises';

/** Linux counts CPU time in ticks of 10 ms for whoever asks from outside (USER_HZ, proc(5)). */
const msPerTick = 10;

export interface ProcessUse {
  /** User and system time of all its threads. */
  readonly cpuMs: number;
  /** The most memory it ever had. */
  readonly peakMemoryBytes: number;
}

/** What a process has used so far; undefined where the system does not tell. */
export async function processUse(pid: number | undefined): Promise<ProcessUse | undefined> {
  if (pid === undefined) return undefined;
  try {
    const [stat, status] = await Promise.all([
      readFile(`/proc/${pid}/stat`, 'utf8'),
      readFile(`/proc/${pid}/status`, 'utf8'),
    ]);
    // The second field is a name in parentheses that may hold spaces; utime and stime are fields 14 and 15.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const peakKib = /^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1];
    return {
      cpuMs: (Number(fields[11]) + Number(fields[12])) * msPerTick,
      peakMemoryBytes: Number(peakKib ?? 0) * 1024,
    };
  } catch {
    return undefined;
  }
}

/** CPU time of the children of this process that have ended, in ms, and of theirs. */
export async function childrenCpuMs(): Promise<number> {
  const stat = await readFile('/proc/self/stat', 'utf8').catch(() => '');
  // cutime and cstime are fields 16 and 17.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[13] ?? 0) + Number(fields[14] ?? 0)) * msPerTick;
}
