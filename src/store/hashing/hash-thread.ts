import { Worker } from 'node:worker_threads';
import type { HashOrder, HashReport } from './hash-messages.ts';

/** A thread that hashes. */
export interface HashThread {
  post(order: HashOrder): void;
  /** Ends it; resolves when it has ended, and reads no file any more. */
  stop(): Promise<void>;
}

export interface HashThreadListener {
  reported(report: HashReport): void;
  /** It has ended, by itself or by `stop`: what it was told before and did not report it never will. Once, and last. */
  ended(error: unknown): void;
}

/** Its buffers are not in the heap; without a limit a thread reserves for what it never needs. */
const resourceLimits = { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 4 };

/** A thread of this process. */
export function startHashThread(listener: HashThreadListener): HashThread {
  const file = import.meta.url.endsWith('.ts') ? './hash-worker.ts' : './hash-worker.js';
  const worker = new Worker(new URL(file, import.meta.url), { name: 'hash', resourceLimits, stdin: false });
  let failure: unknown;
  worker.on('message', (report: HashReport) => listener.reported(report));
  worker.on('error', (error) => {
    failure = error;
  });
  worker.once('exit', () => listener.ended(failure));
  return {
    post: (order) => worker.postMessage(order),
    async stop() {
      await worker.terminate();
    },
  };
}
