import { setTimeout as delay } from 'node:timers/promises';
import { OnepullProcess } from '../../test/support/onepull-process.ts';
import type { RedisServer } from '../../test/support/redis-server.ts';
import { registryName } from '../support/subjects/onepull.ts';

/** What all nodes of the benchmark have in common. Clients and nodes share few cores: one thread for each is enough. */
export const nodeSettings = {
  server: { threads: 0, memory: '32MiB' },
  storage: { scrubRate: 0 },
  log: { access: false },
  // Who listens beyond loopback needs one.
  adminToken: 'a-token-of-benchmarks-only',
} as const;

export const peerSecret = 'a secret of benchmarks only';

const pauseMs = 100;
const mostTries = 300;

/** Nodes on loopback that share an engine, each a process, all of which have heard of each other. */
export class LoopbackCluster implements AsyncDisposable {
  readonly nodes: readonly OnepullProcess[];
  readonly #opened: AsyncDisposableStack;

  private constructor(nodes: readonly OnepullProcess[], opened: AsyncDisposableStack) {
    this.nodes = nodes;
    this.#opened = opened;
  }

  static async start(count: number, upstreamUrl: string, engine: RedisServer): Promise<LoopbackCluster> {
    await using opening = new AsyncDisposableStack();
    const nodes: OnepullProcess[] = [];
    for (let n = 1; n <= count; n++) {
      const peer = { listen: '127.0.0.1:0', secret: peerSecret };
      const cluster = { engine: engine.url, nodeId: `node-${n}`, peer };
      nodes.push(opening.use(await startNode(upstreamUrl, { cluster })));
    }
    const cluster = new LoopbackCluster(nodes, opening.move());
    await allHeard(nodes);
    return cluster;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#opened.disposeAsync();
  }
}

export function startNode(upstreamUrl: string, settings: Readonly<Record<string, unknown>> = {}) {
  const upstreams = { [registryName]: { url: upstreamUrl } };
  return OnepullProcess.start({ upstreams, ...nodeSettings, ...settings });
}

/** Resolves once the engine answers each of these nodes, and each has heard of all. */
export async function allHeard(nodes: readonly OnepullProcess[]): Promise<void> {
  for (const { admin } of nodes) {
    for (let tries = 0; membersOf(await admin.json('/api/v1/cluster')) !== nodes.length; tries++) {
      if (tries === mostTries) throw new Error(`a node has not heard of all: ${await admin.text('/api/v1/cluster')}`);
      await delay(pauseMs);
    }
  }
}

/** How many nodes one has heard of, from what it says on `/api/v1/cluster`. */
function membersOf(told: unknown): number {
  const { cluster } = told as { cluster?: { members?: readonly unknown[] } };
  return cluster?.members?.length ?? 0;
}
