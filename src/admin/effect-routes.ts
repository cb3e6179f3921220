import type { PullSnapshot } from '../pull/pull-board.ts';
import type { EffectSnapshot } from '../telemetry/effect-snapshot.ts';
import type { EventFeed } from './event-feed.ts';
import { type AdminRoute, failureAnswer, jsonAnswer } from './route.ts';
import type { Status } from './status.ts';

export interface EffectDeps {
  /** Has threads tell what they counted. */
  refresh(): Promise<void>;
  pulls(): Promise<readonly PullSnapshot[]>;
  status(pulls: readonly PullSnapshot[]): Promise<Status>;
  effect(): EffectSnapshot;
  readonly feed: Pick<EventFeed, 'refusal' | 'add'>;
  /** The settings in force, without secrets. */
  readonly settings: readonly unknown[];
}

/** Seconds; a browser's page comes back by itself after it. */
const retryAfter = 30;

/** How it does and what it saves: at a moment, over time, and live. */
export function effectRoutes({ refresh, pulls, status, effect, feed, settings }: EffectDeps): AdminRoute[] {
  return [
    {
      method: 'GET',
      path: '/api/v1/status',
      async handler() {
        await refresh();
        return jsonAnswer(200, await status(await pulls()));
      },
    },
    {
      method: 'GET',
      path: '/api/v1/effect',
      async handler() {
        await refresh();
        return jsonAnswer(200, effect());
      },
    },
    { method: 'GET', path: '/api/v1/settings', handler: () => jsonAnswer(200, { settings }) },
    {
      method: 'GET',
      path: '/api/v1/events',
      handler() {
        const { refusal } = feed;
        if (refusal !== undefined) return failureAnswer(503, 'UNAVAILABLE', refusal, { 'retry-after': retryAfter });
        return { status: 200, headers: eventHeaders, write: (response) => feed.add(response) };
      },
    },
  ];
}

/** Proxies are told to pass on what comes at once. */
const eventHeaders = { 'content-type': 'text/event-stream; charset=utf-8', 'x-accel-buffering': 'no' } as const;
