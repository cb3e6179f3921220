/** What a run of the benchmark does. All of it is written into the results. */
export interface Parameters {
  readonly rounds: number;
  /** Slow readers of one cold blob: one measurement each, and one without any, which the others are compared with. */
  readonly slowReaders: readonly number[];
  /** The same for other caches. */
  readonly peerSlowReaders: readonly number[];
  /** What each of them takes in a second. */
  readonly slowBytesPerSecond: number;
  readonly blobBytes: number;
  /** How long the fast reader reads the blob again and again once it is there. */
  readonly warmMs: number;
  /** How long the slow readers are waited for until all have had their first bytes. */
  readonly capMs: number;
  /** And how long then until what the system holds for them has stopped growing. */
  readonly steadyCapMs: number;
}

const mebi = 2 ** 20;

export const fullRun: Parameters = {
  rounds: 5,
  slowReaders: [600, 2000],
  peerSlowReaders: [600],
  slowBytesPerSecond: 30_000,
  blobBytes: 256 * mebi,
  warmMs: 6000,
  capMs: 60_000,
  steadyCapMs: 10_000,
};

/** About a minute: for a look, not for figures to quote. */
export const quickRun: Parameters = {
  ...fullRun,
  rounds: 1,
  warmMs: 3000,
};
