import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { coordinatorDefaults, type FillLoad, type NodeFacts, type SharedPause } from './cluster/coordinator.ts';
import { Membership, membershipDefaults } from './cluster/membership.ts';
import { RedisCoordinator } from './cluster/redis/redis-coordinator.ts';
import { RedisEngine, redisEngineDefaults } from './cluster/redis/redis-engine.ts';
import { leastSecretLength } from './config/cluster-rules.ts';
import type { Config } from './config/schema.ts';
import { addressText } from './core/address.ts';
import type { Clock } from './core/clock.ts';
import type { Digest } from './core/digest.ts';
import { AppError } from './core/errors.ts';
import { outwardAddresses } from './core/outward-addresses.ts';
import type { Tracing } from './core/tracing.ts';
import type { FillShare } from './flights/fill-share.ts';
import type { FlightTable } from './flights/flight-table.ts';
import { PeerClient, peerClientDefaults } from './peers/peer-client.ts';
import { PeerListener, peerListenerDefaults } from './peers/peer-listener.ts';
import { peerProtocol } from './peers/peer-protocol.ts';
import { PeerVerifier } from './peers/peer-signature.ts';
import { BlobShare, blobShareDefaults } from './pull/blob-share.ts';
import type { ClusterSnapshot } from './pull/cluster-snapshot.ts';
import { PeerShelf, type PeerShelfOptions } from './pull/peer-shelf.ts';
import { SharedRegistry, sharedRegistryDefaults } from './pull/shared-registry.ts';
import type { Registry } from './pull/upstreams.ts';
import type { ContentStore } from './store/content-store.ts';
import type { Channels } from './telemetry/channels.ts';
import type { TlsTexts } from './tls-files.ts';
import { TlsWatch } from './tls-watch.ts';

type ClusterConfig = NonNullable<Config['cluster']>;

export interface ClusteringDeps {
  readonly clock: Clock;
  readonly channels: Channels;
  /** onepull's own. */
  readonly version: string;
  readonly tracing?: Tracing | undefined;
  /** Rests that endpoints asked other nodes for. */
  readonly onPauses: (pauses: readonly SharedPause[]) => void;
}

/** What this node has to give, once there is a store. */
interface Content {
  readonly flights: FlightTable;
  readonly shelf: PeerShelf;
}

/** Fills that all nodes together tell of with a beat, and one node at least and at most: each hears what all of them say. */
const fillsTold = { inAll: 500, least: 2, most: 50 } as const;
/** As the configuration asks of one that it holds itself. */

/**
 * This node among those that share an engine: the parts, wired. It listens for peers from the beginning, so that its address is
 * known; what it has they are given from `start` on. Disposing takes leave.
 */
export class Clustering implements AsyncDisposable {
  readonly node: NodeFacts;
  readonly #deps: ClusteringDeps;
  readonly #opened: AsyncDisposableStack;
  readonly #engine: RedisEngine;
  readonly #coordinator: RedisCoordinator;
  readonly #membership: Membership;
  readonly #client: PeerClient;
  readonly #listener: PeerListener;
  readonly #content: { current: Content | undefined };
  readonly #watches: readonly TlsWatch[];
  readonly #prefix: string;
  readonly #shares = new Map<Digest, BlobShare>();
  readonly #farewells = new Set<Promise<void>>();

  /** Rejects with LISTEN_FAILED, or where a file of the configuration cannot be read. */
  static async open(config: ClusterConfig, deps: ClusteringDeps): Promise<Clustering> {
    await using opening = new AsyncDisposableStack();
    const { peer } = config;
    const { clock, channels, tracing } = deps;
    const secret = peer.secret ?? (await textOf(peer.secretFile));
    const isTls = peer.tls.caFile !== undefined || peer.tls.certFile !== undefined;
    const peerTls = opening.use(await TlsWatch.open(deps, peer.tls, 'cluster.peer.tls'));
    const tls = isTls ? peerTls.current : undefined;
    checkProof(peer, secret, tls?.ca);
    const content: { current: Content | undefined } = { current: undefined };
    const shelf = () => {
      if (content.current !== undefined) return content.current.shelf;
      throw new AppError('OVERLOADED', 'this node is starting', { retryAfterMs: 1000 });
    };
    let address = '';
    const verifier = secret === undefined ? undefined : new PeerVerifier(clock, secret, () => address);
    const listener = opening.use(
      new PeerListener(
        { clock, channels, shelf, verifier, tracing },
        { ...peerListenerDefaults, ...peer.listen, tls, maxChildren: peer.maxChildren },
      ),
    );
    const { port } = await listener.listen();
    address = peer.advertise ?? addressOf(peer.listen.host, port, tls !== undefined);
    const name = config.nodeId ?? hostname();
    const node: NodeFacts = {
      id: `${name.replaceAll(/[^\w.-]/g, '-').slice(0, 100)}#${randomBytes(4).toString('hex')}`,
      name,
      zone: config.zone,
      address,
      protocol: peerProtocol,
      version: deps.version,
    };
    const engineTls = opening.use(await TlsWatch.open(deps, config.tls, 'cluster.tls'));
    const engine = opening.use(await openEngine(config, deps, engineTls.current));
    engineTls.subscribe((texts) => engine.useTls(texts));
    const client = opening.use(
      new PeerClient({ clock, channels, tracing }, { ...peerClientDefaults, node: node.id, secret, tls }),
    );
    peerTls.subscribe((texts) => {
      listener.useTls(texts);
      client.useTls(texts);
    });
    const options = { ...coordinatorDefaults, maxChildren: peer.maxChildren, prefix: config.prefix };
    const coordinator = new RedisCoordinator(engine, node, options);
    return new Clustering(
      node,
      deps,
      { engine, coordinator, client, listener, content, watches: [peerTls, engineTls], prefix: config.prefix },
      opening.move(),
    );
  }

  private constructor(
    node: NodeFacts,
    deps: ClusteringDeps,
    parts: {
      engine: RedisEngine;
      coordinator: RedisCoordinator;
      client: PeerClient;
      listener: PeerListener;
      content: { current: Content | undefined };
      watches: readonly TlsWatch[];
      prefix: string;
    },
    opened: AsyncDisposableStack,
  ) {
    this.node = node;
    this.#deps = deps;
    this.#engine = parts.engine;
    this.#coordinator = parts.coordinator;
    this.#client = parts.client;
    this.#listener = parts.listener;
    this.#content = parts.content;
    this.#watches = parts.watches;
    this.#prefix = parts.prefix;
    this.#opened = opened;
    const { clock, onPauses, channels } = deps;
    const load = () => ({ children: this.#listener.children, fills: this.#fills(this.#mostTold) });
    this.#membership = new Membership({ clock, coordinator: this.#coordinator, load, onPauses }, membershipDefaults);
    opened.defer(() => Promise.allSettled(this.#farewells).then(() => {}));
    opened.use(this.#membership);
    channels.pause.subscribe(({ forMs, ...pause }) => {
      this.#coordinator.pause({ ...pause, leftMs: forMs }).catch(() => {});
    });
  }

  /** From now on others get what is here, and hear of it. */
  async start(deps: { store: ContentStore; flights: FlightTable }, options: PeerShelfOptions): Promise<void> {
    this.#content.current = { flights: deps.flights, shelf: new PeerShelf(deps, options) };
    await this.#membership.start();
  }

  /** A flight's place among the nodes. */
  share(digest: Digest): FillShare {
    const { clock } = this.#deps;
    const coordinator = {
      visit: this.#coordinator.visit.bind(this.#coordinator),
      lost: this.#coordinator.lost.bind(this.#coordinator),
      leave: (...args: Parameters<RedisCoordinator['leave']>) => {
        const farewell = this.#coordinator.leave(...args);
        const settled = farewell.then(
          () => {},
          () => {},
        );
        this.#farewells.add(settled);
        void settled.then(() => this.#farewells.delete(settled));
        return farewell;
      },
    };
    const share = new BlobShare(
      {
        clock,
        coordinator,
        peer: (holder, of) => this.#client.source(holder, of),
        isThere: (node) => this.#membership.isThere(node),
        members: () => this.#membership.heardOf,
        hear: () => this.#membership.hear(),
        dismiss: () => this.#listener.dismiss(digest),
        channels: this.#deps.channels,
        ended: () => {
          if (this.#shares.get(digest) === share) this.#shares.delete(digest);
        },
      },
      blobShareDefaults,
      digest,
    );
    this.#shares.set(digest, share);
    return share;
  }

  /** The registry, asked once for all nodes. */
  registry(name: string, tagTtlMs: number, registry: Registry): Registry {
    const { clock } = this.#deps;
    const manifestFrom = this.#client.manifest.bind(this.#client);
    return new SharedRegistry(
      { clock, coordinator: this.#coordinator, registry, manifestFrom },
      { ...sharedRegistryDefaults, name, tagTtlMs, address: this.node.address },
    );
  }

  /** Content that is here was used, and may be of use to others. */
  used(digest: Digest, sizeBytes: number): void {
    this.#membership.used(digest, sizeBytes);
  }

  /** What is wrong, in words, though requests are answered. */
  warnings(): string[] {
    const { isUp, error } = this.#engine.health;
    const expired = this.#watches.flatMap((watch) => watch.warnings());
    return isUp
      ? expired
      : [`the engine that nodes share does not answer: this node pulls on its own (${error})`, ...expired];
  }

  snapshot(): ClusterSnapshot {
    const { isUp, sinceMs, error } = this.#engine.health;
    return {
      node: this.node.id,
      engine: { address: this.#engine.name, prefix: this.#prefix, isUp, sinceMs, error },
      children: this.#listener.children,
      shares: this.#fills(Number.POSITIVE_INFINITY),
      members: this.#membership.members,
    };
  }

  /** Peers that read from here are not cut, if they come to an end within the bound; others do not begin. */
  drain(timeoutMs: number): Promise<void> {
    return this.#listener.drain(timeoutMs);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#opened.disposeAsync();
  }

  get #mostTold(): number {
    const { inAll, least, most } = fillsTold;
    return Math.min(most, Math.max(least, Math.floor(inAll / Math.max(1, this.#membership.members.length))));
  }

  #fills(most: number): FillLoad[] {
    const fills: FillLoad[] = [];
    for (const { digest, sizeBytes, filledBytes } of this.#content.current?.flights.snapshots() ?? []) {
      const share = this.#shares.get(digest);
      const state = share?.state;
      const place = state === undefined || state === 'over' ? {} : { place: state };
      const told = { leads: state === 'leads', ...place, parents: share?.parents ?? [] };
      fills.push({ digest, sizeBytes, filledBytes, ...told });
      if (fills.length >= most) break;
    }
    return fills;
  }
}

async function openEngine(
  config: ClusterConfig,
  { clock, channels }: ClusteringDeps,
  tls: TlsTexts,
): Promise<RedisEngine> {
  const { engine: address, username, sentinel, timeoutMs } = config;
  const password = await textOf(config.passwordFile);
  const forSentinels = { username: sentinel.username, password: await textOf(sentinel.passwordFile) };
  return new RedisEngine(
    { clock, channels },
    { ...redisEngineDefaults, address, username, password, sentinel: forSentinels, tls, timeoutMs },
  );
}

/** Where others reach a listener on `host`: where that is any address, the machine's first one that is not loopback. */
function addressOf(host: string, port: number, isTls: boolean): string {
  const isAny = host === '0.0.0.0' || host === '::';
  const reached = isAny ? (outwardAddresses(host)[0] ?? '127.0.0.1') : host;
  return `${isTls ? 'https' : 'http'}://${addressText({ host: reached, port })}`;
}

/** What is to keep strangers out must not be empty: a file may be there and its content not yet. */
function checkProof(
  { secretFile, tls }: ClusterConfig['peer'],
  secret: string | undefined,
  ca: string | undefined,
): void {
  if (secretFile !== undefined && secret !== undefined && secret.length < leastSecretLength) {
    throw new AppError('CONFIG_INVALID', `cluster.peer.secretFile holds less than ${leastSecretLength} characters`);
  }
  if (tls.caFile !== undefined && (ca ?? '').trim() === '') {
    throw new AppError('CONFIG_INVALID', 'cluster.peer.tls.ca is an empty file');
  }
}

async function textOf(file: string | undefined): Promise<string | undefined> {
  return file === undefined ? undefined : (await readFile(file, 'utf8')).replace(/\r?\n$/, '');
}
