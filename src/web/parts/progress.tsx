export type ShownState = 'missing' | 'waiting' | 'pulling' | 'verifying' | 'done' | 'failed' | 'cancelled';

interface ProgressProps {
  readonly label: string;
  readonly state: ShownState;
  /** 0 to 1; undefined: the whole is not known. */
  readonly share: number | undefined;
  /** What a screen reader says in place of a number. */
  readonly words: string;
}

/** One bar. Its width says how much is here; its pattern, which needs no colour to be told, the state. */
export function Progress({ label, state, share, words }: ProgressProps) {
  const shown = share === undefined ? 0 : Math.min(1, Math.max(0, share));
  return (
    <div
      class={`bar bar-${state}`}
      role="progressbar"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={share === undefined ? undefined : Math.floor(shown * 100)}
      aria-valuetext={words}
    >
      <span class="bar-fill" style={{ transform: `scaleX(${shown})` }} />
    </div>
  );
}

export function shareOf(filledBytes: number, sizeBytes: number | undefined): number | undefined {
  if (sizeBytes === undefined) return undefined;
  return sizeBytes === 0 ? 1 : filledBytes / sizeBytes;
}

/** A state as a word with its mark. */
export function StateMark({ state, words }: { readonly state: ShownState; readonly words: string }) {
  return (
    <span class={`state state-${state}`}>
      <span class="state-dot" aria-hidden="true" />
      {words}
    </span>
  );
}
