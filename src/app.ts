import { randomBytes, randomUUID } from 'node:crypto';
import { availableParallelism, hostname, totalmem } from 'node:os';
import { openAdministration } from './administration.ts';
import type { SharedPause } from './cluster/coordinator.ts';
import type { Clustering } from './clustering.ts';
import type { Config, UpstreamConfig } from './config/schema.ts';
import type { SettingInForce } from './config/settings-in-force.ts';
import { productVersion } from './config/version.ts';
import { ChangeCount } from './core/change-count.ts';
import { type Clock, systemClock } from './core/clock.ts';
import { divideMemory, type MemoryBudget, processMemoryBytes, usualMemoryBytes } from './core/memory-budget.ts';
import type { Tracing } from './core/tracing.ts';
import { FlightTable, type FlightTableOptions } from './flights/flight-table.ts';
import { PassingTable, type PassingTableOptions } from './flights/passing/passing-table.ts';
import { SmallBlobMemory } from './flights/small-blob-memory.ts';
import { SharedBlocks } from './gateway/blocks/shared-blocks.ts';
import { connectionsThatFit, idleFilesThatFit } from './gateway/connection-budget.ts';
import type { Gateway } from './gateway/gateway.ts';
import { type GatewayMemory, gatewayMemory } from './gateway/gateway-memory.ts';
import { HitDepot, hitDepotDefaults } from './gateway/hits/hit-depot.ts';
import { type GatewayOptions, GatewayServer, gatewayDefaults } from './gateway/server.ts';
import { SharedParts } from './gateway/threads/depot-host.ts';
import { GatewayCrew } from './gateway/threads/gateway-crew.ts';
import { CertificateWatch } from './gateway/tls/certificate-watch.ts';
import { CachedImages } from './pull/cached-images.ts';
import { Fetches } from './pull/fetches.ts';
import { Preheats, preheatDefaults } from './pull/preheat/preheats.ts';
import { PullBoard } from './pull/pull-board.ts';
import { PullDepot } from './pull/pull-depot.ts';
import { RegistryNames } from './pull/registry-names.ts';
import { type Upstream, Upstreams } from './pull/upstreams.ts';
import { retryDefaults, retryPolicy } from './routing/retry-policy.ts';
import { openFsStore } from './store/fs/open-fs-store.ts';
import { startHashThread } from './store/hashing/hash-thread.ts';
import { HashThreads } from './store/hashing/hash-threads.ts';
import type { Channels } from './telemetry/channels.ts';
import type { LogLines } from './telemetry/log.ts';
import type { MemoryFigures } from './telemetry/memory-gauges.ts';
import { RequestCounts } from './telemetry/request-tally.ts';
import { ThreadReports } from './telemetry/thread-reports.ts';
import { readTls } from './tls-files.ts';
import { openTracing } from './tracing.ts';
import { CredentialHelper } from './upstream/credential-helper.ts';
import { type CredentialProvider, FixedCredentials, PasswordFileCredentials } from './upstream/credentials.ts';
import { DockerConfigCredentials } from './upstream/docker-config.ts';
import type { Environment } from './upstream/proxy-env.ts';
import { RegistryClient } from './upstream/registry-client.ts';

export interface AppDeps {
  readonly channels: Channels;
  readonly env: Environment;
  /** The configuration in its own words, for operators; left out: they see none. */
  readonly settings?: readonly SettingInForce[];
  /** Also report figures of the process (memory, event loop): for the program, not for instances inside a test. */
  readonly processMetrics: boolean;
  /** Takes the lines of other threads; left out: nobody wants any. */
  readonly log?: LogLines;
  /** How many files and sockets the process may have open, where that is known. */
  readonly descriptorLimit?: number | undefined;
}

export interface App extends AsyncDisposable {
  readonly listen: { host: string; port: number };
  readonly admin: { host: string; port: number };
  readonly gateway: Gateway;
  /** Stops accepting and lets running responses finish within the bound. Disposing then leaves fills resumable. */
  drain(timeoutMs: number): Promise<void>;
}

const MiB = 1024 * 1024;

const flightDefaults = {
  holdBackBytes: 32 * 1024,
  smallBlobBytes: 128 * 1024,
  /** What takes less time than to tell another thread, and to hear of it. */
  hashDirectlyBytes: 512 * 1024,
  /** A millisecond's work: the end of a body is not kept waiting, and a thread not woken for each write. */
  hashStepBytes: 2 * MiB,
  /** A request may queue for a connection, connect, be redirected and authorised before its first byte. */
  askTimeoutMs: 90_000,
  maxBadBodies: 2,
  /** What is read through is less than the least range: or what one reader had opened would come twice (P1). */
  plan: { patienceBytes: 1024 * 1024, leastRangeBytes: 256 * 1024, readThroughBytes: 128 * 1024 },
  split: { fromBytes: 32 * MiB, leadBytes: 8 * MiB, leastRangeBytes: MiB, mostRangeBytes: 16 * MiB },
} as const;

/** A window is as large as memory allows: the larger, the further apart those may be who share a transfer. */
const passingDefaults = { windowBytes: 64 * MiB, leastWindowBytes: 512 * 1024, idleConnectionMs: 5000 } as const;

const pullDefaults = { staleAfterMs: 3000 } as const;

/**
 * The wiring diagram: builds every part, hands each what it needs, and starts listening. The only place that does.
 * Rejects with LISTEN_FAILED, STORAGE_LOCKED or STORAGE_FAILED, having closed what it had opened.
 */
export async function startApp(config: Config, deps: AppDeps): Promise<App> {
  const clock = systemClock;
  const { channels } = deps;
  await using opening = new AsyncDisposableStack();

  const { maxSizeBytes } = config.storage;
  const version = productVersion();
  const traces = opening.use(
    await openTracing(config, { clock, channels, version, instance: randomUUID(), hostName: hostname() }),
  );
  const tracing = traces?.tracing;
  const changes = new ChangeCount();
  const maxIdleFiles = idleFilesThatFit(deps.descriptorLimit);
  const hasher = opening.use(openHasher(channels));
  const budget = memoryBudget(config);
  const smallBlobs = new SmallBlobMemory(budget.smallBlobBytes);
  const store = opening.use(
    await openFsStore({ clock, channels, changes, hasher }, { ...config.storage, maxIdleFiles }),
  );
  const registries: RegistryClient[] = [];
  const cluster = opening.use(await openCluster(config, registries, { channels, tracing }));
  registries.push(...(await openRegistries(config, { clock, channels, tracing, env: deps.env }, opening)));
  const upstreams = upstreamsOf(config, registries, cluster);
  const retry = retryPolicy(retryDefaults, Math.random);
  const flights = opening.use(
    new FlightTable(
      {
        store: store.content,
        hasher,
        memory: smallBlobs,
        clock,
        channels,
        retry,
        sharing: cluster,
        spans: traces?.flights,
      },
      flightOptions(config),
    ),
  );
  const passing = opening.use(new PassingTable({ clock, channels, retry }, passingOptions(config)));
  const fetches = new Fetches(flights, passing);
  const board = new PullBoard({ clock, channels, changes, flights: fetches, store: store.content });
  const { content, catalog } = store;
  const depot = new PullDepot(
    { changes, clock, channels, store: content, catalog, upstreams, flights, passing, board, retry, cluster, tracing },
    {
      headerTimeoutMs: config.pull.headerTimeoutMs,
      maxKeptBytes: maxSizeBytes,
      manifestBytes: budget.manifestBytes,
      ...pullDefaults,
    },
  );
  const names = registryNames(config);
  const images = new CachedImages(
    { channels, images: store.images, store: content, names, board, depot },
    config.storage,
  );
  const preheats = opening.use(
    new Preheats(
      {
        clock,
        channels,
        depot,
        store: content,
        catalog: store.catalog,
        troubles: () => store.health(),
        flights: fetches,
        names,
        newId: () => randomBytes(8).toString('hex'),
      },
      { ...preheatDefaults, maxBytes: maxSizeBytes },
    ),
  );
  const requests = new RequestCounts(channels);
  const loopTimes = () => performance.eventLoopUtilization();
  const threads = new ThreadReports({ clock, counts: requests, log: deps.log, loopTimes });
  const certificate = opening.use(await openCertificate(config, channels));
  const gateways = gatewayThreads(config, channels);
  const memory = gatewayMemory(budget, gateways);
  const blocks = new SharedBlocks(memory.blocks, 0, Math.random);
  const parts = { certificate, depot, changes, requests, threads, gateways, budget, memory, blocks };
  const gateway = opening.use(openGateway(config, deps, parts, opening));
  certificate?.subscribe((next) => gateway.useCertificate(next));

  let isDraining = false;
  let listen: App['listen'] = config.listen;
  const readiness = () => (isDraining ? ['shutting down'] : []);
  const figures = memoryFigures(budget, blocks, smallBlobs);
  const operations = { config, readiness, store, registries, cluster, fetches, board, requests, threads, certificate };
  const admin = opening.use(
    openAdministration({ ...deps, ...operations, images, preheats, gateway, memory: figures, listen: () => listen }),
  );
  await cluster?.start({ store: content, flights }, flightDefaults);
  listen = await gateway.listen();
  const adminAddress = await admin.listen();

  const running = opening.move();
  return {
    listen,
    admin: adminAddress,
    gateway,
    async drain(timeoutMs) {
      isDraining = true;
      await Promise.all([gateway.drain(timeoutMs), cluster?.drain(timeoutMs), preheats[Symbol.asyncDispose]()]);
    },
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

interface GatewayParts {
  readonly certificate: CertificateWatch | undefined;
  readonly depot: PullDepot;
  readonly changes: ChangeCount;
  readonly requests: RequestCounts;
  readonly threads: ThreadReports;
  /** Threads that answer clients. */
  readonly gateways: number;
  readonly budget: MemoryBudget;
  readonly memory: GatewayMemory;
  readonly blocks: SharedBlocks;
}

/** In this thread, or in as many of their own as are wanted. */
function openGateway(
  config: Config,
  deps: AppDeps,
  { certificate, depot, changes, requests, threads: reports, gateways, budget, memory, blocks }: GatewayParts,
  opening: AsyncDisposableStack,
): Gateway {
  const { channels } = deps;
  const clock = systemClock;
  const registries = config.upstreams.map(({ name }) => name);
  const fallback = config.upstreams.find(({ isDefault }) => isDefault)?.name;
  const shown = { certificate: certificate?.current };
  const bounds = { ...connectionBounds(config, gateways, deps), maxQueuedBytes: budget.queuedBytes };
  const traceOneIn = config.tracing.endpoint === undefined ? undefined : config.tracing.sampleOneIn;
  const options: GatewayOptions = { ...gatewayOptions(config), ...bounds, ...shown, memory, traceOneIn };
  if (gateways === 0) {
    const names = registryNames(config);
    const hits = opening.use(
      new HitDepot(
        { depot, changes, log: depot, clock },
        { ...hitDepotDefaults, maxBytes: memory.preparedBytes, gateway: 0 },
      ),
    );
    const tally = requests;
    return new GatewayServer(
      { depot: hits, hits, blocks, names, channels, tally, clock, random: Math.random },
      options,
    );
  }
  return new GatewayCrew(
    {
      depot,
      hits: depot,
      parts: new SharedParts(),
      reports,
      channels,
      clock,
      forget(gateway) {
        depot.gatewayEnded(gateway);
        blocks.threadEnded(gateway);
      },
    },
    {
      threads: gateways,
      gateway: { ...options, maxRefused: Math.ceil(options.maxRefused / gateways) },
      names: { registries, fallback },
      log: config.log,
      changes: changes.shared,
      saysEvents: deps.log === undefined,
    },
  );
}

function registryNames({ upstreams }: Config): RegistryNames {
  const fallback = upstreams.find(({ isDefault }) => isDefault)?.name;
  return new RegistryNames(
    upstreams.map(({ name }) => name),
    fallback,
  );
}

/** What `server.memory` says, or what is usual for a process that may use as much as this one, divided. */
function memoryBudget({ server: { memoryBytes, maxQueuedBytes } }: Config): MemoryBudget {
  const processBytes = processMemoryBytes(process.constrainedMemory(), totalmem());
  return divideMemory(memoryBytes ?? usualMemoryBytes(processBytes), maxQueuedBytes);
}

function memoryFigures(budget: MemoryBudget, blocks: SharedBlocks, smallBlobs: SmallBlobMemory): MemoryFigures {
  const { blockCacheBytes, queuedBytes, smallBlobBytes, manifestBytes, preparedBytes } = budget;
  return {
    shares: {
      blocks: blockCacheBytes,
      queued: queuedBytes,
      'small-blobs': smallBlobBytes,
      manifests: manifestBytes,
      prepared: preparedBytes,
    },
    blocks: () => blocks.counts(),
    smallBlobBytes: () => smallBlobs.usedBytes,
  };
}

/** Undefined: clients speak plain HTTP. */
function openCertificate({ server: { tls } }: Config, channels: Channels): Promise<CertificateWatch> | undefined {
  const { certFile, keyFile } = tls;
  if (certFile === undefined || keyFile === undefined) return undefined;
  return CertificateWatch.open({ clock: systemClock, channels }, { certFile, keyFile });
}

/** Several listeners on one port are a thing of few systems. */
function gatewayThreads({ server }: Config, channels: Channels): number {
  if (process.platform === 'linux') return server.threads ?? availableParallelism();
  if (server.threads !== undefined && server.threads > 0) {
    const message = 'threads that answer clients (server.threads) need Linux: the main thread answers them';
    channels.notice.publish({ level: 'warn', message, fields: { event: 'no-threads', platform: process.platform } });
  }
  return 0;
}

/** Half the cores are plenty: a core hashes faster than anything fills. */
function openHasher(channels: Channels): HashThreads {
  const crashed = (error: unknown) =>
    channels.notice.publish({ level: 'error', message: 'a thread that hashes content ended', error });
  const maxThreads = Math.min(8, Math.max(1, Math.floor(availableParallelism() / 2)));
  return new HashThreads({ start: startHashThread, crashed }, { maxThreads });
}

function flightOptions({ pull }: Config): FlightTableOptions {
  const { stallTimeoutMs, minProgressBytes, outageTimeoutMs, deadlineMs, abandon } = pull;
  const { maxRanges, maxSplit, maxFlights } = pull;
  const limits = { stallTimeoutMs, minProgressBytes, outageTimeoutMs, deadlineMs, maxRanges, maxSplit, maxFlights };
  return { ...flightDefaults, ...limits, headerPatienceMs: headerPatienceMs(pull), abandon };
}

function passingOptions({ pull }: Config): PassingTableOptions {
  const { stallTimeoutMs, minProgressBytes, outageTimeoutMs, deadlineMs, passThroughBytes: totalBytes } = pull;
  const limits = { stallTimeoutMs, minProgressBytes, outageTimeoutMs, deadlineMs, totalBytes };
  return { ...flightDefaults, ...passingDefaults, ...limits, headerPatienceMs: headerPatienceMs(pull) };
}

/** Work that is shared gives up a little before those who wait for it do, so that they hear its reason. */
function headerPatienceMs({ headerTimeoutMs }: Config['pull']): number {
  return headerTimeoutMs * 0.9;
}

function gatewayOptions({ listen, pull, server }: Config) {
  return {
    ...gatewayDefaults,
    ...listen,
    headerTimeoutMs: pull.headerTimeoutMs,
    clientTimeoutMs: server.clientTimeoutMs,
    maxConnections: server.maxConnections,
    maxResponses: server.maxResponses,
    maxQueuedBytes: server.maxQueuedBytes,
    maxHeaderBytes: server.maxHeaderSizeBytes,
  };
}

/** Fewer connections than configured where the process could not open what they need; then an operator is told. */
function connectionBounds(config: Config, threads: number, { channels, descriptorLimit: limit }: AppDeps) {
  if (limit === undefined) return {};
  const { maxConnections, maxResponses } = config.server;
  const { maxFlights } = config.pull;
  const upstreamConnections = config.upstreams.reduce(
    (sum, { endpoints, connections }) => sum + endpoints.length * connections,
    0,
  );
  const idleFiles = idleFilesThatFit(limit);
  const needs = { limit, threads, maxConnections, maxResponses, maxFlights, upstreamConnections, idleFiles };
  const fit = connectionsThatFit(needs);
  if (fit >= maxConnections) return {};
  const message = `of ${maxConnections} connections (server.maxConnections) only ${fit} fit the file descriptors allowed`;
  const hint = 'raise the limit (ulimit -n, LimitNOFILE= of systemd), or lower server.maxConnections';
  channels.notice.publish({ level: 'warn', message, fields: { event: 'few-descriptors', limit, hint } });
  return { maxConnections: fit, connectionBound: 'descriptors', maxRefused: Math.min(256, fit) } as const;
}

interface UpstreamDeps {
  readonly clock: Clock;
  readonly channels: Channels;
  readonly tracing: Tracing | undefined;
  readonly env: Environment;
}

/** Undefined: this node is alone. `registries` are filled in later. */
async function openCluster(
  { cluster }: Config,
  registries: readonly RegistryClient[],
  parts: { readonly channels: Channels; readonly tracing: Tracing | undefined },
): Promise<Clustering | undefined> {
  if (cluster === undefined) return undefined;
  // A node that is alone does without the memory that its code takes.
  const { Clustering } = await import('./clustering.ts');
  const onPauses = (pauses: readonly SharedPause[]) => {
    for (const { upstream, endpoint, what, status, leftMs } of pauses) {
      const registry = registries.find(({ name }) => name === upstream);
      if (isPauseKind(what)) registry?.rests(endpoint, what, status, leftMs);
    }
  };
  return Clustering.open(cluster, { clock: systemClock, ...parts, version: productVersion(), onPauses });
}

function isPauseKind(text: string): text is 'manifests' | 'blobs' | 'everything' {
  return text === 'manifests' || text === 'blobs' || text === 'everything';
}

function upstreamsOf(
  config: Config,
  registries: readonly RegistryClient[],
  cluster: Clustering | undefined,
): Upstreams {
  const byName = new Map<string, Upstream>();
  for (const registry of registries) {
    const tagTtlMs = config.upstreams.find(({ name }) => name === registry.name)?.tagTtlMs ?? 0;
    const { name } = registry;
    byName.set(name, { registry: cluster?.registry(name, tagTtlMs, registry) ?? registry, tagTtlMs });
  }
  return new Upstreams(byName);
}

/** In the configured order. */
async function openRegistries(config: Config, deps: UpstreamDeps, opening: AsyncDisposableStack) {
  const registries: RegistryClient[] = [];
  const userAgent = `onepull/${productVersion()}`;
  for (const upstream of config.upstreams) {
    const { name, endpoints, authRealms, connections, connectTimeoutMs, headersTimeoutMs } = upstream;
    const registry = opening.use(
      new RegistryClient(
        {
          clock: deps.clock,
          channels: deps.channels,
          tracing: deps.tracing,
          random: Math.random,
          credentials: credentialsOf(upstream, deps),
        },
        {
          name,
          endpoints,
          authRealms,
          redirects: { allow: upstream.redirectsAllow },
          tls: await readTls(upstream.tls),
          connections,
          connectTimeoutMs,
          headersTimeoutMs,
          hedge: upstream.hedge,
          stallTimeoutMs: config.pull.stallTimeoutMs,
          env: deps.env,
          userAgent,
        },
      ),
    );
    registries.push(registry);
  }
  return registries;
}

function credentialsOf({ name, credentials }: UpstreamConfig, { clock, env }: UpstreamDeps): CredentialProvider {
  switch (credentials?.kind) {
    case undefined:
      return new FixedCredentials();
    case 'password':
      return new FixedCredentials({ ...credentials, kind: 'basic' });
    case 'passwordFile':
      return new PasswordFileCredentials(credentials);
    case 'dockerConfig':
      return new DockerConfigCredentials({ clock }, { path: credentials.path, registry: name, env });
    case 'helper':
      return new CredentialHelper({ clock }, { name: credentials.name, serverUrl: helperKey(name), env });
  }
}

/** Docker keeps its own registry's credentials under the address of an API that is long gone. */
function helperKey(registry: string): string {
  return registry === 'docker.io' ? 'https://index.docker.io/v1/' : registry;
}
