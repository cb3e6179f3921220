import type { ServerResponse } from 'node:http';
import type { Clock, Timer } from '../core/clock.ts';
import type { Channels } from '../telemetry/channels.ts';
import type { LiveState } from './live-state.ts';

export interface EventFeedDeps {
  readonly clock: Clock;
  readonly channels: Pick<Channels, 'notice'>;
  readonly state: Pick<LiveState, 'refresh' | 'whole' | 'clear'>;
}

export interface EventFeedOptions {
  /** The state is looked at so often at most. */
  readonly everyMs: number;
  /** Looking at it may take this part of the time: where it takes long, it is done less often. */
  readonly mostShare: number;
  /** But so often at least. */
  readonly longestMs: number;
  /** Who was told nothing for so long is told that the connection is alive. */
  readonly heartbeatMs: number;
  readonly maxViewers: number;
}

export const eventFeedDefaults: EventFeedOptions = {
  everyMs: 1000,
  mostShare: 0.02,
  longestMs: 5000,
  heartbeatMs: 10_000,
  maxViewers: 64,
};

interface Viewer {
  readonly response: ServerResponse;
  /** What was written last is still with us: the system has not taken it. */
  isBusy: boolean;
  /** It lacks a change, so that only a whole state is of use to it. */
  isBehind: boolean;
  toldAtMs: number;
}

/**
 * Tells viewers of the state what it is, then what changes (server-sent events, HTML standard section 9.2).
 *
 * Invariants: while nobody watches no timer runs, nothing is looked at and nothing is kept. The state is looked at once for all
 * viewers, and a text is made once for all who get it. A viewer has at most one message that the system has not taken; what
 * comes meanwhile it misses, and gets a whole state next: so memory is bounded by the viewers, whose number is bounded.
 * Closing ends every stream.
 */
export class EventFeed implements Disposable {
  readonly #deps: EventFeedDeps;
  readonly #options: EventFeedOptions;
  readonly #viewers = new Set<Viewer>();
  #timer: Timer | undefined;
  /** By the clock's own time; undefined: nothing stands there that could be shown. */
  #refreshedAtMs: number | undefined;
  #isRefreshing = false;
  #isFailing = false;
  #isClosed = false;

  constructor(deps: EventFeedDeps, options: EventFeedOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  get viewers(): number {
    return this.#viewers.size;
  }

  /** No other viewer fits, or none is taken any more. */
  get isFull(): boolean {
    return this.#isClosed || this.#viewers.size >= this.#options.maxViewers;
  }

  /** The headers of the response are sent; from now on it is written to here, until either side ends it. */
  add(response: ServerResponse): void {
    const viewer: Viewer = { response, isBusy: false, isBehind: true, toldAtMs: this.#deps.clock.monotonic() };
    response.on('error', () => {}).once('close', () => this.#remove(viewer));
    if (this.isFull) {
      response.end();
      return;
    }
    this.#viewers.add(viewer);
    if (this.#refreshedAtMs !== undefined) this.#tell(viewer, event('state', this.#deps.state.whole()));
    else if (!this.#isRefreshing) void this.#refresh();
  }

  [Symbol.dispose](): void {
    this.#isClosed = true;
    this.#timer?.clear();
    for (const { response } of this.#viewers) response.end();
  }

  #remove(viewer: Viewer): void {
    this.#viewers.delete(viewer);
    if (this.#viewers.size === 0 && !this.#isRefreshing) this.#rest();
  }

  #rest(): void {
    this.#timer?.clear();
    this.#refreshedAtMs = undefined;
    this.#deps.state.clear();
  }

  async #refresh(): Promise<void> {
    const { clock, state } = this.#deps;
    const { everyMs, mostShare, longestMs } = this.#options;
    const beganAtMs = clock.monotonic();
    this.#isRefreshing = true;
    try {
      const change = await state.refresh();
      this.#refreshedAtMs = clock.monotonic();
      this.#isFailing = false;
      this.#tellAll(change);
    } catch (error) {
      this.#failed(error);
    }
    this.#isRefreshing = false;
    if (this.#isClosed) return;
    if (this.#viewers.size === 0) return this.#rest();
    const tookMs = clock.monotonic() - beganAtMs;
    const pauseMs = Math.min(longestMs, Math.max(everyMs, tookMs / mostShare)) - tookMs;
    this.#timer = clock.after(Math.max(0, pauseMs), () => void this.#refresh());
  }

  #tellAll(change: string | undefined): void {
    if (this.#isClosed) return;
    const nowMs = this.#deps.clock.monotonic();
    const changed = lazily(() => event('change', change ?? ''));
    const whole = lazily(() => event('state', this.#deps.state.whole()));
    for (const viewer of this.#viewers) {
      if (viewer.isBusy) viewer.isBehind ||= change !== undefined;
      else if (viewer.isBehind) this.#tell(viewer, whole());
      else if (change !== undefined) this.#tell(viewer, changed());
      else if (nowMs - viewer.toldAtMs >= this.#options.heartbeatMs) this.#tell(viewer, heartbeat);
    }
  }

  #tell(viewer: Viewer, message: Buffer): void {
    viewer.isBehind = false;
    viewer.isBusy = true;
    viewer.toldAtMs = this.#deps.clock.monotonic();
    viewer.response.write(message, () => {
      viewer.isBusy = false;
    });
  }

  /** Told once, not each second. Viewers keep what they have until it can be looked at again. */
  #failed(error: unknown): void {
    if (!this.#isFailing) {
      this.#deps.channels.notice.publish({ level: 'warn', message: 'the state cannot be shown to viewers', error });
    }
    this.#isFailing = true;
    // A part of the change may be lost.
    for (const viewer of this.#viewers) viewer.isBehind = true;
  }
}

const heartbeat = Buffer.from(': still here\n\n');

function lazily<Value>(make: () => Value): () => Value {
  let made: { readonly value: Value } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}

function event(name: 'state' | 'change', json: string): Buffer {
  return Buffer.from(`event: ${name}\ndata: ${json}\n\n`);
}
