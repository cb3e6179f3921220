import type { Environment } from './proxy-env.ts';

/** One upstream as it is configured. What is left out has the value of `withDefaults`. */
export interface UpstreamOptions {
  /** The registry as clients name it, such as `docker.io`. */
  readonly name: string;
  /** Where it is reached: http or https, maybe with a path prefix. */
  readonly endpoints: readonly string[];
  /** Hosts of token servers that may see the credentials, besides the upstream's own domain. */
  readonly authRealms?: readonly string[] | undefined;
  readonly redirects?: {
    /** Hosts that redirects may lead to although their address is private: `host`, `host:port` or `*.domain`. */
    readonly allow?: readonly string[] | undefined;
  };
  readonly tls?: UpstreamTls | undefined;
  /** The most connections to one host. A quarter of them is kept for what is not a blob's body. */
  readonly connections?: number | undefined;
  readonly connectTimeoutMs?: number | undefined;
  readonly headersTimeoutMs?: number | undefined;
  /** How long a body may bring nothing while we wait for it. */
  readonly stallTimeoutMs?: number | undefined;
  /** How long a request may wait for one of our own connections to become free. */
  readonly acquireTimeoutMs?: number | undefined;
  /** Where there are several endpoints: whether a manifest that one is slow to give is asked of another as well. */
  readonly hedge?: boolean | undefined;
  /** Where the proxy variables are read from. Default: none are. */
  readonly env?: Environment | undefined;
  /** How we introduce ourselves: `onepull/<version>`. */
  readonly userAgent: string;
}

/** PEM texts. */
export interface UpstreamTls {
  /** Trusted besides the system's authorities, also for the token server and for storage that the upstream names. */
  readonly ca?: string | undefined;
  /** Shown to the upstream's own endpoints only. */
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
}

export interface ResolvedUpstreamOptions {
  readonly name: string;
  readonly endpoints: readonly string[];
  readonly authRealms: readonly string[];
  readonly redirectsAllow: readonly string[];
  readonly tls: UpstreamTls;
  readonly connections: number;
  readonly connectTimeoutMs: number;
  readonly headersTimeoutMs: number;
  readonly stallTimeoutMs: number;
  readonly acquireTimeoutMs: number;
  readonly hedge: boolean;
  readonly env: Environment;
  readonly userAgent: string;
}

export function withDefaults(options: UpstreamOptions): ResolvedUpstreamOptions {
  return {
    name: options.name,
    endpoints: options.endpoints,
    authRealms: options.authRealms ?? [],
    redirectsAllow: options.redirects?.allow ?? [],
    tls: options.tls ?? {},
    connections: options.connections ?? 16,
    connectTimeoutMs: options.connectTimeoutMs ?? 5_000,
    headersTimeoutMs: options.headersTimeoutMs ?? 15_000,
    stallTimeoutMs: options.stallTimeoutMs ?? 10_000,
    acquireTimeoutMs: options.acquireTimeoutMs ?? 60_000,
    hedge: options.hedge ?? true,
    env: options.env ?? {},
    userAgent: options.userAgent,
  };
}

/** Whoever asks for a manifest waits about 22 s: by the time that this leaves to the last endpoint all have been asked. */
const failoverWithinMs = 16_000;
const mostPatienceMs = 8000;

/** So long is one endpoint's answer waited for before another is asked. */
export function patienceMs({ endpoints, headersTimeoutMs }: ResolvedUpstreamOptions): number {
  const shareMs = failoverWithinMs / Math.max(1, endpoints.length - 1);
  return Math.min(headersTimeoutMs, mostPatienceMs, shareMs);
}
