import { constants } from 'node:os';

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * From construction to disposal, signals that would end the process only say so here: whoever waits for `happened` stops
 * and cleans up, which takes seconds at most; further signals change nothing.
 */
export class Interruption implements Disposable {
  /** Never resolves; rejects with the first signal. */
  readonly happened: Promise<never>;
  readonly #reject: (reason: Error) => void;
  #signal: (typeof signals)[number] | undefined;

  constructor() {
    const { promise, reject } = Promise.withResolvers<never>();
    this.happened = promise;
    this.happened.catch(() => {});
    this.#reject = reject;
    for (const signal of signals) process.on(signal, this.#onSignal);
  }

  /** As shells have it: 130 for Ctrl-C. Undefined while nothing happened. */
  get exitCode(): number | undefined {
    return this.#signal && 128 + constants.signals[this.#signal];
  }

  [Symbol.dispose](): void {
    for (const signal of signals) process.off(signal, this.#onSignal);
  }

  readonly #onSignal = (signal: NodeJS.Signals): void => {
    this.#signal ??= signals.find((known) => known === signal);
    this.#reject(new Error(`interrupted by ${signal}`));
  };
}
