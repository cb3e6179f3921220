import { readFile } from 'node:fs/promises';

/**
 * How many files and sockets this process may have open: the soft limit, which Node has raised to the hard one by now.
 * Undefined where the system does not say (it has no /proc) or sets no limit.
 */
export async function descriptorLimit(path = '/proc/self/limits'): Promise<number | undefined> {
  const limits = await readFile(path, 'utf8').catch(() => '');
  const soft = /^Max open files\s+(\d+)\s/m.exec(limits)?.[1];
  return soft === undefined ? undefined : Number(soft);
}
