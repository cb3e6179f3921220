/**
 * Tells those who follow a shared call that it waits for an upstream's rest, so that whoever has something older to serve
 * serves it at once. Late followers of such a call are told as well; of one that never has to wait nobody hears.
 */
export class RestNotices {
  readonly #running = new Map<string, PromiseWithResolvers<void>>();

  /** Runs the call that is shared under `key`; it calls `onRest` when it has to wait. */
  async during<T>(key: string, call: (onRest: () => void) => Promise<T>): Promise<T> {
    const notice = Promise.withResolvers<void>();
    this.#running.set(key, notice);
    try {
      return await call(notice.resolve);
    } finally {
      this.#running.delete(key);
    }
  }

  /** Resolves when the call that runs under `key` waits for a rest. Without one it never does. */
  resting(key: string): Promise<void> {
    return this.#running.get(key)?.promise ?? new Promise(() => {});
  }
}
