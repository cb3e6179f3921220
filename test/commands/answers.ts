/** What an instance that works may answer; tests change what they are about. */
const status = {
  version: '0.1.0',
  node: '26.10.0',
  startedAtMs: Date.now() - 3 * 86_400_000,
  state: 'ready',
  reasons: [],
  warnings: [],
  listen: '0.0.0.0:5000',
  tls: false,
  cache: {
    sizeBytes: 12 * 2 ** 30,
    maxBytes: 50 * 2 ** 30,
    diskFreeBytes: 100 * 2 ** 30,
    images: 120,
    blobs: 1,
    strayBytes: 0,
  },
  effect: {
    servedBytes: 100 * 2 ** 30,
    upstreamBytes: 10 * 2 ** 30,
    savedBytes: 90 * 2 ** 30,
    requests: 123_456,
    upstreamRequests: 789,
    coalescedRequests: 4321,
    hitRatio: 0.987,
  },
  pulls: { waiting: 0, pulling: 1, verifying: 0, incomplete: 0, done: 0, failed: 0 },
};

export const digest = `sha256:8a1e25ce7c4f${'0'.repeat(52)}`;

export function layer(changes: object = {}) {
  return {
    digest,
    mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip',
    sizeBytes: 100 * 2 ** 20,
    state: 'pulling',
    filledBytes: 43 * 2 ** 20,
    waiters: 500,
    upstreamBytes: 43 * 2 ** 20,
    ...changes,
  };
}

export function pull(changes: object = {}) {
  return {
    id: '1',
    image: 'docker.io/library/nginx:1.29',
    manifest: `sha256:${'5'.repeat(64)}`,
    state: 'pulling',
    sizeBytes: 100 * 2 ** 20,
    filledBytes: 43 * 2 ** 20,
    waiters: 500,
    clients: ['10.0.3.17', '10.0.3.18'],
    pulls: 500,
    upstreamRequests: 2,
    upstreamBytes: 43 * 2 ** 20,
    firstAskedAtMs: 1_793_923_199_650,
    lastAskedAtMs: 1_793_923_199_980,
    layers: [layer()],
    ...changes,
  };
}

export function flight(changes: object = {}) {
  return {
    id: '1',
    digest,
    state: 'pulling',
    sizeBytes: 100 * 2 ** 20,
    filledBytes: 43 * 2 ** 20,
    ranges: [],
    waiters: 500,
    sources: [],
    receivedBytes: 43 * 2 ** 20,
    rateBytesPerSecond: 6 * 2 ** 20,
    attempts: 1,
    startedAtMs: 1_793_923_199_650,
    ageMs: 5000,
    ...changes,
  };
}

export function upstream(changes: object = {}) {
  const endpoint = {
    name: 'registry-1.docker.io',
    preference: 1,
    standing: 'sound',
    breaker: { state: 'closed' },
    health: { latencyMs: 21.4, errorRatio: 0 },
    pauses: [],
    bodies: { limit: 16, inFlight: 1, queued: 0 },
    rateLimit: { limit: 100, remaining: 76, toldAtMs: 1_793_923_199_650 },
    ...changes,
  };
  return { name: 'docker.io', endpoints: [endpoint] };
}

export function settings(upstreams: Readonly<Record<string, string>>, defaultName: string) {
  const values = Object.entries(upstreams).flatMap(([name, url]) => [
    { path: `upstreams.${name}.url`, value: url, source: 'default', description: '' },
    { path: `upstreams.${name}.default`, value: name === defaultName, source: 'default', description: '' },
  ]);
  return { settings: [...values, { path: 'listen', value: '0.0.0.0:5000', source: 'default', description: '' }] };
}

/** By method and path, for a ScriptedAdmin. */
export function answers(changes: { readonly status?: object; readonly pulls?: readonly object[] } = {}) {
  return {
    'GET /api/v1/status': { ...status, ...changes.status },
    'GET /api/v1/pulls': { pulls: changes.pulls ?? [pull()] },
    'GET /api/v1/flights': { flights: [flight()] },
    'GET /api/v1/upstreams': { upstreams: [upstream()] },
    'GET /api/v1/cluster': { cluster: null },
  };
}

interface Named {
  readonly id: string;
}

/** The state as events tell it, of what the other routes say. */
export function stateTold(changes: { readonly pulls?: readonly ReturnType<typeof pull>[] } = {}) {
  const { pulls = [pull()] } = changes;
  return {
    pulls: byId(pulls.map((each) => ({ ...each, layers: { ...each.layers } }))),
    flights: byId([flight()]),
    upstreams: { 'docker.io': upstream() },
    status,
  };
}

function byId<Entry extends Named>(entries: readonly Entry[]): Record<string, Entry> {
  return Object.fromEntries(entries.map((entry) => [entry.id, entry]));
}
