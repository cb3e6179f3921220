import { Agent, get, type IncomingMessage } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import type { Digest } from '../../core/digest.ts';
import type { LayerSnapshot, PullSnapshot } from '../../pull/pull-board.ts';
import { readText } from './node-session.ts';

const pauseMs = 100;
const mostLooks = 10;

/** Looks at onepull's admin API again and again, as a dashboard does, and keeps what it saw last. */
export class PullsWatch implements AsyncDisposable {
  readonly #url: string;
  readonly #agent: Agent = new Agent({ keepAlive: true });
  readonly #stop: AbortController = new AbortController();
  readonly #ended: Promise<void>;
  #layers: ReadonlyMap<Digest, LayerSnapshot> = new Map();

  constructor(adminUrl: string) {
    this.#url = `${adminUrl}/api/v1/pulls`;
    this.#ended = this.#watch();
  }

  layer(digest: Digest): LayerSnapshot | undefined {
    return this.#layers.get(digest);
  }

  /** Looks until `digests` are done, for a second at most: a layer is kept for good a moment after it was served. */
  async lookUntilDone(digests: readonly Digest[]): Promise<void> {
    for (let look = 0; look < mostLooks; look++) {
      await this.#look();
      if (digests.every((digest) => this.layer(digest)?.state === 'done')) return;
      await delay(pauseMs);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#ended;
    this.#agent.destroy();
  }

  async #watch(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      await this.#look();
      await delay(pauseMs, undefined, { signal }).catch(() => {});
    }
  }

  /** A look that fails leaves the last one: this is for the screen alone. */
  async #look(): Promise<void> {
    try {
      const { signal } = this.#stop;
      const response = await new Promise<IncomingMessage>((resolve, reject) => {
        get(this.#url, { agent: this.#agent, signal }, resolve).once('error', reject);
      });
      const { pulls } = JSON.parse(await readText(response)) as { pulls: PullSnapshot[] };
      this.#layers = new Map(pulls.flatMap(({ layers }) => layers).map((layer) => [layer.digest, layer]));
    } catch {}
  }
}
