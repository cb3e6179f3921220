import { readFile } from 'node:fs/promises';
import { AdminServer } from './admin/admin-server.ts';
import { healthRoutes } from './admin/health-routes.ts';
import { openApiRoute } from './admin/openapi-route.ts';
import type { AdminRoute } from './admin/route.ts';
import { stateRoutes } from './admin/state-routes.ts';
import type { Clustering } from './clustering.ts';
import { adminTokenProblem } from './config/admin-access.ts';
import type { Config } from './config/schema.ts';
import { productVersion } from './config/version.ts';
import { AppError } from './core/errors.ts';
import type { Gateway } from './gateway/gateway.ts';
import type { CertificateWatch } from './gateway/tls/certificate-watch.ts';
import type { Fetches } from './pull/fetches.ts';
import type { PullBoard } from './pull/pull-board.ts';
import type { FsStore } from './store/fs/open-fs-store.ts';
import type { Channels } from './telemetry/channels.ts';
import type { LogLines } from './telemetry/log.ts';
import type { MemoryFigures } from './telemetry/memory-gauges.ts';
import { Metrics } from './telemetry/metrics.ts';
import type { RequestCounts } from './telemetry/request-tally.ts';
import type { ThreadReports } from './telemetry/thread-reports.ts';
import type { RegistryClient } from './upstream/registry-client.ts';

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
  readonly requests: RequestCounts;
  readonly threads: ThreadReports;
  readonly certificate: CertificateWatch | undefined;
  readonly gateway: Gateway;
  readonly memory: MemoryFigures;
}

/** The wiring diagram of what operators see: metrics, and the routes of the admin listener. */
export function openAdministration(deps: AdministrationDeps): AdminServer {
  const { config, channels } = deps;
  return new AdminServer({ channels, routes: routes(deps), token: tokenOf(config) }, config.admin);
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

function routes(deps: AdministrationDeps): AdminRoute[] {
  const version = productVersion();
  const { store, registries, cluster, fetches, board, certificate } = deps;
  const state = {
    flights: () => [...fetches.snapshots(), ...fetches.ended()],
    pulls: () => board.snapshots(),
    upstreams: () => registries.map((registry) => registry.snapshot()),
    cluster: () => cluster?.snapshot(),
  };
  const health = {
    readiness: () => deps.readiness(),
    warnings: () => [...store.health(), ...(certificate?.warnings() ?? []), ...(cluster?.warnings() ?? [])],
    metrics: openMetrics(deps),
  };
  return [...healthRoutes(health), ...stateRoutes(state, version), openApiRoute(version)];
}

function openMetrics(deps: AdministrationDeps): Metrics {
  const { config, channels, requests, threads, memory, cluster, certificate, store, fetches, gateway } = deps;
  return new Metrics(
    {
      channels,
      requests,
      threads,
      memory,
      cluster: () => cluster?.snapshot(),
      certificateUntilMs: () => certificate?.untilMs,
      droppedLines: () => deps.log?.droppedLines ?? 0,
      cache: () => ({ sizeBytes: store.stats().sizeBytes, maxBytes: config.storage.maxSizeBytes }),
      diskFreeBytes: () => store.diskFreeBytes(),
      flights: () => fetches.snapshots(),
      load: () => gateway.load(),
      gateways: () => gateway.threads,
      upstreams: () => deps.registries.map((registry) => registry.snapshot()),
    },
    { version: productVersion(), processMetrics: deps.processMetrics },
  );
}
