import { lookup as systemLookup } from 'node:dns';
import type { LookupFunction } from 'node:net';
import { createSecureContext, getCACertificates, type SecureContext } from 'node:tls';
import { LRUCache } from 'lru-cache';
import { type Dispatcher, Pool, ProxyAgent } from 'undici';
import { AppError } from '../core/errors.ts';
import { classifyAddress, literalAddress } from './address-rules.ts';
import type { Endpoints } from './endpoint.ts';
import { LineClient } from './line-client.ts';
import { proxyFor } from './proxy-env.ts';
import { refuseAddress } from './redirect-rules.ts';
import type { ResolvedUpstreamOptions, UpstreamTls } from './upstream-options.ts';

/** Bodies of blobs travel apart from the rest, so that no manifest waits behind them for a connection. */
export type Lane = 'control' | 'bulk';

const maxOrigins = 64;
/** A socket that holds less is told to stop, and to go on, after each 64 KiB that it reads. */
const socketBytes = 256 * 1024;

/**
 * The connections of one upstream: a bounded keep-alive pool per origin and lane, opened when first needed.
 *
 * The upstream's authorities are trusted for all of them: in a company the token server and the storage have certificates
 * of the same authority. Its client certificate is shown to its own origins only. Any other origin is somebody whom the
 * upstream named: unless it is `allowed` by the configuration, every address that its name resolves to is judged
 * at the moment of connecting, so that no answer of DNS can change between the judgement and the connection. Behind a
 * proxy it is the proxy that resolves and judges.
 */
export class Connections implements AsyncDisposable {
  readonly #options: ResolvedUpstreamOptions;
  readonly #endpoints: Endpoints;
  readonly #lookup: LookupFunction;
  readonly #ownContext: SecureContext | undefined;
  readonly #otherContext: SecureContext | undefined;
  readonly #pools: LRUCache<string, Dispatcher>;
  /** Pools that gave way to others and finish what they have. */
  readonly #retiring = new Set<Dispatcher>();
  #upstreamIsInternal: boolean;
  #closed = false;

  constructor(deps: { endpoints: Endpoints; lookup?: LookupFunction | undefined }, options: ResolvedUpstreamOptions) {
    this.#options = options;
    this.#endpoints = deps.endpoints;
    this.#lookup = deps.lookup ?? (systemLookup as LookupFunction);
    this.#ownContext = secureContextOf(options.name, options.tls);
    this.#otherContext = secureContextOf(options.name, { ca: options.tls.ca });
    this.#pools = new LRUCache({ max: maxOrigins, dispose: (pool, _key, reason) => this.#retire(pool, reason) });
    this.#upstreamIsInternal = deps.endpoints.all.some(({ url }) => {
      const address = literalAddress(url.hostname);
      return address !== undefined && classifyAddress(address) === 'internal';
    });
  }

  /** Whether the upstream's own address is a private one, as far as is known: its name is resolved by connecting. */
  get upstreamIsInternal(): boolean {
    return this.#upstreamIsInternal;
  }

  dispatcherFor(url: URL, lane: Lane, allowed: boolean): Dispatcher {
    if (this.#closed) throw this.#closedError();
    const trust = this.#endpoints.own(url) ? 'own' : allowed ? 'allowed' : 'guarded';
    const address = literalAddress(url.hostname);
    if (trust === 'guarded' && address !== undefined) this.#judge(url.hostname, [address]);
    const key = `${lane} ${trust} ${url.origin}`;
    let pool = this.#pools.get(key);
    if (pool === undefined) {
      pool = this.#open(url, lane, trust);
      this.#pools.set(key, pool);
    }
    return pool;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    const pools = [...this.#pools.values(), ...this.#retiring];
    this.#pools.clear();
    await Promise.all(pools.map((pool) => pool.destroy(this.#closedError())));
  }

  #closedError(): AppError {
    return new AppError('SHUTTING_DOWN', `upstream ${this.#options.name} is closed`);
  }

  #open(url: URL, lane: Lane, trust: 'own' | 'allowed' | 'guarded'): Dispatcher {
    const { connectTimeoutMs } = this.#options;
    const secureContext = trust === 'own' ? this.#ownContext : this.#otherContext;
    const connect = {
      timeout: connectTimeoutMs,
      allowH2: false,
      highWaterMark: socketBytes,
      lookup: this.#lookupFor(trust),
      ...(secureContext !== undefined && { secureContext }),
    };
    const control = Math.max(1, Math.floor(this.#options.connections / 4));
    const pool = {
      connections: lane === 'control' ? control : Math.max(1, this.#options.connections - control),
      pipelining: 1,
      keepAliveTimeout: 15_000,
    };
    const proxy = proxyFor(url, this.#options.env);
    if (proxy === undefined) {
      const latest = {};
      const lined = (origin: string | URL, given: object) => new LineClient(new URL(origin), given, connect, latest);
      return new Pool(url.origin, { ...pool, connect, allowH2: false, ...(lane === 'bulk' && { factory: lined }) });
    }
    const factory = (origin: string | URL, given: object) => {
      const { connect } = given as Pool.Options;
      const tunnel = { ...pool, allowH2: false, headersTimeout: connectTimeoutMs };
      return new Pool(origin, connect === undefined ? tunnel : { ...tunnel, connect });
    };
    return new ProxyAgent({
      uri: proxy.href,
      connectTimeout: connectTimeoutMs,
      proxyTls: { timeout: connectTimeoutMs, allowH2: false },
      requestTls: connect,
      factory,
      clientFactory: factory,
    });
  }

  #lookupFor(trust: 'own' | 'allowed' | 'guarded'): LookupFunction {
    return (hostname, options, callback) => {
      this.#lookup(hostname, { ...options, all: true }, (error, answer) => {
        if (error !== null) return callback(error, []);
        const addresses = typeof answer === 'string' ? [] : answer;
        const found = addresses.map(({ address }) => address);
        if (trust === 'own') {
          this.#upstreamIsInternal ||= found.some((address) => classifyAddress(address) === 'internal');
        }
        try {
          if (trust === 'guarded') this.#judge(hostname, found);
        } catch (refusal) {
          return callback(refusal as AppError, []);
        }
        if (options.all === true) return callback(null, addresses);
        callback(null, addresses[0]?.address ?? '', addresses[0]?.family);
      });
    };
  }

  /** Throws where one of the host's addresses may not be dialled. */
  #judge(hostname: string, addresses: readonly string[]): void {
    for (const address of addresses) {
      const refusal = refuseAddress(hostname, classifyAddress(address), this.#upstreamIsInternal);
      if (refusal === undefined) continue;
      const message = `upstream ${this.#options.name} leads to where it must not: ${refusal}`;
      throw new AppError('UPSTREAM_REDIRECT_REFUSED', message, { details: { upstream: this.#options.name } });
    }
  }

  #retire(pool: Dispatcher, reason: LRUCache.DisposeReason): void {
    if (reason !== 'evict') return;
    this.#retiring.add(pool);
    // Closing may be overtaken by our own end, which destroys the pool.
    const forget = () => this.#retiring.delete(pool);
    void pool.close().then(forget, forget);
  }
}

function secureContextOf(upstream: string, tls: UpstreamTls): SecureContext | undefined {
  if (tls.ca === undefined && tls.cert === undefined && tls.key === undefined) return undefined;
  try {
    return createSecureContext({
      ...(tls.ca === undefined ? {} : { ca: [...getCACertificates('default'), tls.ca] }),
      ...(tls.cert === undefined ? {} : { cert: tls.cert }),
      ...(tls.key === undefined ? {} : { key: tls.key }),
    });
  } catch (error) {
    // The reason is OpenSSL's; the texts themselves are never repeated.
    const code = error instanceof Error && 'code' in error ? ` (${error.code})` : '';
    throw new AppError('CONFIG_INVALID', `upstream ${upstream}: the tls settings are not usable${code}`);
  }
}
