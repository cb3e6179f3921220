import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import type { Load, LoadOutcome, LoadRequest } from '../load/load.ts';
import { monotonicNs } from '../monotonic.ts';
import { serveCalls } from '../remote-calls.ts';
import { LeanConnection } from './lean-connection.ts';
import { leanLoad } from './lean-load.ts';
import { fetchManifest, leanPull, type PullOutcome, type PullTarget } from './lean-pull.ts';

export interface BurstRequest extends PullTarget {
  readonly clients: number;
  /** How many of them check digests, besides lengths, which all of them check. */
  readonly verify: number;
  readonly deadlineMs: number;
}

export interface FollowRequest {
  readonly origin: string;
  readonly path: string;
  readonly waiters: number;
  /** Ascending offsets of the blob. */
  readonly marks: readonly number[];
}

/** Requests of several servers, one after the other, each over its server's one connection. */
export interface TurnsRequest {
  readonly asked: readonly { readonly origin: string; readonly path: string; readonly accept?: string }[];
  /** After each. */
  readonly pauseMs: number;
}

export interface RangesRequest {
  readonly origin: string;
  readonly path: string;
  readonly starts: readonly number[];
  readonly sizeBytes: number;
}

const pauses = monitorEventLoopDelay({ resolution: 5 });
pauses.enable();
let following: Promise<unknown> = Promise.resolve();

const methods = {
  /** All start in the same turn of the event loop. */
  async burst({
    clients,
    verify,
    deadlineMs,
    ...target
  }: BurstRequest): Promise<{ pulls: PullOutcome[]; cpuMs: number }> {
    const before = process.cpuUsage();
    const pulls = await Promise.all(
      Array.from({ length: clients }, (_, n) => leanPull(target, { verify: n < verify, deadlineMs })),
    );
    const { user, system } = process.cpuUsage(before);
    return { pulls, cpuMs: (user + system) / 1000 };
  },

  /** The same request all over again. */
  load: ({ request, load }: { request: LoadRequest; load: Load }): Promise<LoadOutcome> => leanLoad(request, load),

  /** Only the manifest, as the beginning of a pull. */
  async manifest(target: PullTarget): Promise<void> {
    using connection = new LeanConnection(target.origin);
    await fetchManifest(connection, target);
  },

  /** Waiters that follow one blob to its end. For each: the time in ns at which it had all bytes up to each mark. */
  follow({ waiters, ...request }: FollowRequest): Promise<number[][]> {
    const arrivals = Array.from({ length: waiters }, () => followOnce(request));
    following = Promise.all(arrivals.map(({ first }) => first));
    return Promise.all(arrivals.map(({ all }) => all));
  },

  /** Resolves once every waiter has passed the first mark. */
  async followed(): Promise<void> {
    await following;
  },

  /** The longest time that this process's event loop stood still since this was last asked. */
  longestPauseMs(): number {
    const longest = pauses.max / 1e6;
    pauses.reset();
    return longest;
  },

  /** Latencies in ms, from the request to the last byte, in the order of the requests. */
  async turns({ asked, pauseMs }: TurnsRequest): Promise<number[]> {
    using opened = new DisposableStack();
    const connections = new Map<string, LeanConnection>();
    for (const { origin } of asked) {
      if (!connections.has(origin)) connections.set(origin, opened.use(new LeanConnection(origin)));
    }
    const latencies: number[] = [];
    for (const { origin, path, accept } of asked) {
      const from = monotonicNs();
      const headers = accept === undefined ? {} : { accept };
      const answer = await connections.get(origin)?.request('GET', path, headers, () => {});
      if (answer?.status !== 200) throw new Error(`${origin}${path}: status ${answer?.status}`);
      latencies.push((monotonicNs() - from) / 1e6);
      if (pauseMs > 0) await delay(pauseMs);
    }
    return latencies;
  },

  /** Latencies in ms, from the request to the last byte, of ranges asked one after the other. */
  async ranges({ origin, path, starts, sizeBytes }: RangesRequest): Promise<number[]> {
    using connection = new LeanConnection(origin);
    const latencies: number[] = [];
    for (const start of starts) {
      const from = monotonicNs();
      const headers = { range: `bytes=${start}-${start + sizeBytes - 1}` };
      const { status, bodyBytes } = await connection.request('GET', path, headers, () => {});
      if (status !== 206 || bodyBytes !== sizeBytes) throw new Error(`a range: status ${status}, ${bodyBytes} bytes`);
      latencies.push((monotonicNs() - from) / 1e6);
    }
    return latencies;
  },
};

function followOnce({ origin, path, marks }: Omit<FollowRequest, 'waiters'>) {
  const times: number[] = [];
  const first = Promise.withResolvers<void>();
  const connection = new LeanConnection(origin);
  let received = 0;
  const sink = (chunk: Uint8Array) => {
    received += chunk.length;
    const now = monotonicNs();
    while (times.length < marks.length && received >= (marks[times.length] ?? 0)) times.push(now);
    if (times.length > 0) first.resolve();
  };
  const all = connection
    .request('GET', path, {}, sink)
    .then(({ status }) => {
      if (status !== 200 || times.length < marks.length)
        throw new Error(`a waiter got status ${status}, ${received} bytes`);
      return times;
    })
    .finally(() => connection[Symbol.dispose]());
  all.catch(first.reject);
  return { first: first.promise, all };
}

export type ClientsMethods = typeof methods;

serveCalls(methods);
