import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { VirtualClock } from '../../core/testing/virtual-clock.ts';
import { Channels, type NoticeEvent } from '../../telemetry/channels.ts';
import { AdminServer } from '../admin-server.ts';
import { effectRoutes } from '../effect-routes.ts';
import { EventFeed, type EventFeedOptions, eventFeedDefaults } from '../event-feed.ts';

/** A state that the test sets, and counts who looks. */
export class PlayedState {
  value = 'a';
  looks = 0;
  /** Those under way. */
  running = 0;
  wholes = 0;
  clears = 0;
  fails = false;
  /** What a look waits for. */
  gate: Promise<void> = Promise.resolve();
  #told: string | undefined;

  async refresh(): Promise<string | undefined> {
    this.looks++;
    this.running++;
    await this.gate.finally(() => this.running--);
    if (this.fails) throw new Error('no luck');
    const change = this.#told === this.value ? undefined : JSON.stringify({ value: this.value });
    this.#told = this.value;
    return change;
  }

  whole(): string {
    this.wholes++;
    return JSON.stringify({ value: this.#told });
  }

  clear(): void {
    this.clears++;
    this.#told = undefined;
  }
}

export interface PlayedFeed {
  readonly clock: VirtualClock;
  readonly state: PlayedState;
  readonly feed: EventFeed;
  readonly notices: readonly NoticeEvent[];
  readonly url: string;
  /** One look at the state by the clock, to its end. */
  tick(ms?: number): Promise<void>;
}

/** A feed of it behind an admin listener; both are closed when the test ends, and no timer may be left. */
export async function playedFeed(context: TestContext, options: Partial<EventFeedOptions> = {}): Promise<PlayedFeed> {
  const clock = new VirtualClock();
  const channels = new Channels();
  const notices: NoticeEvent[] = [];
  channels.notice.subscribe((notice) => notices.push(notice));
  const state = new PlayedState();
  const feed = new EventFeed({ clock, channels, state }, { ...eventFeedDefaults, ...options });
  const unused = () => assert.fail();
  const deps = { refresh: unused, pulls: unused, status: unused, effect: unused, settings: [] };
  const server = new AdminServer({ channels, routes: effectRoutes({ ...deps, feed }) }, { host: '127.0.0.1', port: 0 });
  const { port } = await server.listen();
  context.after(async () => {
    feed[Symbol.dispose]();
    await server[Symbol.asyncDispose]();
    assert.equal(clock.pending, 0);
  });
  const url = `http://127.0.0.1:${port}/api/v1/events`;
  const tick = async (ms = eventFeedDefaults.everyMs) => {
    const looks = state.looks;
    const settled = () => until(() => state.running === 0 && clock.pending > 0);
    await settled();
    await turn();
    clock.advance(ms);
    assert.ok(state.looks > looks);
    await settled();
    await turn();
  };
  return { clock, state, feed, notices, url, tick };
}

export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

export async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await turn();
}
