import type { Clock, Timer } from '../core/clock.ts';
import type { Channels, RefusedEvent } from '../telemetry/channels.ts';

type Bound = RefusedEvent['bound'];

export interface RefusalReportDeps {
  readonly channels: Pick<Channels, 'notice' | 'refused'>;
  readonly clock: Clock;
}

/** Without a refusal for so long, it is over. */
const quietMs = 10_000;

const reasons: Partial<Record<Bound, string>> = {
  connections: 'too many connections',
  descriptors: 'more connections than the file descriptors of this process allow',
  responses: 'too many answers under way',
  'queued-bytes': 'too many bytes wait for clients to take them',
};

/**
 * Tells of work that was refused: the metrics of each, the log once when it begins and once when it is over, however
 * often the bound is reached meanwhile.
 *
 * Invariants: a bound has an episode or none; an episode has one timer, which ends it.
 */
export class RefusalReport implements Disposable {
  readonly #deps: RefusalReportDeps;
  readonly #episodes = new Map<Bound, { readonly sinceMs: number; lastMs: number; refused: number; timer: Timer }>();

  constructor(deps: RefusalReportDeps) {
    this.#deps = deps;
  }

  refused(bound: Bound, limit: number): void {
    const { channels, clock } = this.#deps;
    channels.refused.publish({ bound });
    const nowMs = clock.monotonic();
    const episode = this.#episodes.get(bound);
    if (episode !== undefined) {
      episode.lastMs = nowMs;
      episode.refused++;
      return;
    }
    this.#episodes.set(bound, { sinceMs: nowMs, lastMs: nowMs, refused: 1, timer: this.#look(bound, quietMs) });
    const message = `${reasons[bound] ?? bound}: new ones are refused`;
    channels.notice.publish({ level: 'warn', message, fields: { event: 'overloaded', bound, limit } });
  }

  [Symbol.dispose](): void {
    for (const { timer } of this.#episodes.values()) timer.clear();
    this.#episodes.clear();
  }

  #look(bound: Bound, delayMs: number): Timer {
    return this.#deps.clock.after(delayMs, () => {
      const episode = this.#episodes.get(bound);
      if (episode === undefined) return;
      const leftMs = episode.lastMs + quietMs - this.#deps.clock.monotonic();
      if (leftMs > 0) {
        episode.timer = this.#look(bound, leftMs);
        return;
      }
      this.#episodes.delete(bound);
      const fields = {
        event: 'overload-over',
        bound,
        refused: episode.refused,
        durationMs: Math.round(episode.lastMs - episode.sinceMs),
      };
      this.#deps.channels.notice.publish({ level: 'info', message: 'nothing is refused any more', fields });
    });
  }
}
