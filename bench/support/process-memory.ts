import { readFile } from 'node:fs/promises';

export interface ProcessMemory {
  readonly residentBytes: number;
  /** The most that it ever had (VmHWM, proc(5)). */
  readonly peakBytes: number;
}

/** The memory of a process; undefined where there is none or the system does not tell. */
export async function processMemory(pid: number | undefined): Promise<ProcessMemory | undefined> {
  if (pid === undefined) return undefined;
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  const bytes = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1] ?? 0) * 1024;
  const [residentBytes, peakBytes] = [bytes('VmRSS'), bytes('VmHWM')];
  return residentBytes === 0 ? undefined : { residentBytes, peakBytes };
}
