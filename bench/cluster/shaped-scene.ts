import { mkdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from '../../test/support/child.ts';
import type { LabHost } from '../../test/support/network-lab/lab-host.ts';
import { startNode } from '../../test/support/network-lab/lab-node.ts';
import { NetworkLab } from '../../test/support/network-lab/network-lab.ts';
import type { OnepullProcess } from '../../test/support/onepull-process.ts';
import { RedisServer } from '../../test/support/redis-server.ts';
import { processUse } from '../support/cpu-time.ts';
import { RemoteProgram } from '../support/remote-calls.ts';
import { registryName } from '../support/subjects/onepull.ts';
import { Upstream } from '../support/upstream/upstream.ts';
import type { Rates } from './bound.ts';
import type { HostMethods, Received } from './host-child.ts';
import { allHeard, nodeSettings, peerSecret } from './loopback-cluster.ts';
import type { SpreadSubject } from './measure-spread.ts';
import type { Links } from './parameters.ts';

/** Who answers the clients. */
export interface Subjects extends AsyncDisposable {
  /** Where the client of each host pulls from. */
  readonly origins: readonly string[];
  /** The same, where something is to be done once before; each onepull once. */
  readonly toWarmUp: readonly string[];
  /** Hosts without a client that take part. */
  readonly others: readonly number[];
  /** Of all that was started. */
  cpuMs(): Promise<number>;
}

const clientPort = 5000;
const hostProgram = new URL('./host-child.ts', import.meta.url);
/** Of 32 nodes on a few cores each waits for the CPU, and the engine too: that says nothing of an engine. */
const engineTimeout = '3s';
/** More would only wait for the CPU, and for longer than a start may take. */
const startedAtOnce = 4;
/** So many together have all of upstream's line. */
const receivers = 4;

interface Parts {
  readonly upstream: Upstream;
  readonly engineHost: LabHost;
  /** One for each node, and one for the cache that all share. */
  readonly hosts: readonly LabHost[];
  readonly clients: readonly RemoteProgram<HostMethods>[];
  /** Where nodes keep what they have. */
  readonly storage: string;
}

/** An upstream, an engine and clients on hosts of their own with lines of their own, and what they pull through. */
export class ShapedScene implements AsyncDisposable {
  readonly #parts: Parts;
  readonly #opened: AsyncDisposableStack;
  #started = 0;

  private constructor(parts: Parts, opened: AsyncDisposableStack) {
    this.#parts = parts;
    this.#opened = opened;
  }

  /** In a network of its own only (`enterOwnNetwork`). */
  static async open(nodes: number, { upstreamBitsPerSecond, nodeBitsPerSecond }: Links): Promise<ShapedScene> {
    await using opening = new AsyncDisposableStack();
    const storage = await memoryFolder(opening);
    const lab = opening.use(await NetworkLab.open());
    const line = (bits: number) => ({ upBitsPerSecond: bits, downBitsPerSecond: bits });
    const registryHost = await lab.host('upstream', line(upstreamBitsPerSecond));
    const engineHost = await lab.host('engine', line(nodeBitsPerSecond));
    const names = [...Array.from({ length: nodes }, (_, n) => `node-${n + 1}`), 'shared'];
    const hosts = await lab.hosts(names.map((name) => ({ name, ...line(nodeBitsPerSecond) })));
    const upstream = opening.use(await Upstream.start({ address: registryHost.address }, registryHost.wrapper));
    const clients = hosts.map(({ wrapper }) => opening.use(new RemoteProgram<HostMethods>(hostProgram, [], wrapper)));
    return new ShapedScene({ upstream, engineHost, hosts, clients, storage }, opening.move());
  }

  get upstream(): Upstream {
    return this.#parts.upstream;
  }

  host(index: number): LabHost {
    const host = this.#parts.hosts[index];
    if (host === undefined) throw new Error(`there is no host ${index}`);
    return host;
  }

  client(host: number): RemoteProgram<HostMethods> {
    const client = this.#parts.clients[host];
    if (client === undefined) throw new Error(`there is no host ${host}`);
    return client;
  }

  /** What the lines give to bodies of so many bytes: upstream's to several hosts at once, and one host's to another. */
  async rates(bytes: number): Promise<Rates> {
    const image = await this.upstream.add({ repository: 'bench/rate', tag: 'v1', seed: 'rate', layerSizes: [bytes] });
    const path = `/v2/${image.repository}/blobs/${image.blobs.at(-1)?.digest}`;
    const { url } = this.upstream;
    const all = Array.from({ length: Math.min(receivers, this.#parts.hosts.length) }, (_, n) => this.client(n));
    const upstreamBytesPerSecond = rateOf(
      await Promise.all(all.map((one) => one.call('receive', { origin: url, path }))),
    );
    const origin = await this.client(0).call('serve', { address: this.host(0).address, bytes });
    const nodeBytesPerSecond = rateOf([await this.client(1).call('receive', { origin, path: '/' })]);
    return { upstreamBytesPerSecond, nodeBytesPerSecond };
  }

  start(subject: SpreadSubject, nodes: number): Promise<Subjects> {
    if (subject === 'cluster') return this.#startCluster(nodes);
    return subject === 'shared' ? this.#startShared(nodes) : this.#startNone(nodes);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#opened.disposeAsync();
  }

  async #startCluster(count: number): Promise<Subjects> {
    await using opening = new AsyncDisposableStack();
    const engine = opening.use(await RedisServer.start({ place: this.#parts.engineHost }));
    const cluster = { engine: engine.url, timeout: engineTimeout, peer: { secret: peerSecret } };
    const nodes: OnepullProcess[] = [];
    while (nodes.length < count) {
      const some = Array.from({ length: Math.min(startedAtOnce, count - nodes.length) }, (_, n) => nodes.length + n);
      nodes.push(...(await Promise.all(some.map((host) => this.#startOn(host, { cluster }, opening)))));
    }
    await allHeard(nodes);
    return subjectsOf(
      nodes,
      nodes.map(({ url }) => url),
      [],
      opening.move(),
    );
  }

  async #startShared(count: number): Promise<Subjects> {
    await using opening = new AsyncDisposableStack();
    const last = this.#parts.hosts.length - 1;
    const listen = `${this.host(last).address}:${clientPort}`;
    const cache = await this.#startOn(last, { listen }, opening);
    return subjectsOf(
      [cache],
      Array.from({ length: count }, () => cache.url),
      [last],
      opening.move(),
    );
  }

  async #startNone(count: number): Promise<Subjects> {
    const origins = Array.from({ length: count }, () => this.upstream.url);
    return subjectsOf([], origins, [], new AsyncDisposableStack());
  }

  async #startOn(host: number, settings: Readonly<Record<string, unknown>>, opening: AsyncDisposableStack) {
    const path = join(this.#parts.storage, String(++this.#started));
    opening.defer(() => rm(path, { recursive: true, force: true }));
    const upstreams = { [registryName]: { url: this.upstream.url } };
    const storage = { ...nodeSettings.storage, path };
    return opening.use(await startNode(this.host(host), { ...nodeSettings, upstreams, ...settings, storage }));
  }
}

function subjectsOf(
  processes: readonly OnepullProcess[],
  origins: readonly string[],
  others: readonly number[],
  opened: AsyncDisposableStack,
): Subjects {
  return {
    origins,
    toWarmUp: processes.length === 0 ? [] : [...new Set(origins)],
    others,
    async cpuMs() {
      const uses = await Promise.all(processes.map(({ pid }) => processUse(pid)));
      return uses.reduce((sum, use) => sum + (use?.cpuMs ?? 0), 0);
    },
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

/** The nodes have one disk here instead of one each: what they keep is in memory, which the kernel takes back with this program. */
async function memoryFolder(opened: AsyncDisposableStack): Promise<string> {
  const path = join(tmpdir(), 'nodes');
  await mkdir(path, { recursive: true });
  const { code, stderr } = await run('mount', ['-t', 'tmpfs', 'none', path]);
  if (code !== 0) throw new Error(`mount: ${stderr}`);
  opened.defer(async () => {
    await run('umount', ['-l', path]);
  });
  return path;
}

function rateOf(all: readonly Received[]): number {
  const bytes = all.reduce((sum, one) => sum + one.bytes, 0);
  const fromNs = Math.min(...all.map((one) => one.fromNs));
  const toNs = Math.max(...all.map((one) => one.toNs));
  return (bytes * 1e9) / (toNs - fromNs);
}
