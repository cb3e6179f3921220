/** A place where somebody waits until the test lets them go on. Open for good once released. */
export class Gate {
  readonly #reached = Promise.withResolvers<void>();
  readonly #released = Promise.withResolvers<void>();
  #waiting = 0;

  /** Resolves when the first one has arrived. */
  get reached(): Promise<void> {
    return this.#reached.promise;
  }

  /** How many have arrived so far. */
  get arrivals(): number {
    return this.#waiting;
  }

  arrive(): Promise<void> {
    this.#waiting++;
    this.#reached.resolve();
    return this.#released.promise;
  }

  /** Lets go whoever waits here and whoever comes. */
  release(): void {
    this.#released.resolve();
  }
}
