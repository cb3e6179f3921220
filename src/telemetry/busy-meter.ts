/** Time that an event loop has spent since it began, in ms: waiting for events, and at work (`eventLoopUtilization`). */
export interface LoopTimes {
  readonly idle: number;
  readonly active: number;
}

/** Looks that follow sooner than this are told the same, so that several readers do not see mere moments. */
const leastSpanMs = 1000;

/** Which part of its time a thread's event loop was at work since the last look. */
export class BusyMeter {
  readonly #read: () => LoopTimes;
  #from: LoopTimes = { idle: 0, active: 0 };
  #ratio = 0;

  constructor(read: () => LoopTimes) {
    this.#read = read;
  }

  /** Between 0 and 1. */
  ratio(): number {
    const to = this.#read();
    const activeMs = to.active - this.#from.active;
    const spanMs = activeMs + to.idle - this.#from.idle;
    if (spanMs < leastSpanMs) return this.#ratio;
    this.#from = to;
    this.#ratio = Math.min(1, Math.max(0, activeMs / spanMs));
    return this.#ratio;
  }
}
