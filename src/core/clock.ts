/** Time, injected wherever it decides something, so that tests move it by hand. */
export interface Clock {
  /** Milliseconds since the epoch: for what is shown and stored. */
  now(): number;
  /** Milliseconds that only grow: for measuring how long something took. */
  monotonic(): number;
  /** Calls `callback` once after `delayMs`, unless the timer is cleared first. Does not keep the process alive. */
  after(delayMs: number, callback: () => void): Timer;
}

export interface Timer {
  clear(): void;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(delayMs, callback) {
    const timer = setTimeout(callback, delayMs);
    timer.unref();
    return { clear: () => clearTimeout(timer) };
  },
};

/** Resolves after `delayMs`; rejects with the signal's reason as soon as it aborts. */
export function sleep(clock: Clock, delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const onAbort = () => {
      timer.clear();
      reject(signal.reason);
    };
    const timer = clock.after(delayMs, () => {
      signal.removeEventListener('abort', onAbort);
      resolve();
    });
    signal.addEventListener('abort', onAbort, { once: true });
  });
}
