import { createHash } from 'node:crypto';
import { Cluster, Redis } from 'ioredis';
import type { Clock } from '../../core/clock.ts';
import { type EngineAddress, engineName } from '../../core/engine-address.ts';
import { AppError } from '../../core/errors.ts';
import type { Channels } from '../../telemetry/channels.ts';
import type { ScriptEngine } from './redis-coordinator.ts';
import type { Script } from './scripts.ts';

export interface RedisEngineDeps {
  readonly clock: Clock;
  readonly channels: Pick<Channels, 'notice'>;
}

interface EngineTls {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

export interface RedisEngineOptions {
  readonly address: EngineAddress;
  /** Instead of what the address says. */
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  /** What Sentinels want to know, where they do not let everybody in. */
  readonly sentinel?: { readonly username?: string | undefined; readonly password?: string | undefined } | undefined;
  /** Authorities and client certificate, in PEM: where the address says TLS. */
  readonly tls?: EngineTls;
  /** A call that takes longer is given up: what waits for it goes on without. */
  readonly timeoutMs: number;
  /** So long nobody waits for an engine that did not answer: meanwhile one call at a time finds out whether it does again. */
  readonly restMs: number;
}

export interface EngineHealth {
  readonly isUp: boolean;
  /** Since when, in ms since the epoch; undefined: it was not asked yet. */
  readonly sinceMs: number | undefined;
  /** Why it is not. */
  readonly error: string | undefined;
}

export const redisEngineDefaults = { timeoutMs: 80, restMs: 1000 } as const;

const reconnectMs = { least: 50, most: 1000 } as const;
const connectTimeoutMs = 2000;

/**
 * The connection to Redis or Valkey.
 *
 * Invariants
 * - `run` settles within `timeoutMs`, whatever the engine does; while there is no connection it rejects at once. Nothing is
 *   queued for later: what was to be said then is old by the time it could be.
 * - After a failure all calls are rejected at once for `restMs`, but for one at a time that finds out: an engine that hangs
 *   costs one waiter its patience, not everybody.
 * - A call that was given up may still be carried out. Scripts are such that this harms nobody.
 */
export class RedisEngine implements ScriptEngine {
  readonly #clock: Clock;
  readonly #channels: RedisEngineDeps['channels'];
  readonly #options: RedisEngineOptions;
  readonly #client: Redis | Cluster;
  /** Of each new connection; ioredis has this very object. */
  readonly #tls: EngineTls;
  readonly #firstAttempt: Promise<void>;
  readonly #shas = new Map<Script, string>();
  #health: EngineHealth = { isUp: true, sinceMs: undefined, error: undefined };
  /** What the last attempt to connect failed of; undefined: there is a connection, or none was made yet. */
  #refusal: string | undefined;
  #restsUntilMs = 0;
  #isTrying = false;

  constructor(deps: RedisEngineDeps, options: RedisEngineOptions) {
    this.#clock = deps.clock;
    this.#channels = deps.channels;
    this.#options = options;
    this.#tls = { ...options.tls };
    this.#client = connect(options, this.#tls);
    // What counts is what becomes of calls; why there is no connection is theirs to tell.
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#firstAttempt = promise;
    this.#client.on('error', (error: Error) => {
      this.#refusal = reasonOf(error);
      resolve();
    });
    this.#client.on('ready', () => {
      this.#refusal = undefined;
      resolve();
    });
  }

  /** For people: where it is, without a password. */
  get name(): string {
    return engineName(this.#options.address);
  }

  get health(): EngineHealth {
    return this.#health;
  }

  /** For connections from now on. */
  useTls(tls: EngineTls): void {
    Object.assign(this.#tls, tls);
  }

  async run(script: Script, keys: readonly string[], args: readonly string[]): Promise<unknown> {
    const isTrial = !this.#health.isUp;
    if (isTrial && (this.#isTrying || this.#clock.monotonic() < this.#restsUntilMs)) throw this.#unavailable();
    if (isTrial) this.#isTrying = true;
    try {
      const reply = await this.#bounded(this.#evaluate(script, keys, args));
      this.#answered();
      return reply;
    } catch (error) {
      this.#failed(error instanceof Error ? error.message : String(error));
      throw this.#unavailable(error);
    } finally {
      if (isTrial) this.#isTrying = false;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const connections = this.#client instanceof Cluster ? this.#client.nodes() : [this.#client];
    // A handshake that is broken off may fail once more, and nobody else would take that second error.
    for (const { stream } of connections) stream?.on('error', () => {});
    this.#client.disconnect();
  }

  async #evaluate(script: Script, keys: readonly string[], args: readonly string[]): Promise<unknown> {
    const client = this.#client;
    const isFirst = this.#health.sinceMs === undefined;
    if (isFirst) await this.#firstAttempt;
    if (client.status !== 'ready') throw new Error(this.#noConnection());
    try {
      return await client.evalsha(this.#sha(script), keys.length, ...keys, ...args);
    } catch (error) {
      if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw error;
      return client.eval(script.lua, keys.length, ...keys, ...args);
    }
  }

  #sha(script: Script): string {
    let sha = this.#shas.get(script);
    if (sha === undefined) {
      sha = createHash('sha1').update(script.lua).digest('hex');
      this.#shas.set(script, sha);
    }
    return sha;
  }

  #bounded<T>(call: Promise<T>): Promise<T> {
    const { timeoutMs } = this.#options;
    return new Promise((resolve, reject) => {
      const late = () =>
        reject(new Error(this.#refusal === undefined ? `no answer within ${timeoutMs} ms` : this.#noConnection()));
      // Where this process stood still for so long, the answer may be there and only not be read yet.
      const timer = this.#clock.after(timeoutMs, () => setImmediate(setImmediate, late));
      call.then(resolve, reject).finally(() => timer.clear());
    });
  }

  #noConnection(): string {
    return `there is no connection (${this.#refusal ?? this.#client.status})`;
  }

  #answered(): void {
    const { isUp, sinceMs } = this.#health;
    if (isUp && sinceMs !== undefined) return;
    this.#health = { isUp: true, sinceMs: this.#clock.now(), error: undefined };
    if (!isUp) this.#say('info', 'the engine answers again: nodes share their pulls', 'cluster-up', undefined);
  }

  #failed(error: string): void {
    this.#restsUntilMs = this.#clock.monotonic() + this.#options.restMs;
    const wasUp = this.#health.isUp;
    this.#health = { isUp: false, sinceMs: wasUp ? this.#clock.now() : this.#health.sinceMs, error };
    if (wasUp) this.#say('warn', 'the engine does not answer: this node pulls on its own', 'cluster-down', error);
  }

  #say(level: 'info' | 'warn', message: string, event: string, error: string | undefined): void {
    const engine = this.name;
    this.#channels.notice.publish({
      level,
      message,
      fields: { event, engine, ...(error === undefined ? {} : { error }) },
    });
  }

  #unavailable(cause?: unknown): AppError {
    const message = `the engine does not answer: ${this.#health.error ?? 'it was not reached yet'}`;
    return new AppError('CLUSTER_UNAVAILABLE', message, { cause });
  }
}

function connect(options: RedisEngineOptions, tls: EngineTls): Redis | Cluster {
  const { address, timeoutMs } = options;
  const { kind, hosts, master, isTls, database: db } = address;
  const retryStrategy = (times: number) => Math.min(reconnectMs.most, reconnectMs.least * 2 ** Math.min(times, 10));
  const common = {
    ...(isTls ? { tls } : {}),
    ...signIn(options.username ?? address.username, options.password ?? address.password),
    db,
    connectionName: 'onepull',
    disableClientInfo: true,
    connectTimeout: connectTimeoutMs,
    // A connection over which nothing comes back is a dead one, though nobody said so.
    socketTimeout: Math.max(5000, 10 * timeoutMs),
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    // The replica of a moment ago, or the primary of one: the next connection finds out.
    reconnectOnError: (error: Error) => error.message.includes('READONLY'),
  };
  if (kind === 'cluster') {
    return new Cluster([...hosts], {
      redisOptions: common,
      enableOfflineQueue: false,
      clusterRetryStrategy: retryStrategy,
      // Names that the certificates know must not become addresses.
      dnsLookup: (name, callback) => callback(null, name),
    });
  }
  if (kind === 'single') return new Redis({ ...common, ...hosts[0], retryStrategy });
  const { username, password } = options.sentinel ?? {};
  const sentinels = {
    sentinels: [...hosts],
    name: master ?? '',
    sentinelRetryStrategy: retryStrategy,
    sentinelCommandTimeout: connectTimeoutMs,
    ...(username === undefined ? {} : { sentinelUsername: username }),
    ...(password === undefined ? {} : { sentinelPassword: password }),
  };
  const secured = isTls ? { sentinelTLS: tls, enableTLSForSentinelMode: true } : {};
  return new Redis({ ...common, ...sentinels, ...secured, retryStrategy });
}

/** Why there is no connection, for people. What was said with it may hold a password: only the message is looked at. */
function reasonOf(error: Error): string {
  // Of Redis Cluster no node could be reached; this is what the last one said.
  if ('lastNodeError' in error && error.lastNodeError instanceof Error) return reasonOf(error.lastNodeError);
  const { message } = error;
  const ofSentinels = /^All sentinels are unreachable.*?Last error: (.*)/s.exec(message)?.[1];
  if (ofSentinels !== undefined) return `no Sentinel helps: ${inWords(ofSentinels)}`;
  const code = 'code' in error ? String(error.code) : '';
  return /CERT|SIGNATURE|SIGNED/.test(code) ? `its certificate is not trusted: ${message}` : inWords(message);
}

function inWords(message: string): string {
  const code = /WRONGPASS|NOAUTH/.exec(message)?.[0];
  return code === undefined ? message : `it refuses the user or the password: ${code}`;
}

function signIn(username: string | undefined, password: string | undefined): { username?: string; password?: string } {
  return { ...(username === undefined ? {} : { username }), ...(password === undefined ? {} : { password }) };
}
