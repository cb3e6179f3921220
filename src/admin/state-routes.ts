import { type FlightSnapshot, flightId } from '../flights/flight-snapshot.ts';
import type { ClusterSnapshot } from '../pull/cluster-snapshot.ts';
import type { PullSnapshot } from '../pull/pull-board.ts';
import type { UpstreamSnapshot } from '../upstream/upstream-snapshot.ts';
import { type AdminRoute, jsonAnswer } from './route.ts';

/** Functions give plain data, without waiting for anything but a look at the disk. */
export interface StateDeps {
  flights(): readonly FlightSnapshot[];
  pulls(): readonly PullSnapshot[] | Promise<readonly PullSnapshot[]>;
  upstreams(): readonly UpstreamSnapshot[];
  /** Undefined: this node is alone. */
  cluster?(): ClusterSnapshot | undefined;
}

/** What goes on at this moment, each part by itself. */
export function stateRoutes({ flights, pulls, upstreams, cluster }: StateDeps, version: string): AdminRoute[] {
  const get = (path: string, value: () => unknown): AdminRoute => ({
    method: 'GET',
    path,
    handler: async () => jsonAnswer(200, await value()),
  });
  return [
    get('/api/v1/flights', () => ({ flights: flights().map((flight) => ({ id: flightId(flight), ...flight })) })),
    get('/api/v1/pulls', async () => ({ pulls: await pulls() })),
    get('/api/v1/upstreams', () => ({ upstreams: upstreams() })),
    get('/api/v1/cluster', () => ({ cluster: cluster?.() ?? null })),
    get('/api/v1/version', () => ({ version, node: process.versions.node })),
  ];
}
