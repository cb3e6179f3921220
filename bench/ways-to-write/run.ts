import { randomFillSync } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Child } from '../../test/support/child.ts';
import { TemporaryDirectory } from '../../test/support/loopback.ts';
import { processUse } from '../support/cpu-time.ts';
import { wrk } from '../support/load/wrk.ts';
import type { Way } from './ways.ts';

export interface Parameters {
  readonly rounds: number;
  readonly seconds: number;
  readonly connections: number;
  readonly blobBytes: number;
  readonly ways: readonly Way[];
}

/** One way in one round. */
export interface Sample {
  readonly way: Way;
  readonly round: number;
  readonly bytesPerSecond: number;
  /** CPU time of the server for a GB: what it costs where others have the cores, too. */
  readonly cpuMsPerGB: number;
}

const entry = fileURLToPath(new URL('./server-child.ts', import.meta.url));

/** Every way once in each round, one after the other, so that what else the machine does falls on all of them. */
export async function runWays(parameters: Parameters, say: (line: string) => void): Promise<Sample[]> {
  const { rounds, blobBytes, ways } = parameters;
  await using folder = await TemporaryDirectory.make();
  const path = join(folder.path, 'blob');
  await writeFile(path, randomFillSync(Buffer.allocUnsafe(blobBytes)));
  const samples: Sample[] = [];
  for (let round = 0; round < rounds; round++) {
    for (const way of ways) {
      const { bytesPerSecond, cpuMsPerGB } = await measure(way, path, parameters);
      samples.push({ way, round, bytesPerSecond, cpuMsPerGB });
      const rate = (bytesPerSecond / 1e9).toFixed(2);
      say(
        `round ${round + 1}/${rounds}  ${way.name}, ${way.blockBytes / 1024} KiB: ${rate} GB/s, ${Math.round(cpuMsPerGB)} ms of CPU time per GB`,
      );
    }
  }
  return samples;
}

async function measure(way: Way, path: string, { connections, seconds, blobBytes }: Parameters) {
  await using child = new Child(process.execPath, [entry, path, way.name, String(way.blockBytes)]);
  const [, port] = (await child.line((line) => line.startsWith('port '))).split(' ');
  const request = {
    origin: `http://127.0.0.1:${port}`,
    method: 'GET',
    path: '/',
    headers: {},
    sizeBytes: blobBytes,
  } as const;
  const load = (durationMs: number) => wrk(request, { connections, threads: 1, durationMs });
  // What is compiled, and in the page cache, before it counts.
  await load(1000);
  const before = await processUse(child.pid);
  const { bytes, seconds: took, errors } = await load(seconds * 1000);
  const after = await processUse(child.pid);
  if (errors.length > 0) throw new Error(`${way.name}: ${errors.join(', ')}`);
  const cpuMs = (after?.cpuMs ?? Number.NaN) - (before?.cpuMs ?? Number.NaN);
  return { bytesPerSecond: bytes / took, cpuMsPerGB: cpuMs / (bytes / 1e9) };
}
