import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { Digest } from '../../core/digest.ts';
import type { Credentials } from './gatekeeper.ts';

export interface CrowdTask {
  readonly nodes: number;
  /** `http://host:port` that all of them pull from. */
  readonly origin: string;
  readonly repository: string;
  readonly tag: string;
  readonly credentials?: Credentials | undefined;
  /** The blobs whose progress is counted, in the order in which it is told. */
  readonly blobs: readonly Digest[];
}

/** What the thread is started with. `counters`: nodes that are done, then bytes that arrived of each blob. */
export interface CrowdStart extends CrowdTask {
  readonly counters: Float64Array;
}

export type CrowdMessage =
  | { readonly kind: 'done'; readonly nodesMs: readonly number[] }
  | { readonly kind: 'failed'; readonly message: string };

export interface CrowdProgress {
  readonly nodesDone: number;
  /** What arrived at all nodes together, for each blob. */
  readonly arrivedBytes: readonly number[];
}

/**
 * Many nodes that pull one image at the same moment, in a thread of their own so that hashing what arrives slows neither
 * the registry nor the screen. The thread only writes the shared counters and this side only reads them: they are for the
 * screen, results come in a message.
 */
export class Crowd implements AsyncDisposable {
  /** How long each node took, in ms by its own clock. Rejects with the first node's failure. */
  readonly finished: Promise<readonly number[]>;
  readonly #worker: Worker;
  readonly #counters: Float64Array;

  constructor(task: CrowdTask) {
    this.#counters = new Float64Array(new SharedArrayBuffer(8 * (1 + task.blobs.length)));
    const start: CrowdStart = { ...task, counters: this.#counters };
    this.#worker = new Worker(new URL(`./crowd-thread${extname(import.meta.url)}`, import.meta.url), {
      workerData: start,
    });
    this.finished = new Promise((resolve, reject) => {
      this.#worker.once('message', (message: CrowdMessage) => {
        if (message.kind === 'done') resolve(message.nodesMs);
        else reject(new Error(message.message));
      });
      this.#worker.once('error', reject);
      this.#worker.once('exit', () => reject(new Error('the nodes ended before they were done')));
    });
    this.finished.catch(() => {});
  }

  get progress(): CrowdProgress {
    const [nodesDone = 0, ...arrivedBytes] = this.#counters;
    return { nodesDone, arrivedBytes };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#worker.terminate();
  }
}
