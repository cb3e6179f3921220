import { z } from 'zod';

/**
 * What the commands read of the admin API's answers (docs/API.md); other fields pass by. A state is any word: a newer
 * instance may know more of them.
 */
const layer = z.looseObject({
  digest: z.string(),
  sizeBytes: z.number().optional(),
  filledBytes: z.number(),
  state: z.string(),
  waitingFor: z.string().optional(),
  waiters: z.number().optional(),
  error: z.string().optional(),
});

const pull = z.looseObject({
  /** What tells it from others, as long as the instance runs. */
  id: z.string(),
  image: z.string(),
  manifest: z.string(),
  state: z.string(),
  sizeBytes: z.number(),
  filledBytes: z.number(),
  waiters: z.number(),
  clients: z.array(z.string()),
  pulls: z.number(),
  firstAskedAtMs: z.number(),
  lastAskedAtMs: z.number(),
  layers: z.array(layer),
});

const flight = z.looseObject({
  id: z.string(),
  digest: z.string(),
  state: z.string(),
  rateBytesPerSecond: z.number(),
  waiters: z.number(),
});

const endpoint = z.looseObject({
  name: z.string(),
  standing: z.string(),
  breaker: z.looseObject({ state: z.string(), reason: z.string().optional() }),
  health: z.looseObject({
    latencyMs: z.number().optional(),
    errorRatio: z.number(),
    lastError: z.looseObject({ message: z.string() }).optional(),
  }),
  pauses: z.array(z.looseObject({ what: z.string(), leftMs: z.number() })),
  rateLimit: z.looseObject({ limit: z.number().optional(), remaining: z.number().optional() }).optional(),
});

const upstream = z.looseObject({ name: z.string(), endpoints: z.array(endpoint) });

const fill = z.looseObject({
  digest: z.string(),
  sizeBytes: z.number().optional(),
  filledBytes: z.number(),
  leads: z.boolean(),
  place: z.string().optional(),
  parents: z.array(z.string()),
});

const cluster = z.looseObject({
  node: z.string(),
  engine: z.looseObject({
    address: z.string().optional(),
    prefix: z.string().optional(),
    isUp: z.boolean(),
    sinceMs: z.number().optional(),
    error: z.string().optional(),
  }),
  children: z.number(),
  shares: z.array(fill),
  members: z.array(
    z.looseObject({
      node: z.looseObject({
        id: z.string(),
        zone: z.string().optional(),
        address: z.string(),
        version: z.string(),
      }),
      load: z.looseObject({ children: z.number(), fills: z.array(fill) }),
      silentMs: z.number(),
    }),
  ),
});

export const status = z.looseObject({
  version: z.string(),
  startedAtMs: z.number(),
  state: z.string(),
  reasons: z.array(z.string()).default([]),
  warnings: z.array(z.string()).default([]),
  listen: z.string(),
  tls: z.boolean().optional(),
  cache: z.looseObject({
    sizeBytes: z.number(),
    maxBytes: z.number(),
    diskFreeBytes: z.number().optional(),
    images: z.number().optional(),
    blobs: z.number(),
    strayBytes: z.number().default(0),
  }),
  effect: z.looseObject({
    servedBytes: z.number(),
    upstreamBytes: z.number(),
    savedBytes: z.number(),
    requests: z.number(),
    upstreamRequests: z.number(),
    coalescedRequests: z.number(),
    hitRatio: z.number().nullish(),
  }),
});

/** As `GET /api/v1/settings` has them: by their path in the configuration. */
const setting = z.looseObject({
  path: z.string(),
  value: z.union([z.string(), z.number(), z.boolean(), z.array(z.string())]).optional(),
});
export const settings = z.looseObject({ settings: z.array(setting) });

/** Of a status, where clients are served. */
export const listening = z.looseObject({ listen: z.string(), tls: z.boolean() });

export const pulls = z.looseObject({ pulls: z.array(pull) });
export const flights = z.looseObject({ flights: z.array(flight) });
export const upstreams = z.looseObject({ upstreams: z.array(upstream) });
export const clusterAnswer = z.looseObject({ cluster: cluster.nullable() });

export const images = z.looseObject({
  images: z.array(
    z.looseObject({
      image: z.string(),
      platforms: z.array(z.string()).default([]),
      otherPlatforms: z
        .array(z.looseObject({ platform: z.string(), sizeBytes: z.number().optional(), storedBytes: z.number() }))
        .default([]),
      sizeBytes: z.number(),
      storedBytes: z.number().optional(),
      lastUsedAtMs: z.number().optional(),
      cachedAtMs: z.number().optional(),
      isPinned: z.boolean(),
    }),
  ),
  total: z.number(),
  after: z.string().optional(),
});

export const purged = z.looseObject({
  removed: z.array(z.string()),
  freedBytes: z.number(),
  /** What is still read: it goes when that has ended. */
  following: z.array(z.looseObject({ sizeBytes: z.number() })).default([]),
});
/** An answer of which nothing is read. */
export const anything = z.unknown();
export const pinned = z.looseObject({ image: z.string(), isPinned: z.boolean() });

export const preheat = z.looseObject({
  id: z.string(),
  state: z.string(),
  images: z.array(
    z.looseObject({
      image: z.string(),
      state: z.string(),
      error: z.string().optional(),
      warning: z.string().optional(),
      layers: z.array(layer).default([]),
    }),
  ),
});

export type StatusAnswer = z.output<typeof status>;
export type PullAnswer = z.output<typeof pull>;
export type LayerAnswer = z.output<typeof layer>;
export type FlightAnswer = z.output<typeof flight>;
export type UpstreamAnswer = z.output<typeof upstream>;
export type EndpointAnswer = z.output<typeof endpoint>;
export type ClusterAnswer = z.output<typeof cluster>;
export type ImageAnswer = z.output<typeof images>['images'][number];
export type PreheatAnswer = z.output<typeof preheat>;

/** An image in the state that events tell: its layers by their position. */
export const pullEntry = pull.extend({
  layers: z.record(z.string(), layer).transform((layers) => Object.values(layers)),
});
export const flightEntry = flight;

/** The state that events tell; its entries are read when they change. */
export const stateDocument = z.looseObject({
  pulls: z.record(z.string(), z.unknown()),
  flights: z.record(z.string(), z.unknown()),
  cluster: cluster.optional(),
  status,
});
