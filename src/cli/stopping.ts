import { constants } from 'node:os';
import type { ReadStream } from 'node:tty';
import { exitCodes } from './options.ts';

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** `q`, `Q`, Ctrl-C and Ctrl-D, which a terminal in raw mode gives as bytes. */
const endKeys: readonly number[] = [0x71, 0x51, 3, 4];

export interface StoppingOptions {
  /** A terminal whose keys `q` and Ctrl-C end the command well. */
  readonly keys?: Pick<ReadStream, 'isTTY' | 'setRawMode' | 'on' | 'off' | 'resume' | 'pause'> | undefined;
}

/**
 * From construction to disposal, signals that would end the process (and keys) abort `signal` instead; a second one ends the
 * process at once, should the command not.
 */
export class Stopping implements Disposable {
  readonly #abort = new AbortController();
  readonly #keys: StoppingOptions['keys'];
  #exitCode: number | undefined;

  constructor({ keys }: StoppingOptions = {}) {
    this.#keys = keys?.isTTY ? keys : undefined;
    for (const signal of signals) process.on(signal, this.#onSignal);
    this.#keys?.setRawMode(true);
    this.#keys?.on('data', this.#onKeys);
    this.#keys?.resume();
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** As shells have it: 130 for Ctrl-C; 0 where a key ended what shows things only. Undefined while nothing happened. */
  get exitCode(): number | undefined {
    return this.#exitCode;
  }

  [Symbol.dispose](): void {
    for (const signal of signals) process.off(signal, this.#onSignal);
    this.#keys?.off('data', this.#onKeys);
    this.#keys?.setRawMode(false);
    this.#keys?.pause();
  }

  readonly #onSignal = (signal: NodeJS.Signals): void => {
    const known = signals.find((name) => name === signal);
    this.#stop(known === undefined ? exitCodes.failed : 128 + constants.signals[known]);
  };

  readonly #onKeys = (bytes: Buffer): void => {
    if (bytes.some((byte) => endKeys.includes(byte))) this.#stop(exitCodes.ok);
  };

  #stop(exitCode: number): void {
    if (this.#exitCode !== undefined) process.exit(exitCode);
    this.#exitCode = exitCode;
    this.#abort.abort(new Error('stopped'));
  }
}
