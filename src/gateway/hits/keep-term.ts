import type { ChangeCount } from '../../core/change-count.ts';
import type { Clock } from '../../core/clock.ts';
import type { Keep } from '../../pull/depot.ts';

export interface KeepTermDeps {
  readonly changes: Pick<ChangeCount, 'value'>;
  readonly clock: Clock;
}

/**
 * How long one answer may be given again, as seen when it came: by the clock on the wall, which goes on while the machine
 * sleeps, and by the one that only grows. So a clock that is set back prolongs nothing.
 */
export class KeepTerm {
  readonly #change: number;
  readonly #untilMs: number;
  readonly #untilMonotonicMs: number;

  constructor({ change, untilMs }: Keep, clock: Clock) {
    this.#change = change;
    this.#untilMs = untilMs;
    this.#untilMonotonicMs = clock.monotonic() + untilMs - clock.now();
  }

  stands({ changes, clock }: KeepTermDeps): boolean {
    return this.#change === changes.value && this.#untilMonotonicMs > clock.monotonic() && this.#untilMs > clock.now();
  }
}
