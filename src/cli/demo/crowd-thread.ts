import { parentPort, workerData } from 'node:worker_threads';
import type { CrowdMessage, CrowdStart } from './crowd.ts';
import { pullAsNode } from './node-pull.ts';

/** The thread that a `Crowd` starts: all nodes pull at once and each takes its own time. */
const task = workerData as CrowdStart;
const blobsAtOnce = 3;

parentPort?.postMessage(await pullAll());

async function pullAll(): Promise<CrowdMessage> {
  try {
    const nodesMs = await Promise.all(Array.from({ length: task.nodes }, (_, n) => pullOne(`node ${n + 1}`)));
    return { kind: 'done', nodesMs };
  } catch (error) {
    return { kind: 'failed', message: error instanceof Error ? error.message : String(error) };
  }
}

async function pullOne(name: string): Promise<number> {
  const startedAt = performance.now();
  try {
    await pullAsNode({ ...task, connections: blobsAtOnce, onBytes: (digest, bytes) => count(digest, bytes) });
  } catch (error) {
    throw new Error(`${name}: ${error instanceof Error ? error.message : String(error)}`);
  }
  task.counters[0] = (task.counters[0] ?? 0) + 1;
  return performance.now() - startedAt;
}

function count(digest: CrowdStart['blobs'][number], bytes: number): void {
  const place = 1 + task.blobs.indexOf(digest);
  if (place > 0) task.counters[place] = (task.counters[place] ?? 0) + bytes;
}
