import type { Configuration } from '../support/onepull-process.ts';
import type { EndpointName } from './fault-kinds.ts';
import { alpha, beta, type World } from './world.ts';

/** The bounds of a run: short, so that much happens in little time. */
export const bounds = {
  headerTimeoutMs: 10_000,
  maxRssBytes: 2 ** 30,
  /** How soon an endpoint that came back has to be used again. */
  recoveryMs: 2000,
  /** Of each endpoint and each CDN: slow enough that faults meet bodies under way. */
  bytesPerSecond: 48_000_000,
} as const;

const minFreeBytes = 8 * 2 ** 20;

/** What onepull is told. */
export function configurationFor(
  world: World,
  urls: Readonly<Record<EndpointName, string>>,
  options: { readonly faults: readonly string[]; readonly clients: number; readonly accessLog: boolean },
): Configuration {
  const { faults, clients, accessLog } = options;
  const damaged = faults.some((name) => name === 'flip' || name === 'flip-restart');
  const nowhere = faults.includes('no-dns') ? ['http://nowhere.invalid:5000'] : [];
  const upstream = {
    tagTtl: '2s',
    redirects: { allow: ['127.0.0.1'] },
    connections: 32,
    connectTimeout: '1s',
    headersTimeout: '2s',
  };
  return {
    storage: {
      maxSize: String(world.cacheBytes),
      minFree: String(minFreeBytes),
      scrubRate: '32MiB',
      // Bits flip while onepull runs: then only hashing each time keeps the promise.
      ...(damaged && { verifyAfter: '0s' }),
    },
    upstreams: {
      [alpha]: { ...upstream, endpoints: [...nowhere, urls.a1, urls.a2], default: true },
      [beta]: { ...upstream, endpoints: [urls.b1] },
    },
    pull: {
      headerTimeout: `${bounds.headerTimeoutMs}ms`,
      stallTimeout: '1500ms',
      minProgress: '32KiB',
      deadline: '60s',
      passThroughMemory: '64MiB',
    },
    server: { maxResponses: maxResponses(clients), clientTimeout: '15s', shutdownTimeout: '5s' },
    log: { level: 'info', access: accessLog },
  };
}

/** Far more than the clients ask for at once, and less than a rush does. */
export function rushClients(clients: number): number {
  return Math.ceil(1.5 * maxResponses(clients));
}

/** A disk that holds the cache, a pull or two beside it, and what is to stay free. */
export function diskBytes(world: World): number {
  return Math.round(1.5 * world.cacheBytes) + minFreeBytes + 32 * 2 ** 20;
}

function maxResponses(clients: number): number {
  return 8 * clients + 40;
}
