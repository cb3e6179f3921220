import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import { count } from '../format/amounts.ts';

interface MoreProps<T> {
  readonly items: readonly T[];
  /** Shown at first, and added by each press. */
  readonly step: number;
  /** One of them, for the button: `pull`. */
  readonly what: string;
  readonly children: (shown: readonly T[]) => ComponentChildren;
}

/** A list as long as the reader wants it, which says how much it does not show. */
export function More<T>({ items, step, what, children }: MoreProps<T>) {
  const [shown, setShown] = useState(step);
  const left = items.length - shown;
  const next = Math.min(left, step);
  return (
    <>
      {children(items.slice(0, shown))}
      {left > 0 && (
        <p class="more">
          and {count(left)} more{' '}
          <button type="button" class="quiet" onClick={() => setShown(shown + step)}>
            Show {count(next)} more {next === 1 ? what : `${what}s`}
          </button>
        </p>
      )}
    </>
  );
}
