/** What a run of the benchmark does. All of it is written into the results. */
export interface Parameters {
  readonly rounds: number;
  /** Blobs in the cache: one data directory each. The first is what the others are compared with. */
  readonly sizes: readonly number[];
  /** Connections at once: one measurement each, of a hot manifest and of a hot blob. The first is what is compared with. */
  readonly clients: readonly number[];
  /** How long each load takes. */
  readonly loadMs: number;
  /** Connections of the loads on caches of all sizes. */
  readonly connections: number;
  /** Images that are asked for all over again where content is hot. */
  readonly hotImages: number;
  /** Images that leave in the eviction that is measured, at most a tenth of all. */
  readonly leavingImages: number;
  readonly hotBlobBytes: number;
}

export const fullRun: Parameters = {
  rounds: 5,
  sizes: [100, 10_000, 100_000, 1_000_000],
  clients: [10, 100, 1000, 5000],
  loadMs: 2000,
  connections: 8,
  hotImages: 8,
  leavingImages: 500,
  hotBlobBytes: 2 ** 20,
};

/** About two minutes: for a look, not for figures to quote. */
export const quickRun: Parameters = {
  ...fullRun,
  rounds: 2,
  sizes: [100, 100_000],
  clients: [10, 1000],
  loadMs: 1000,
};
