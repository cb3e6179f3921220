/** What a run of the benchmark does. All of it is written into the results. */
export interface Parameters {
  readonly rounds: number;
  /** Of each measurement. */
  readonly seconds: number;
  readonly blobBytes: number;
  readonly smallBlobBytes: number;
  readonly rangeBytes: number;
  /** Of the manifests' rates; the second is where methods and names are compared and targets hold. */
  readonly manifestConnections: readonly number[];
  readonly blobConnections: readonly number[];
  /** Threads of wrk with large blobs, one measurement each. */
  readonly blobThreads: readonly number[];
}

/** Where methods, names and logs of manifests are compared. */
export const manifestsAt = 32;
/** Where blobs have targets. */
export const blobsAt: readonly number[] = [8, 64];

export const fullRun: Parameters = {
  rounds: 5,
  seconds: 3,
  blobBytes: 256 * 2 ** 20,
  smallBlobBytes: 100_000,
  rangeBytes: 2 ** 20,
  manifestConnections: [8, manifestsAt, 256],
  blobConnections: [...blobsAt, 512],
  blobThreads: [1, 2],
};

/** About two minutes: for a look, not for figures to quote. */
export const quickRun: Parameters = {
  ...fullRun,
  rounds: 1,
  seconds: 1,
  manifestConnections: [manifestsAt],
  blobConnections: blobsAt,
  blobThreads: [1],
};
