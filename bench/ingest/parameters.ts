/** What a run of the benchmark does. All of it is written into the results. */
export interface Parameters {
  readonly rounds: number;
  readonly blobBytes: number;
  /** When a pull counts as unfinished. */
  readonly capMs: number;
}

export const fullRun: Parameters = { rounds: 5, blobBytes: 1e9, capMs: 120_000 };

/** Half a minute: for a look, not for figures to quote. */
export const quickRun: Parameters = { ...fullRun, rounds: 1, blobBytes: 500e6 };
