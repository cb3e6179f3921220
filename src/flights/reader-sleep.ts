import { AppError } from '../core/errors.ts';

/**
 * The waiting of one reader.
 *
 * Invariants: it is in at most one wait; that ends once, by what it waits for, by a failure, by its signal or by `close`. It
 * listens to one signal at a time, since a response uses the same one for all its waits; after `close` to none.
 */
export class ReaderSleep {
  #sleeper: { ready: () => boolean; resolve: () => void; reject: (reason: unknown) => void } | undefined;
  #signal: AbortSignal | undefined;
  #closed = false;

  get isAsleep(): boolean {
    return this.#sleeper !== undefined;
  }

  /** Resolves at the first `wake` at which `ready` says so; rejects with what that throws, or with the signal's reason. */
  until(ready: () => boolean, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted || this.#closed) return reject(signal.reason ?? closedError());
      this.#listenTo(signal);
      this.#sleeper = { ready, resolve, reject };
    });
  }

  /** Something changed: looks whether that is what is waited for. Returns whether it sleeps on. */
  wake(): boolean {
    const sleeper = this.#sleeper;
    if (sleeper === undefined) return false;
    try {
      if (!sleeper.ready()) return true;
      this.#sleeper = undefined;
      sleeper.resolve();
    } catch (error) {
      this.fail(error);
    }
    return false;
  }

  fail(reason: unknown): void {
    const sleeper = this.#sleeper;
    this.#sleeper = undefined;
    sleeper?.reject(reason);
  }

  close(): void {
    this.#closed = true;
    this.fail(closedError());
    this.#listenTo(undefined);
  }

  #listenTo(signal: AbortSignal | undefined): void {
    if (signal === this.#signal) return;
    this.#signal?.removeEventListener('abort', this.#onAbort);
    this.#signal = signal;
    signal?.addEventListener('abort', this.#onAbort);
  }

  readonly #onAbort = (): void => this.fail(this.#signal?.reason);
}

function closedError(): AppError {
  return new AppError('CANCELLED', 'the reader was closed');
}
