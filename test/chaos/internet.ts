import { Worker } from 'node:worker_threads';
import type { Digest } from '../../src/core/digest.ts';
import type { EndpointName } from './fault-kinds.ts';
import type { Order } from './misbehaviour.ts';
import type { World } from './world.ts';

export interface InternetStart {
  readonly world: World;
  /** Of each endpoint and each CDN, all connections together. */
  readonly bytesPerSecond: number;
}

/** What upstreams handed to their sockets. */
export interface SentBytes {
  readonly byDigest: ReadonlyMap<Digest, number>;
  /** By kind of fault: what it made necessary to send again. */
  readonly explained: Readonly<Record<string, number>>;
}

type Command =
  | { readonly do: 'urls' }
  | { readonly do: 'begin'; readonly endpoint: EndpointName; readonly order: Order }
  | { readonly do: 'finish'; readonly endpoint: EndpointName; readonly order: number }
  | { readonly do: 'move'; readonly image: number }
  | { readonly do: 'sent' }
  | { readonly do: 'close' };

export type InternetRequest = Command & { readonly id: number };
export type InternetAnswer =
  | { readonly id: number; readonly value: unknown; readonly failure?: never }
  | { readonly id: number; readonly failure: string };

/** The upstreams, in a thread of their own. Every call resolves once it is done there. */
export class Internet implements AsyncDisposable {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>();
  #lastId = 0;
  #hasEnded = false;

  private constructor(start: InternetStart) {
    this.#worker = new Worker(new URL('./internet-thread.ts', import.meta.url), { workerData: start });
    this.#worker.on('message', ({ id, ...answer }: InternetAnswer) => {
      const waiting = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (answer.failure === undefined) waiting?.resolve(answer.value);
      else waiting?.reject(new Error(answer.failure));
    });
    this.#worker.on('error', (error) => this.#fail(new Error('the thread failed', { cause: error })));
    this.#worker.on('exit', () => {
      this.#hasEnded = true;
      this.#fail(new Error('the upstreams have ended'));
    });
  }

  static async start(
    start: InternetStart,
  ): Promise<{ internet: Internet; urls: Readonly<Record<EndpointName, string>> }> {
    const internet = new Internet(start);
    return { internet, urls: (await internet.#ask({ do: 'urls' })) as Readonly<Record<EndpointName, string>> };
  }

  async begin(endpoint: EndpointName, order: Order): Promise<void> {
    await this.#ask({ do: 'begin', endpoint, order });
  }

  async finish(endpoint: EndpointName, order: number): Promise<void> {
    await this.#ask({ do: 'finish', endpoint, order });
  }

  /** The moving tag of the image's repository is this image from now on. `image` is its place in the world. */
  async move(image: number): Promise<void> {
    await this.#ask({ do: 'move', image });
  }

  async sent(): Promise<SentBytes> {
    return (await this.#ask({ do: 'sent' })) as SentBytes;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#hasEnded) return;
    const ended = new Promise((resolve) => this.#worker.once('exit', resolve));
    await this.#ask({ do: 'close' }).catch(() => {});
    const timer = setTimeout(() => this.#worker.terminate(), 5000);
    await ended;
    clearTimeout(timer);
  }

  #ask(command: Command): Promise<unknown> {
    const id = ++this.#lastId;
    const waiting = Promise.withResolvers<unknown>();
    this.#waiting.set(id, waiting);
    this.#worker.postMessage({ ...command, id } satisfies InternetRequest);
    return waiting.promise;
  }

  #fail(error: Error): void {
    for (const waiting of this.#waiting.values()) waiting.reject(error);
    this.#waiting.clear();
  }
}
