import assert from 'node:assert/strict';
import { buildImage, type Image } from '../../../src/cli/demo/image.ts';
import type { Digest } from '../../../src/core/digest.ts';
import type { ClusterSnapshot } from '../../../src/pull/cluster-snapshot.ts';
import { type Download, PullClient } from '../../support/client.ts';
import { Gate } from '../../support/gate.ts';
import type { LabHost } from '../../support/network-lab/lab-host.ts';
import { startNode } from '../../support/network-lab/lab-node.ts';
import type { LinkShape } from '../../support/network-lab/link-shape.ts';
import { NetworkLab } from '../../support/network-lab/network-lab.ts';
import type { OnepullProcess } from '../../support/onepull-process.ts';
import { pull } from '../../support/pull.ts';
import { RedisServer } from '../../support/redis-server.ts';
import { ScriptedRegistry } from '../../support/scripted-registry.ts';
import { secret } from '../cluster-scene.ts';

const MB = 1_000_000;
/** As fast as two busy cores can be sure to be. */
const usual: LinkShape = { upBitsPerSecond: 100 * MB, downBitsPerSecond: 100 * MB };

export interface LabClusterOptions {
  /** The line of each node. */
  readonly lines: readonly LinkShape[];
  /** Of the engine. */
  readonly engineLine?: LinkShape;
  /** So long who brings nothing is waited for; nodes twice as long. Short, where a test is about that. */
  readonly stallTimeout?: string;
  /** Upstreams besides that of this process, which it may start on hosts of their own. */
  readonly upstreams?: (lab: NetworkLab) => Promise<Readonly<Record<string, unknown>>>;
}

export const fourAlike: readonly LinkShape[] = [usual, usual, usual, usual];

/** Real nodes on hosts of their own, with lines of their own; a real engine on another; upstream is this process, on its own line. */
export class LabCluster implements AsyncDisposable {
  readonly lab: NetworkLab;
  readonly upstream: LabHost;
  readonly registry: ScriptedRegistry;
  readonly engine: LabHost;
  readonly hosts: readonly LabHost[];
  readonly nodes: readonly OnepullProcess[];
  readonly #opened: AsyncDisposableStack;

  private constructor(
    parts: Pick<LabCluster, 'lab' | 'upstream' | 'registry' | 'engine' | 'hosts' | 'nodes'>,
    opened: AsyncDisposableStack,
  ) {
    this.lab = parts.lab;
    this.upstream = parts.upstream;
    this.registry = parts.registry;
    this.engine = parts.engine;
    this.hosts = parts.hosts;
    this.nodes = parts.nodes;
    this.#opened = opened;
  }

  static async start({
    lines,
    engineLine = {},
    stallTimeout = '10s',
    upstreams,
  }: LabClusterOptions): Promise<LabCluster> {
    await using opening = new AsyncDisposableStack();
    const lab = opening.use(await NetworkLab.open());
    const upstream = await lab.attach(usual);
    const registry = opening.use(await ScriptedRegistry.start({ address: upstream.address }));
    const engine = await lab.host('engine', engineLine);
    const redis = opening.use(await RedisServer.start({ place: engine }));
    const others = await upstreams?.(lab);
    const hosts = await lab.hosts(lines.map((line, index) => ({ ...line, name: `node-${index}` })));
    const starting = hosts.map(async (host) => {
      const configuration = {
        upstreams: { 'demo.example': { url: registry.url, default: true, connectTimeout: '2s' }, ...others },
        pull: { stallTimeout },
        cluster: { engine: redis.url, timeout: '2s', peer: { secret } },
      };
      return opening.use(await startNode(host, configuration));
    });
    const nodes = await Promise.all(starting);
    return new LabCluster({ lab, upstream, registry, engine, hosts, nodes }, opening.move());
  }

  node(index: number): OnepullProcess {
    const node = this.nodes[index];
    assert.ok(node);
    return node;
  }

  host(index: number): LabHost {
    const host = this.hosts[index];
    assert.ok(host);
    return host;
  }

  /** An image that nobody has yet. Upstream counts from 0 on. */
  offer(name: string, layerSizes: readonly number[]): Image {
    const image = buildImage({ seed: name, layerSizes });
    this.registry.content.add(`org/${name}`, image, 'v1');
    this.registry.tally.reset();
    return image;
  }

  async snapshot(index: number): Promise<ClusterSnapshot> {
    return ((await this.node(index).admin.json('/api/v1/cluster')) as { cluster: ClusterSnapshot }).cluster;
  }

  /** Waits until each node has heard of all. */
  async untilAllAreHeard(): Promise<void> {
    for (const [index, { admin }] of this.nodes.entries()) {
      await admin.until(
        async () => (await this.snapshot(index)).members.length,
        (members) => members === this.nodes.length,
      );
    }
  }

  /**
   * All nodes hear of each other again and bring a new image from upstream once. On a busy machine one of them may be taken
   * for stuck: then another image tells.
   */
  async assertShares(name: string): Promise<void> {
    for (const { admin } of this.nodes) await admin.assertIdle();
    await this.untilAllAreHeard();
    for (let attempt = 1; ; attempt++) {
      const image = this.offer(`${name}-${attempt}`, [50_000, 1_500_000]);
      await this.pullOnAll(`${name}-${attempt}`, image);
      const bodies = image.layers.map(({ digest }) => this.bodiesOf(digest));
      if (bodies.every((count) => count === 1)) return assert.ok(this.timesSent(image) <= 1.001);
      assert.ok(
        attempt < 5,
        `the layers of ${attempt} images were asked for more than once, the last ones ${bodies} times`,
      );
    }
  }

  /** One client at each node pulls it whole, all at once. */
  async pullOnAll(name: string, image: Image): Promise<void> {
    const pulls = this.nodes.map(({ url }) => pull(url, `org/${name}`, 'v1'));
    for (const { manifest } of await Promise.all(pulls)) assert.equal(manifest, image.manifest.digest);
  }

  bodiesOf(digest: Digest): number {
    return this.registry.tally.count({ kind: 'blob', method: 'GET', reference: digest });
  }

  timesSent({ totalBytes }: Image): number {
    return this.registry.tally.bytesSent() / totalBytes;
  }

  /**
   * One client at each node pulls a layer, one after the other, in the order of the nodes, so that the first one leads. When
   * all have its beginning and upstream stands still in its middle, `meanwhile` happens; then upstream goes on. Returns what
   * each client got.
   */
  async inMidLayer(name: string, sizeBytes: number, meanwhile: () => Promise<void>): Promise<MidLayer> {
    const [layer] = this.offer(name, [sizeBytes]).layers;
    assert.ok(layer);
    await using opened = new AsyncDisposableStack();
    const clients = this.nodes.map(({ url }) => opened.use(new PullClient(url)));
    for (const client of clients) assert.equal((await client.manifest(`org/${name}`, 'v1')).status, 200);
    const hold = this.registry.hold(layer.digest, sizeBytes / 2);
    opened.defer(() => hold.release());
    const pulls: Promise<Download>[] = [];
    for (const client of clients) {
      const gate = new Gate();
      pulls.push(client.blob(`org/${name}`, layer.digest, { pauseAt: { afterBytes: 1, gate } }));
      await gate.reached;
      gate.release();
    }
    await hold.reached;
    await meanwhile();
    hold.release();
    const downloads = await Promise.all(pulls);
    return { digest: layer.digest, downloads, times: this.registry.tally.bytesSent(layer.digest) / sizeBytes };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#opened.disposeAsync();
  }
}

export interface MidLayer {
  readonly digest: Digest;
  /** In the order of the nodes. */
  readonly downloads: readonly Download[];
  /** How often upstream sent the layer. */
  readonly times: number;
}

/** Throws unless the client of every node got the layer. */
export function assertAllGot({ downloads, digest }: MidLayer): void {
  for (const [index, download] of downloads.entries()) {
    assert.deepEqual([download.outcome, download.digest], ['complete', digest], `node-${index}`);
  }
}
