import { Worker } from 'node:worker_threads';
import type { PullReport, RequestFailure } from './chaos-pull.ts';
import type { PullPlan } from './pull-plan.ts';
import type { World } from './world.ts';

export interface CrowdStart {
  readonly world: World;
  /** `http://host:port` of onepull. */
  readonly origin: string;
  /** Of the `Lifeline`. */
  readonly lifeline: Int32Array;
}

export type CrowdRequest =
  | { readonly do: 'pull'; readonly task: number; readonly plan: PullPlan }
  /** So many requests at once for one blob of an image, again and again until `calm`. */
  | { readonly do: 'rush'; readonly task: number; readonly image: number; readonly clients: number }
  | { readonly do: 'calm' }
  | { readonly do: 'leave' };

/** What came of a rush. */
export interface RushReport {
  readonly requests: number;
  readonly complete: number;
  /** 503 with Retry-After, or a connection that was not taken. */
  readonly refused: number;
  readonly failures: readonly RequestFailure[];
}

export type CrowdAnswer =
  | { readonly task: number; readonly report: PullReport | RushReport; readonly failure?: never }
  | { readonly task: number; readonly failure: string };

/** The clients, in a thread of their own. */
export class Crowd implements AsyncDisposable {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>();
  #lastTask = 0;

  constructor(start: CrowdStart) {
    this.#worker = new Worker(new URL('./crowd-thread.ts', import.meta.url), { workerData: start });
    this.#worker.on('message', ({ task, ...answer }: CrowdAnswer) => {
      const waiting = this.#waiting.get(task);
      this.#waiting.delete(task);
      if (answer.failure === undefined) waiting?.resolve(answer.report);
      else waiting?.reject(new Error(answer.failure));
    });
    this.#worker.on('error', (error) => this.#fail(new Error('the thread failed', { cause: error })));
    this.#worker.on('exit', () => this.#fail(new Error('the clients have ended')));
  }

  async pull(plan: PullPlan): Promise<PullReport> {
    return (await this.#ask((task) => ({ do: 'pull', task, plan }))) as PullReport;
  }

  async rush(image: number, clients: number): Promise<RushReport> {
    return (await this.#ask((task) => ({ do: 'rush', task, image, clients }))) as RushReport;
  }

  /** Ends the rushes. */
  calm(): void {
    this.#worker.postMessage({ do: 'calm' } satisfies CrowdRequest);
  }

  /** Everybody breaks off what they do. */
  leave(): void {
    this.#worker.postMessage({ do: 'leave' } satisfies CrowdRequest);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#worker.terminate();
  }

  #ask(request: (task: number) => CrowdRequest): Promise<unknown> {
    const task = ++this.#lastTask;
    const waiting = Promise.withResolvers<unknown>();
    this.#waiting.set(task, waiting);
    this.#worker.postMessage(request(task));
    return waiting.promise;
  }

  #fail(error: Error): void {
    for (const waiting of this.#waiting.values()) waiting.reject(error);
    this.#waiting.clear();
  }
}
