import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { AdminServer } from './admin/admin-server.ts';
import { effectRoutes } from './admin/effect-routes.ts';
import { EventFeed, eventFeedDefaults } from './admin/event-feed.ts';
import { healthRoutes } from './admin/health-routes.ts';
import { imageRoutes } from './admin/image-routes.ts';
import { LiveState } from './admin/live-state.ts';
import { openApiRoute } from './admin/openapi-route.ts';
import { pageRoutes } from './admin/page-routes.ts';
import { preheatRoutes } from './admin/preheat-routes.ts';
import { endedPreheatsShown } from './admin/state-document.ts';
import { stateRoutes } from './admin/state-routes.ts';
import { type StatusDeps, statusOf } from './admin/status.ts';
import type { Clustering } from './clustering.ts';
import { adminTokenProblem } from './config/admin-access.ts';
import type { Config } from './config/schema.ts';
import type { SettingInForce } from './config/settings-in-force.ts';
import { productVersion } from './config/version.ts';
import { addressText } from './core/address.ts';
import { systemClock } from './core/clock.ts';
import { AppError } from './core/errors.ts';
import type { Gateway } from './gateway/gateway.ts';
import type { CertificateWatch } from './gateway/tls/certificate-watch.ts';
import type { CachedImages } from './pull/cached-images.ts';
import type { Fetches } from './pull/fetches.ts';
import type { Preheats } from './pull/preheat/preheats.ts';
import type { PullBoard } from './pull/pull-board.ts';
import type { FsStore } from './store/fs/open-fs-store.ts';
import type { Channels } from './telemetry/channels.ts';
import { EffectHistory, effectHistoryDefaults } from './telemetry/effect-history.ts';
import type { LogLines } from './telemetry/log.ts';
import type { MemoryFigures } from './telemetry/memory-gauges.ts';
import { Metrics } from './telemetry/metrics.ts';
import type { RequestCounts } from './telemetry/request-tally.ts';
import type { ThreadReports } from './telemetry/thread-reports.ts';
import type { RegistryClient } from './upstream/registry-client.ts';
import { upstreamWarnings } from './upstream/upstream-warnings.ts';

/** The parts that operators look at. */
export interface AdministrationDeps {
  readonly config: Config;
  readonly channels: Channels;
  readonly processMetrics: boolean;
  readonly log?: LogLines;
  /** Why requests should not come here now, in words; empty: ready. */
  readiness(): readonly string[];
  readonly store: FsStore;
  readonly registries: readonly RegistryClient[];
  readonly cluster: Clustering | undefined;
  readonly fetches: Fetches;
  readonly board: PullBoard;
  readonly images: CachedImages;
  readonly preheats: Preheats;
  readonly requests: RequestCounts;
  readonly threads: ThreadReports;
  readonly certificate: CertificateWatch | undefined;
  readonly gateway: Gateway;
  readonly memory: MemoryFigures;
  /** The configuration in its own words, without secrets. */
  readonly settings?: readonly SettingInForce[];
  /** Where clients reach it, once it listens. */
  listen(): { readonly host: string; readonly port: number };
}

/** Of the package, or of a checkout: both are above this file's folder. */
const pageFolders: readonly string[] = ['../dist/web', '../src/web/dist'].map((path) =>
  fileURLToPath(new URL(path, import.meta.url)),
);

/** The wiring diagram of what operators see: metrics, and the routes of the admin listener. */
export function openAdministration(deps: AdministrationDeps): Administration {
  const { config, channels, requests } = deps;
  const opening = new DisposableStack();
  const upstreams = config.upstreams.map(({ name }) => name);
  const history = opening.use(
    new EffectHistory({ clock: systemClock, channels, requests }, { ...effectHistoryDefaults, upstreams }),
  );
  const state = stateDeps(deps);
  const status = statusDeps(deps, history);
  const live = new LiveState({
    ...state,
    preheats: () => deps.preheats.latest(endedPreheatsShown),
    status: (pulls) => statusOf(status, pulls),
    effect: () => history.snapshot(),
  });
  const feed = opening.use(new EventFeed({ clock: systemClock, channels, state: live }, eventFeedDefaults));
  const { version } = status;
  const routes = [
    ...healthRoutes({ ...status, metrics: openMetrics(deps, status.warnings) }),
    ...stateRoutes(state, version),
    ...effectRoutes({
      refresh: () => deps.threads.refresh(),
      pulls: state.pulls,
      status: (pulls) => statusOf(status, pulls),
      effect: () => history.snapshot(),
      feed,
      settings: deps.settings ?? [],
    }),
    ...imageRoutes(deps.images),
    ...preheatRoutes(deps.preheats),
    openApiRoute(version),
    ...pageRoutes({ folders: pageFolders }),
  ];
  const server = new AdminServer({ channels, routes, token: tokenOf(config) }, config.admin);
  return {
    listen: () => server.listen(),
    async [Symbol.asyncDispose]() {
      // First the streams end, so that viewers see an end and not a cut.
      opening.dispose();
      await server[Symbol.asyncDispose]();
    },
  };
}

export interface Administration extends AsyncDisposable {
  /** Starts listening; returns where. Rejects with LISTEN_FAILED. */
  listen(): Promise<{ host: string; port: number }>;
}

/** A file is read for each change, so that its token can be replaced; changes are rare. */
function tokenOf({ adminToken, adminTokenFile }: Config): (() => Promise<string>) | undefined {
  if (adminToken !== undefined) return async () => adminToken;
  if (adminTokenFile === undefined) return undefined;
  return async () => {
    const token = (await readFile(adminTokenFile, 'utf8')).replace(/\r?\n$/, '');
    const problem = adminTokenProblem(token);
    if (problem !== undefined) throw new AppError('CONFIG_INVALID', `the file of adminTokenFile ${problem}`);
    return token;
  };
}

function stateDeps({ registries, cluster, fetches, board }: AdministrationDeps) {
  return {
    flights: () => [...fetches.snapshots(), ...fetches.ended()],
    pulls: () => board.snapshots(),
    upstreams: () => registries.map((registry) => registry.snapshot()),
    cluster: () => cluster?.snapshot(),
  };
}

function statusDeps(deps: AdministrationDeps, history: EffectHistory): StatusDeps {
  const { config, store, images, cluster, certificate } = deps;
  return {
    version: productVersion(),
    startedAtMs: systemClock.now(),
    readiness: () => deps.readiness(),
    warnings: () => [
      ...store.health(),
      ...upstreamWarnings(deps.registries.map((registry) => registry.snapshot())),
      ...images.warnings(),
      ...(certificate?.warnings() ?? []),
      ...(cluster?.warnings() ?? []),
    ],
    listen: () => ({ address: addressText(deps.listen()), tls: certificate !== undefined }),
    async cache() {
      const { sizeBytes, blobs, strayBytes } = store.stats();
      const diskFreeBytes = await store.diskFreeBytes();
      return {
        sizeBytes,
        maxBytes: config.storage.maxSizeBytes,
        diskFreeBytes,
        images: images.count(),
        blobs,
        strayBytes,
      };
    },
    totals: () => history.totals(),
  };
}

function openMetrics(deps: AdministrationDeps, warnings: StatusDeps['warnings']): Metrics {
  const { config, channels, requests, threads, memory, cluster, certificate, store, fetches, gateway } = deps;
  return new Metrics(
    {
      channels,
      requests,
      threads,
      memory,
      cluster: () => cluster?.snapshot(),
      certificateUntilMs: () => certificate?.untilMs,
      warnings,
      droppedLines: () => deps.log?.droppedLines ?? 0,
      cache: () => {
        const { sizeBytes, strayBytes } = store.stats();
        return { sizeBytes, strayBytes, maxBytes: config.storage.maxSizeBytes };
      },
      diskFreeBytes: () => store.diskFreeBytes(),
      flights: () => fetches.snapshots(),
      load: () => gateway.load(),
      gateways: () => gateway.threads,
      upstreams: () => deps.registries.map((registry) => registry.snapshot()),
    },
    { version: productVersion(), processMetrics: deps.processMetrics },
  );
}
