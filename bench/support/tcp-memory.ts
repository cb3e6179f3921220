import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';

const pageBytes = 4096;
const pollMs = 100;
const steadyPolls = 5;
const growth = 1.01;

/** What the system holds for all TCP connections of the machine (proc(5), sockstat); undefined where it does not tell. */
export async function tcpMemoryBytes(): Promise<number | undefined> {
  const text = await readFile('/proc/net/sockstat', 'utf8').catch(() => '');
  const pages = /^TCP:.* mem (\d+)/m.exec(text)?.[1];
  return pages === undefined ? undefined : Number(pages) * pageBytes;
}

/** Where the system begins to take memory back from connections, and where it gives none any more (tcp_mem). */
export async function tcpMemoryBounds(): Promise<{ pressureBytes: number; mostBytes: number } | undefined> {
  const text = await readFile('/proc/sys/net/ipv4/tcp_mem', 'utf8').catch(() => '');
  const [, pressure, most] = text.trim().split(/\s+/).map(Number);
  if (pressure === undefined || most === undefined) return undefined;
  return { pressureBytes: pressure * pageBytes, mostBytes: most * pageBytes };
}

/** Resolves when that has stopped growing, or after `capMs`. */
export async function untilTcpMemoryIsSteady(capMs: number): Promise<void> {
  let [most, steady] = [0, 0];
  for (const startedAt = performance.now(); steady < steadyPolls && performance.now() - startedAt < capMs; ) {
    const bytes = (await tcpMemoryBytes()) ?? 0;
    steady = bytes <= most * growth ? steady + 1 : 0;
    most = Math.max(most, bytes);
    await delay(pollMs);
  }
}
