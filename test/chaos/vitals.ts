import { readdir, readFile, readlink } from 'node:fs/promises';

/** What a process has open, by sort. */
export interface Descriptors {
  readonly files: number;
  /** Files of the store that are what their name says, which stay open for the next reader: none that has left it. */
  readonly content: number;
  readonly sockets: number;
  readonly others: number;
  /** Files by name, without content, for whoever looks for the leak. */
  readonly names: readonly string[];
}

/** Undefined where there is no /proc, or no such process. */
export async function peakRssBytes(pid: number): Promise<number | undefined> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  const kibibytes = /^VmHWM:\s*(\d+) kB/m.exec(status)?.[1];
  return kibibytes === undefined ? undefined : Number(kibibytes) * 1024;
}

export async function descriptorsOf(pid: number): Promise<Descriptors | undefined> {
  const folder = `/proc/${pid}/fd`;
  const numbers = await readdir(folder).catch(() => undefined);
  if (numbers === undefined) return undefined;
  const links = await Promise.all(numbers.map((number) => readlink(`${folder}/${number}`).catch(() => undefined)));
  const targets = links.filter((target) => target !== undefined);
  const files = targets.filter((target) => target.startsWith('/') && !target.startsWith('/dev/'));
  const names = files.filter((target) => !/\/blobs\/\w+\/[0-9a-f]+$/.test(target));
  const content = files.length - names.length;
  const sockets = targets.filter((target) => target.startsWith('socket:')).length;
  return { files: names.length, content, sockets, others: targets.length - files.length - sockets, names };
}

/** Every sample of a page in Prometheus's text format, by name and labels as written. */
export function parseMetrics(page: string): ReadonlyMap<string, number> {
  const samples = new Map<string, number>();
  for (const line of page.split('\n')) {
    const space = line.lastIndexOf(' ');
    if (line.startsWith('onepull_') && space > 0) samples.set(line.slice(0, space), Number(line.slice(space + 1)));
  }
  return samples;
}
