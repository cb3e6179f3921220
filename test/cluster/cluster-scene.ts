import { cluster as clusterFields } from '../../src/admin/description/cluster-fields.ts';
import type { ClusterSnapshot } from '../../src/pull/cluster-snapshot.ts';
import { Leaks } from '../support/leaks.ts';
import { freePort } from '../support/loopback.ts';
import { OnepullApp } from '../support/onepull-app.ts';
import type { Configuration } from '../support/onepull-process.ts';
import { RedisServer } from '../support/redis-server.ts';
import { ScriptedRegistry } from '../support/scripted-registry.ts';

export const secret = 'a secret of tests only';

export interface ClusterOptions {
  readonly nodes: number;
  /** Of the node with this index: sections besides, and what is added to `cluster`. */
  readonly configuration?: (index: number) => Configuration & { readonly cluster?: Readonly<Record<string, unknown>> };
  /** Of the upstream, besides where it is. */
  readonly upstream?: Readonly<Record<string, unknown>>;
  /** The engine is not there at the start: `startEngine` brings it. */
  readonly late?: boolean;
}

/** Nodes in this process that share a real engine, in front of a scripted registry. */
export interface ClusterScene {
  readonly registry: ScriptedRegistry;
  readonly nodes: readonly OnepullApp[];
  /** Ends it, as kill -9 does: nothing is kept. */
  stopEngine(): Promise<void>;
  startEngine(): Promise<void>;
  /** The present one. */
  readonly engine: RedisServer;
}

/** Runs `body`; afterwards no pull, partial file, descriptor, socket or timer may be left. */
export async function inCluster(options: ClusterOptions, body: (scene: ClusterScene) => Promise<void>): Promise<void> {
  const leaks = await Leaks.watch();
  {
    const port = await freePort();
    let redis: RedisServer | undefined;
    const startEngine = async () => {
      redis = await RedisServer.start({ port });
    };
    await using opened = new AsyncDisposableStack();
    opened.defer(() => redis?.[Symbol.asyncDispose]());
    const registry = opened.use(await ScriptedRegistry.start());
    if (options.late !== true) await startEngine();
    const nodes: OnepullApp[] = [];
    for (let index = 0; index < options.nodes; index++) {
      const { cluster, ...sections } = options.configuration?.(index) ?? {};
      const configuration = {
        upstreams: { 'demo.example': { url: registry.url, default: true, ...options.upstream } },
        ...sections,
        cluster: {
          engine: `redis://127.0.0.1:${port}`,
          // The machine may be busy with other tests: here the engine is waited for.
          timeout: '3s',
          nodeId: `node-${index}`,
          peer: { listen: '127.0.0.1:0', secret },
          ...cluster,
        },
      };
      nodes.push(opened.use(await OnepullApp.start(configuration)));
    }
    const scene = {
      registry,
      nodes,
      startEngine,
      stopEngine: async () => redis?.[Symbol.asyncDispose](),
      get engine() {
        if (redis === undefined) throw new Error('the engine was not started');
        return redis;
      },
    };
    await body(scene);
    for (const node of nodes) await node.assertIdle();
  }
  await leaks.assertNone();
}

/** The bytes that upstream sent of blobs, over those that there are. */
export function timesSent(registry: ScriptedRegistry, totalBytes: number): number {
  return registry.tally.bytesSent() / totalBytes;
}

/** Waits until each node has heard of all. */
export async function untilAllAreHeard(nodes: readonly OnepullApp[]): Promise<void> {
  for (const node of nodes) {
    await node.admin.until(
      () => membersOf(node),
      (members) => members === nodes.length,
    );
  }
}

export async function membersOf(node: OnepullApp): Promise<number> {
  const { cluster } = await clusterOf(node);
  return cluster.members.length;
}

/** What `/api/v1/cluster` says. */
export async function clusterOf({ admin }: OnepullApp): Promise<{ cluster: ClusterSnapshot }> {
  const answer = (await admin.json('/api/v1/cluster')) as { cluster: ClusterSnapshot };
  // It is what the API's description says.
  clusterFields.nullable().parse(answer.cluster);
  return answer;
}
