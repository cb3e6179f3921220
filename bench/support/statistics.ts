/** The middle of the values; of an even number the mean of the two in the middle. NaN of none. */
export function median(values: readonly number[]): number {
  const sorted = ascending(values);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

/** The smallest value that at least `share` (0 to 1) of the values do not exceed (nearest rank). NaN of none. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = ascending(values);
  const rank = Math.ceil(share * sorted.length);
  return sorted[Math.min(sorted.length, Math.max(1, rank)) - 1] ?? Number.NaN;
}

export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

export function spread(values: readonly number[]): Spread {
  const sorted = ascending(values);
  return { median: median(values), min: sorted[0] ?? Number.NaN, max: sorted.at(-1) ?? Number.NaN };
}

/** The median, and where the values differ the smallest and the largest of them; `-` of none. */
export function spreadText({ median, min, max }: Spread, text: (value: number) => string, unit: string): string {
  if (Number.isNaN(median)) return '-';
  return text(min) === text(max) ? `${text(median)}${unit}` : `${text(median)}${unit} (${text(min)}-${text(max)})`;
}

function ascending(values: readonly number[]): number[] {
  return [...values].sort((a, b) => a - b);
}
