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
  /** A look that takes longer is given up on. */
  readonly lookMs: number;
  /** Of texts that viewers have not taken, all together; one text may be larger. */
  readonly maxHeldBytes: number;
}

export const eventFeedDefaults: EventFeedOptions = {
  everyMs: 1000,
  mostShare: 0.02,
  longestMs: 5000,
  heartbeatMs: 10_000,
  maxViewers: 64,
  lookMs: 15_000,
  maxHeldBytes: 64 * 2 ** 20,
};

interface Viewer {
  readonly response: ServerResponse;
  /** What was written last and is still with us: the system has not taken it. */
  holds: Buffer | undefined;
  /** It lacks a change, so that only a whole state is of use to it. */
  isBehind: boolean;
  toldAtMs: number;
}

/**
 * Tells viewers of the state what it is, then what changes (server-sent events, HTML standard section 9.2).
 *
 * Invariants: while nobody watches no timer runs, nothing is looked at and nothing is kept. The state is looked at once for all
 * viewers, and a text is made once for all who get it. A viewer has at most one message that the system has not taken; what
 * comes meanwhile it misses, and gets a whole state next. Where the texts that viewers hold are too much together, who has
 * held one for longest is cut, and may come back for the newest: so memory is bounded however slow they are.
 * Looks do not overlap. One that does not end ends the streams, and none begins before it has ended: what stands still must
 * not look alive. Closing ends every stream.
 */
export class EventFeed implements Disposable {
  readonly #deps: EventFeedDeps;
  readonly #options: EventFeedOptions;
  readonly #viewers = new Set<Viewer>();
  #timer: Timer | undefined;
  /** By the clock's own time; undefined: nothing stands there that could be shown. */
  #refreshedAtMs: number | undefined;
  /** The state that stands there, as it is told. */
  #whole: Buffer | undefined;
  #isRefreshing = false;
  /** The look that is under way takes too long. */
  #isStuck = false;
  #isFailing = false;
  #isClosed = false;

  constructor(deps: EventFeedDeps, options: EventFeedOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  get viewers(): number {
    return this.#viewers.size;
  }

  /** Why no other viewer is taken now, in words; undefined: one is. */
  get refusal(): string | undefined {
    if (this.#isClosed) return 'this node is shutting down';
    if (this.#isStuck) return 'a look at the state has not ended yet: a disk may not answer';
    return this.#viewers.size < this.#options.maxViewers ? undefined : 'as many viewers as may be watch already';
  }

  /** The headers of the response are sent; from now on it is written to here, until either side ends it. */
  add(response: ServerResponse): void {
    const viewer: Viewer = { response, holds: undefined, isBehind: true, toldAtMs: this.#deps.clock.monotonic() };
    response.on('error', () => {}).once('close', () => this.#remove(viewer));
    if (this.refusal !== undefined) {
      response.end();
      return;
    }
    this.#viewers.add(viewer);
    if (this.#refreshedAtMs !== undefined) this.#tell(viewer, this.#wholeEvent());
    else if (!this.#isRefreshing) void this.#refresh();
  }

  [Symbol.dispose](): void {
    this.#isClosed = true;
    this.#timer?.clear();
    this.#endAll();
  }

  #remove(viewer: Viewer): void {
    this.#viewers.delete(viewer);
    if (this.#viewers.size === 0 && !this.#isRefreshing) this.#rest();
  }

  #rest(): void {
    this.#timer?.clear();
    this.#refreshedAtMs = undefined;
    this.#whole = undefined;
    this.#deps.state.clear();
  }

  async #refresh(): Promise<void> {
    const { clock, state } = this.#deps;
    const { everyMs, mostShare, longestMs, lookMs } = this.#options;
    const beganAtMs = clock.monotonic();
    this.#isRefreshing = true;
    this.#timer = clock.after(lookMs, () => this.#giveUp());
    try {
      const change = await state.refresh().finally(() => this.#timer?.clear());
      if (change !== undefined) this.#whole = undefined;
      this.#refreshedAtMs = clock.monotonic();
      this.#isFailing = false;
      this.#tellAll(change);
    } catch (error) {
      this.#failed(error);
    }
    this.#isRefreshing = false;
    this.#isStuck = false;
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
    for (const viewer of this.#viewers) {
      if (viewer.holds !== undefined) viewer.isBehind ||= change !== undefined;
      else if (viewer.isBehind) this.#tell(viewer, this.#wholeEvent());
      else if (change !== undefined) this.#tell(viewer, changed());
      else this.#beat(viewer, nowMs);
    }
  }

  #wholeEvent(): Buffer {
    this.#whole ??= event('state', this.#deps.state.whole());
    return this.#whole;
  }

  #tell(viewer: Viewer, message: Buffer): void {
    viewer.isBehind = false;
    this.#write(viewer, message);
    this.#shed();
  }

  #beat(viewer: Viewer, nowMs: number): void {
    if (nowMs - viewer.toldAtMs >= this.#options.heartbeatMs) this.#write(viewer, heartbeat);
  }

  #write(viewer: Viewer, message: Buffer): void {
    viewer.holds = message;
    viewer.toldAtMs = this.#deps.clock.monotonic();
    viewer.response.write(message, () => {
      viewer.holds = undefined;
    });
  }

  /** Cuts who has held a text for longest, until those that are held are not too much. */
  #shed(): void {
    for (;;) {
      const holding = [...this.#viewers].filter(({ holds }) => holds !== undefined);
      const texts = new Set(holding.map(({ holds }) => holds));
      const heldBytes = [...texts].reduce((sum, text) => sum + (text?.byteLength ?? 0), 0);
      if (texts.size < 2 || heldBytes <= this.#options.maxHeldBytes) return;
      const slowest = holding.reduce((one, other) => (other.toldAtMs < one.toldAtMs ? other : one));
      this.#viewers.delete(slowest);
      slowest.response.destroy();
    }
  }

  #endAll(): void {
    for (const { response } of this.#viewers) response.end();
  }

  #giveUp(): void {
    this.#isStuck = true;
    this.#failed(new Error(`a look at it has not ended within ${this.#options.lookMs / 1000} s`));
    this.#endAll();
    this.#viewers.clear();
  }

  /** Told once, not each second. Viewers keep what they have until it can be looked at again. */
  #failed(error: unknown): void {
    if (!this.#isFailing) {
      this.#deps.channels.notice.publish({ level: 'warn', message: 'the state cannot be shown to viewers', error });
    }
    this.#isFailing = true;
    this.#whole = undefined;
    const nowMs = this.#deps.clock.monotonic();
    for (const viewer of this.#viewers) {
      // A part of the change may be lost.
      viewer.isBehind = true;
      if (viewer.holds === undefined) this.#beat(viewer, nowMs);
    }
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
