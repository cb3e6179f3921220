interface GaugeProps {
  readonly label: string;
  /** 0 to 1. */
  readonly share: number;
  readonly words: string;
  readonly isLow?: boolean;
}

/** How much of something is used, or left. The browser's own meter says it to screen readers; its looks differ too much. */
export function Gauge({ label, share, words, isLow = false }: GaugeProps) {
  const shown = Math.min(1, share);
  return (
    <>
      <meter class="hidden" min={0} max={1} value={shown} aria-label={label} aria-valuetext={words} />
      <span class={`bar gauge${isLow ? ' is-low' : ''}`} aria-hidden="true">
        <span class="bar-fill" style={{ transform: `scaleX(${shown})` }} />
      </span>
    </>
  );
}
