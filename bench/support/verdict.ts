/** What onepull promises in a figure, and what was measured. */
export interface Verdict {
  readonly target: string;
  readonly measured: string;
  readonly met: boolean;
}

export function verdictText({ target, measured, met }: Verdict): string {
  return `${target}: ${measured}: ${met ? 'met' : 'NOT met'}`;
}
