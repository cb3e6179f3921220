import type { AppError } from '../core/errors.ts';
import type { Source } from './source.ts';

/**
 * The sources that a flight may read from, and which to ask next.
 * A source that refused for good is not asked again in this flight; one that failed, or served a body that turned out
 * wrong, is asked after the others.
 */
export class SourceRoster {
  readonly #entries = new Map<string, { source: Source; faults: number; refusal: AppError | undefined }>();

  add(source: Source): void {
    if (!this.#entries.has(source.name)) this.#entries.set(source.name, { source, faults: 0, refusal: undefined });
  }

  get names(): string[] {
    return [...this.#entries.keys()];
  }

  /** The source with the fewest faults; of equals the one that came first. Undefined where all have refused. */
  next(): Source | undefined {
    let best: { source: Source; faults: number } | undefined;
    for (const entry of this.#entries.values()) {
      if (entry.refusal === undefined && (best === undefined || entry.faults < best.faults)) best = entry;
    }
    return best?.source;
  }

  failed(source: Source, error: AppError): void {
    const entry = this.#entries.get(source.name);
    if (entry === undefined) return;
    entry.faults++;
    if (!error.retryable) entry.refusal = error;
  }
}
