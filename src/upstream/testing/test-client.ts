import assert from 'node:assert/strict';
import type { LookupFunction } from 'node:net';
import { type Clock, systemClock } from '../../core/clock.ts';
import { type Digest, digestOf } from '../../core/digest.ts';
import { AppError, type ErrorCode } from '../../core/errors.ts';
import { parseRepositoryName, type RepositoryName } from '../../core/repository-name.ts';
import type { SourceBody } from '../../flights/source.ts';
import {
  type BreakerEvent,
  type Channel,
  Channels,
  type RateLimitEvent,
  type RetryEvent,
  type UpstreamRequestEvent,
} from '../../telemetry/channels.ts';
import { type Credentials, FixedCredentials } from '../credentials.ts';
import { RegistryClient } from '../registry-client.ts';
import type { UpstreamOptions } from '../upstream-options.ts';

export const repository: RepositoryName = parseRepositoryName('library/app') as RepositoryName;
export const someDigest = digestOf(Buffer.from('some'));
export const never: AbortSignal = new AbortController().signal;

export interface Events {
  readonly requests: UpstreamRequestEvent[];
  readonly bytes: number[];
  readonly coalesced: string[];
  readonly rateLimits: RateLimitEvent[];
  readonly breakers: BreakerEvent[];
  readonly retries: RetryEvent[];
  readonly hedges: string[];
}

/** A client of one upstream, and what it publishes. */
export function makeClient(
  endpoint: string | readonly string[],
  more: Partial<UpstreamOptions> & {
    readonly credentials?: Credentials;
    readonly clock?: Clock;
    readonly lookup?: LookupFunction;
  } = {},
): { client: RegistryClient; events: Events; channels: Channels } {
  const { credentials, clock = systemClock, lookup, ...options } = more;
  const channels = new Channels();
  const events: Events = {
    requests: [],
    bytes: [],
    coalesced: [],
    rateLimits: [],
    breakers: [],
    retries: [],
    hedges: [],
  };
  channels.upstreamRequest.subscribe((event) => events.requests.push(event));
  channels.upstreamBytes.subscribe(({ bytes }) => events.bytes.push(bytes));
  channels.coalesced.subscribe(({ kind }) => events.coalesced.push(kind));
  channels.rateLimit.subscribe((event) => events.rateLimits.push(event));
  channels.breaker.subscribe((event) => events.breakers.push(event));
  channels.retry.subscribe((event) => events.retries.push(event));
  channels.hedge.subscribe(({ outcome }) => events.hedges.push(outcome));
  const random = () => 0.5;
  const deps = { clock, channels, random, credentials: new FixedCredentials(credentials), lookup };
  const userAgent = 'onepull/1.2.3';
  const client = new RegistryClient(deps, { name: 'test', endpoints: [endpoint].flat(), userAgent, ...options });
  return { client, events, channels };
}

/** Resolves when `count` events were published. */
export function published<T>(channel: Channel<T>, count: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  let seen = 0;
  channel.subscribe(() => {
    if (++seen === count) resolve();
  });
  return promise;
}

/** Names under `.test` are on loopback, or wherever the test says. */
export function fakeDns(addresses: Readonly<Record<string, string>> = {}): LookupFunction {
  return (hostname, _options, callback) => {
    const address = addresses[hostname] ?? (hostname.endsWith('.test') ? '127.0.0.1' : undefined);
    if (address === undefined) {
      return callback(Object.assign(new Error(`getaddrinfo ENOTFOUND ${hostname}`), { code: 'ENOTFOUND' }), []);
    }
    callback(null, [{ address, family: address.includes(':') ? 6 : 4 }]);
  };
}

/** The `AppError` that `promise` rejects with, which has `code`. */
export async function failure(promise: Promise<unknown>, code: ErrorCode): Promise<AppError> {
  const error = await promise.then(
    () => assert.fail(`expected ${code}`),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof AppError, `expected ${code}, got ${error}`);
  assert.equal(error.code, code, error.message);
  return error;
}

export async function readAll(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = [];
  for await (const chunk of chunks) all.push(chunk);
  return Buffer.concat(all);
}

/** The bytes of a blob, from the first of its sources. */
export function openBlob(
  client: RegistryClient,
  digest: Digest,
  start: number,
  end: number | undefined,
  signal: AbortSignal,
): Promise<SourceBody> {
  const [source] = client.blobSources(repository, digest);
  const urgency = () => ({ waiters: 1, missingBytes: undefined });
  const request = { start, end, optional: false, urgency, hasAlternative: () => true, waiting: () => {} };
  return source === undefined ? assert.fail('no source') : source.open(request, signal);
}
