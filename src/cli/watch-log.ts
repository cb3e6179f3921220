import type { PullAnswer } from './admin-answers.ts';
import { amountText, percentText } from './progress-text.ts';
import { count } from './status-text.ts';
import { type Line, piece } from './text-line.ts';

/** For pipes and files: a line where an image changes its state, or a tenth of it more has come. */
export class WatchLog {
  readonly #told = new Map<string, string>();

  lines(pulls: readonly PullAnswer[], nowMs: number): Line[] {
    return pulls.flatMap((pull) => {
      const { state, filledBytes, sizeBytes } = pull;
      const tenths = sizeBytes > 0 ? Math.floor((10 * filledBytes) / sizeBytes) : 0;
      const now = `${state} ${state === 'done' || state === 'failed' ? '' : tenths}`;
      const key = pull.id;
      if (this.#told.get(key) === now) return [];
      // Told anew it is the last that the map would forget.
      this.#told.delete(key);
      this.#told.set(key, now);
      for (const oldest of [...this.#told.keys()].slice(0, Math.max(0, this.#told.size - 1000)))
        this.#told.delete(oldest);
      return [lineOf(pull, nowMs)];
    });
  }
}

function lineOf({ image, state, filledBytes, sizeBytes, waiters, layers }: PullAnswer, nowMs: number): Line {
  const errors = [...new Set(layers.flatMap(({ error }) => error ?? []))];
  const facts = [
    ...(state === 'done'
      ? [amountText(sizeBytes, sizeBytes)]
      : [`${percentText(filledBytes, sizeBytes)} ${amountText(filledBytes, sizeBytes)}`.trim()]),
    ...(waiters > 0 ? [`${count(waiters, 'response')} waiting`] : []),
    ...(state === 'failed' ? errors : []),
  ];
  return [piece(`${new Date(nowMs).toISOString()}  ${image}  ${state}: ${facts.join(', ')}`)];
}
