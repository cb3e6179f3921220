/**
 * Joins concurrent calls for the same key into one.
 *
 * Invariants: at most one call per key runs at a time; every caller that came while it ran gets its outcome, the same
 * value or the same error; a finished call is forgotten at once, so nothing stays wedged. A caller's signal ends only
 * its own wait: the call itself goes on (it is bounded by its own timeouts) and serves whoever else waits or comes.
 */
export class SharedCalls<T> {
  readonly #running = new Map<string, Promise<T>>();

  /** The keys in flight. */
  get size(): number {
    return this.#running.size;
  }

  /** Whether a call for `key` is running, so that the next one would join it. */
  has(key: string): boolean {
    return this.#running.has(key);
  }

  run(key: string, call: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    let running = this.#running.get(key);
    if (running === undefined) {
      running = call().finally(() => this.#running.delete(key));
      this.#running.set(key, running);
    }
    return signal === undefined ? running : abandonable(running, signal);
  }
}

/** `promise`, unless `signal` aborts first: then a rejection with its reason, while `promise` goes on unheard. */
export function abandonable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const leave = () => reject(signal.reason);
    if (signal.aborted) {
      promise.catch(() => {});
      return leave();
    }
    signal.addEventListener('abort', leave, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', leave));
  });
}
