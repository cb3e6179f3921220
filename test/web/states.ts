import type { StateParts } from '../../src/admin/state-document.ts';
import type { Status } from '../../src/admin/status.ts';
import { type Digest, digestOf } from '../../src/core/digest.ts';
import type { FlightSnapshot } from '../../src/flights/flight-snapshot.ts';
import type { ClusterSnapshot } from '../../src/pull/cluster-snapshot.ts';
import type { ImageSnapshot } from '../../src/pull/image-snapshot.ts';
import type { PreheatImageSnapshot, PreheatSnapshot, PreheatState } from '../../src/pull/preheat/preheat-snapshot.ts';
import type { LayerSnapshot, PullSnapshot } from '../../src/pull/pull-board.ts';
import type { EffectSnapshot } from '../../src/telemetry/effect-snapshot.ts';
import type { EndpointSnapshot, UpstreamSnapshot } from '../../src/upstream/upstream-snapshot.ts';

const mebibyte = 1024 * 1024;

export function digestFor(name: string): Digest {
  return digestOf(Buffer.from(name));
}

export function layer(
  name: string,
  share: number,
  state: LayerSnapshot['state'],
  more: Partial<LayerSnapshot> = {},
): LayerSnapshot {
  const sizeBytes = more.sizeBytes ?? 40 * mebibyte;
  return {
    digest: digestFor(name),
    mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip',
    sizeBytes,
    state,
    waitingFor: undefined,
    filledBytes: Math.round(sizeBytes * share),
    waiters: 0,
    upstreamBytes: Math.round(sizeBytes * share),
    peerBytes: 0,
    error: undefined,
    ...more,
  };
}

export function pull(
  image: string,
  state: PullSnapshot['state'],
  layers: readonly LayerSnapshot[],
  more: Partial<PullSnapshot> = {},
): PullSnapshot {
  const sum = (value: (one: LayerSnapshot) => number) => layers.reduce((total, one) => total + value(one), 0);
  return {
    id: image,
    image,
    manifest: digestFor(image),
    state,
    sizeBytes: sum(({ sizeBytes }) => sizeBytes),
    filledBytes: sum(({ filledBytes }) => filledBytes),
    waiters: sum(({ waiters }) => waiters),
    clients: ['10.0.3.17', '10.0.3.18', '10.0.3.19'],
    pulls: 64,
    upstreamRequests: layers.length,
    upstreamBytes: sum(({ upstreamBytes }) => upstreamBytes),
    peerBytes: sum(({ peerBytes }) => peerBytes),
    firstAskedAtMs: Date.now() - 12_000,
    lastAskedAtMs: Date.now() - 2000,
    layers,
    ...more,
  };
}

export function flight(name: string, source: string, more: Partial<FlightSnapshot> = {}): FlightSnapshot {
  const filledBytes = more.filledBytes ?? 12 * mebibyte;
  return {
    digest: digestFor(name),
    state: 'pulling',
    waitingFor: undefined,
    sizeBytes: 40 * mebibyte,
    filledBytes,
    notKept: undefined,
    ranges: [{ source, start: 0, nextOffset: filledBytes }],
    waiters: 64,
    sources: [source],
    receivedBytes: filledBytes,
    peerBytes: 0,
    rateBytesPerSecond: 6 * mebibyte,
    attempts: 1,
    peerAttempts: 0,
    startedAtMs: Date.now() - 12_000,
    ageMs: 12_000,
    error: undefined,
    ...more,
  };
}

export function endpoint(name: string, more: Partial<EndpointSnapshot> = {}): EndpointSnapshot {
  return {
    name,
    preference: 1,
    standing: 'sound',
    breaker: { state: 'closed' },
    health: { latencyMs: 38.4, bytesPerSecond: 31 * mebibyte, errorRatio: 0 },
    pauses: [],
    bodies: { limit: 16, inFlight: 4, queued: 0 },
    ...more,
  };
}

export function status(more: Partial<Status> = {}): Status {
  return {
    version: '0.1.0',
    node: '26.10.0',
    startedAtMs: Date.now() - 7_380_000,
    state: 'ready',
    reasons: [],
    warnings: [],
    listen: '0.0.0.0:5000',
    tls: false,
    cache: {
      sizeBytes: 12 * 2 ** 30,
      maxBytes: 50 * 2 ** 30,
      diskFreeBytes: 80 * 2 ** 30,
      images: 41,
      blobs: 388,
      strayBytes: 0,
    },
    effect: {
      servedBytes: 212 * 2 ** 30,
      upstreamBytes: 9 * 2 ** 30,
      savedBytes: 203 * 2 ** 30,
      requests: 48_112,
      upstreamRequests: 912,
      coalescedRequests: 9120,
      hitRatio: 0.87,
    },
    pulls: { waiting: 1, pulling: 2, verifying: 0, incomplete: 0, done: 38, failed: 1 },
    ...more,
  };
}

export function effect(steps = 400): EffectSnapshot {
  const stepMs = 5000;
  const nowMs = Math.floor(Date.now() / stepMs) * stepMs;
  const wave = (n: number, length: number) => Math.max(0, Math.sin((2 * Math.PI * n) / length));
  return {
    stepMs,
    maxPoints: 720,
    points: Array.from({ length: steps }, (_, n) => ({
      atMs: nowMs - (steps - n) * stepMs,
      servedBytes: Math.round(5 * 400 * mebibyte * wave(n, 60) ** 3),
      upstreamBytes: Math.round(5 * 20 * mebibyte * wave(n + 3, 60) ** 3),
      peerBytes: 0,
      requests: Math.round(5 * 120 * wave(n, 60)),
      hits: Math.round(5 * 90 * wave(n, 60)),
      coalesced: Math.round(5 * 25 * wave(n, 60)),
      failures: n % 97 === 0 ? 3 : 0,
    })),
    firstByteMs: { p50: 0.8, p90: 41, p99: 480 },
    pullMs: { p50: 2310, p90: 8800, p99: 41_000 },
    upstreams: [
      { name: 'docker.io', bytes: 7 * 2 ** 30, requests: 700, errors: 3 },
      { name: 'ghcr.io', bytes: 2 * 2 ** 30, requests: 212, errors: 0 },
    ],
  };
}

const unasked = { health: { errorRatio: 0 }, bodies: { limit: 16, inFlight: 0, queued: 0 } };

export function upstreams(): UpstreamSnapshot[] {
  const nowMs = Date.now();
  const refused = 'upstream corp.example (a.corp.example) cannot be reached: the connection was refused';
  return [
    {
      name: 'docker.io',
      endpoints: [
        endpoint('registry-1.docker.io', { rateLimit: { limit: 100, remaining: 17, toldAtMs: nowMs - 41_000 } }),
      ],
    },
    {
      name: 'corp.example',
      endpoints: [
        endpoint('a.corp.example', {
          standing: 'shut',
          breaker: { state: 'open', reason: refused, openedAtMs: nowMs - 72_000, probeAtMs: nowMs + 9000 },
          health: {
            latencyMs: 21.4,
            errorRatio: 0.21,
            lastError: { code: 'UPSTREAM_UNREACHABLE', message: refused, atMs: nowMs - 1600 },
          },
          bodies: { limit: 16, inFlight: 0, queued: 0 },
        }),
        endpoint('b.corp.example', { preference: 2, pauses: [{ what: 'manifests', leftMs: 41_200 }] }),
      ],
    },
    { name: 'ghcr.io', endpoints: [endpoint('ghcr.io', unasked)] },
    { name: 'quay.io', endpoints: [endpoint('quay.io', unasked)] },
  ];
}

export function cluster(): ClusterSnapshot {
  const blob = digestFor('shared');
  const names = ['edge-1', 'edge-2', 'edge-3', 'edge-4', 'edge-5', 'edge-6'];
  const parents: readonly (readonly string[])[] = [
    [],
    ['edge-1'],
    ['edge-1'],
    ['edge-2'],
    ['edge-2'],
    ['edge-3', 'edge-2'],
  ];
  const fills = names.map((_, n) => ({
    digest: blob,
    sizeBytes: 40 * mebibyte,
    filledBytes: Math.round(40 * mebibyte * (0.8 - 0.1 * n)),
    leads: n === 0,
    parents: parents[n] ?? [],
  }));
  return {
    node: 'edge-1',
    engine: {
      address: '10.0.0.5:6379',
      prefix: 'onepull',
      isUp: true,
      sinceMs: Date.now() - 3_600_000,
      error: undefined,
    },
    children: 2,
    shares: fills.slice(0, 1),
    members: names.map((name, n) => ({
      node: {
        id: name,
        name,
        zone: n < 3 ? 'eu-1a' : 'eu-1b',
        address: `http://10.0.0.${n + 7}:5002`,
        protocol: 1,
        version: '0.1.0',
      },
      load: { children: n < 2 ? 2 : 0, fills: fills.slice(n, n + 1) },
      silentMs: 400,
    })),
  };
}

export function preheatImage(
  image: string,
  state: PreheatState,
  share: number,
  more: Partial<PreheatImageSnapshot> = {},
): PreheatImageSnapshot {
  const sizeBytes = more.sizeBytes ?? (state === 'waiting' ? 0 : 80 * mebibyte);
  const filledBytes = Math.round(sizeBytes * share);
  const unknown = { manifest: undefined, waitingFor: undefined, error: undefined, warning: undefined };
  return { image, state, platforms: [], ...unknown, sizeBytes, filledBytes, layers: [], ...more };
}

export function preheat(
  id: string,
  state: PreheatSnapshot['state'],
  images: readonly PreheatImageSnapshot[],
  more: Partial<PreheatSnapshot> = {},
): PreheatSnapshot {
  const imageCounts = { waiting: 0, pulling: 0, done: 0, failed: 0, cancelled: 0 };
  for (const image of images) imageCounts[image.state]++;
  return {
    id,
    state,
    platforms: [],
    startedAtMs: Date.now() - 95_000,
    endedAtMs: state === 'running' ? undefined : Date.now() - 40_000,
    sizeBytes: images.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    filledBytes: images.reduce((sum, { filledBytes }) => sum + filledBytes, 0),
    imageCounts,
    images,
    ...more,
  };
}

/** One of every kind, and images of every kind. */
export function preheats(): PreheatSnapshot[] {
  const refused = 'upstream ghcr.io answered 403: denied';
  const running = [
    preheatImage('docker.io/library/postgres:18', 'done', 1),
    preheatImage('ghcr.io/org/team/service-with-a-long-name/storefront:2026-11-23', 'pulling', 0.4, {
      platforms: ['linux/amd64'],
    }),
    preheatImage('docker.io/library/redis:8', 'pulling', 0, {
      sizeBytes: 0,
      waitingFor: 'another attempt: upstream docker.io is limiting requests: it asked for a rest of 41 s (429)',
    }),
    preheatImage('ghcr.io/org/worker:2', 'failed', 0.2, { error: refused }),
    preheatImage(
      'quay.io/org/job@sha256:3c8bf1e0b1c6d1dbf4ba4d7b3a1b0f6d9c7cf5b1a3f0b1c1b8a4e0f2d9b7c6e5',
      'waiting',
      0,
    ),
  ];
  const minutesAgo = (minutes: number) => ({
    startedAtMs: Date.now() - minutes * 60_000,
    endedAtMs: Date.now() - minutes * 60_000 + 31_000,
  });
  return [
    preheat('runs', 'running', running, { platforms: ['linux/amd64', 'linux/arm64'] }),
    preheat('done', 'done', [preheatImage('docker.io/library/nginx:1.29', 'done', 1)], minutesAgo(4)),
    preheat('failed', 'failed', [preheatImage('ghcr.io/org/none:1', 'failed', 0, { error: refused, sizeBytes: 0 })], {
      ...minutesAgo(9),
    }),
    preheat(
      'cancelled',
      'cancelled',
      [
        preheatImage('docker.io/library/alpine:3.22', 'done', 1),
        preheatImage('docker.io/library/golang:1.26', 'cancelled', 0.3),
      ],
      minutesAgo(12),
    ),
  ];
}

export function cachedImage(n: number, more: Partial<ImageSnapshot> = {}): ImageSnapshot {
  return {
    image: `docker.io/library/service-${String(n).padStart(3, '0')}:1.${n}`,
    manifest: digestFor(`image ${n}`),
    mediaType: 'application/vnd.oci.image.index.v1+json',
    platforms: ['linux/amd64', 'linux/arm64'],
    otherPlatforms: [],
    sizeBytes: (20 + ((n * 37) % 400)) * mebibyte,
    storedBytes: (20 + ((n * 37) % 400)) * mebibyte,
    pulls: (n * 53) % 900,
    lastUsedAtMs: Date.now() - n * 71_000,
    cachedAtMs: Date.now() - n * 3_600_000,
    isPinned: n === 3,
    ...more,
  };
}

/** One pull of every kind. */
export function busyState(): StateParts {
  const source = 'docker.io/library/nginx';
  const refused = 'upstream ghcr.io answered 403: denied';
  return {
    pulls: [
      pull('docker.io/library/nginx:1.29', 'pulling', [
        layer('config', 1, 'done', { sizeBytes: 7692, mediaType: 'application/vnd.oci.image.config.v1+json' }),
        layer('one', 0.3, 'pulling', { waiters: 64 }),
        layer('two', 1, 'verifying', { waiters: 64, sizeBytes: 12 * mebibyte }),
        layer('three', 0, 'waiting', { waiters: 12, waitingFor: `an answer from ${source}`, sizeBytes: 3 * mebibyte }),
        layer('four', 0, 'missing', { sizeBytes: mebibyte, upstreamBytes: 0 }),
      ]),
      pull('ghcr.io/org/team/service-with-a-long-name/app:2026-11-23', 'failed', [
        layer('five', 1, 'done'),
        layer('six', 0.6, 'failed', { error: refused }),
        layer('seven', 0.2, 'pulling', { waiters: 3 }),
      ]),
      pull('docker.io/library/redis:8', 'done', [layer('eight', 1, 'done')], {
        firstAskedAtMs: Date.now() - 400_000,
        lastAskedAtMs: Date.now() - 90_000,
      }),
      pull('quay.io/org/job@sha256:3c8bf1e0b1c6d1dbf4ba4d7b3a1b0f6d9c7cf5b1a3f0b1c1b8a4e0f2d9b7c6e5', 'failed', [
        layer('nine', 0.1, 'failed', {
          error: 'upstream quay.io is limiting requests: it asked for a rest of 41 s (429)',
        }),
      ]),
      pull('docker.io/library/busybox:latest', 'waiting', [layer('ten', 1, 'done'), layer('eleven', 0, 'missing')]),
    ],
    flights: [
      flight('one', source, {
        ranges: [
          { source, start: 0, nextOffset: 12 * mebibyte },
          { source, start: 20 * mebibyte, nextOffset: 22 * mebibyte },
        ],
        attempts: 2,
      }),
      flight('two', source, { state: 'verifying', ranges: [], rateBytesPerSecond: 0 }),
      flight('three', source, {
        state: 'waiting',
        filledBytes: 0,
        rateBytesPerSecond: 0,
        waitingFor: `an answer from ${source}`,
      }),
      flight('seven', 'ghcr.io/org/team/app', { waiters: 3, rateBytesPerSecond: 300_000 }),
      flight('lone', 'quay.io/org/artifact', { waiters: 1, sizeBytes: undefined }),
    ],
    preheats: preheats(),
    upstreams: upstreams(),
    cluster: cluster(),
    status: status(),
    effect: effect(),
  };
}

/** As many pulls as a burst of `images` different images makes. */
export function crowdedState(images: number): Pick<StateParts, 'pulls' | 'flights'> {
  const numbers = Array.from({ length: images }, (_, n) => n);
  return {
    pulls: numbers.map((n) =>
      pull(
        `docker.io/library/crowd-${n}:1`,
        'pulling',
        [layer(`crowd ${n} a`, 0.4, 'pulling', { waiters: 5 }), layer(`crowd ${n} b`, 1, 'done')],
        {
          firstAskedAtMs: Date.now() - 60_000 + n,
        },
      ),
    ),
    flights: numbers.map((n) => flight(`crowd ${n} a`, `docker.io/library/crowd-${n}`, { waiters: 5 })),
  };
}
