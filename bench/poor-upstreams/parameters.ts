/** What a run of the benchmark does. All of it is written into the results. */
export interface Parameters {
  readonly rounds: number;
  /** The blob that is split. */
  readonly blobBytes: number;
  /** Connections that may share it: one measurement each. 1 comes first: the others are compared with it. */
  readonly splits: readonly number[];
  /** What one connection gets, or what all of them share. */
  readonly lineBytesPerSecond: number;
  /** The image of the burst in which an endpoint dies, the line of each endpoint, and the clients. */
  readonly imageBytes: number;
  readonly endpointBytesPerSecond: number;
  readonly clients: number;
  /** When a pull counts as unfinished. */
  readonly capMs: number;
}

export const fullRun: Parameters = {
  rounds: 5,
  blobBytes: 200e6,
  splits: [1, 2, 4, 8],
  lineBytesPerSecond: 10e6,
  imageBytes: 24 * 2 ** 20,
  endpointBytesPerSecond: 4e6,
  clients: 64,
  capMs: 120_000,
};

/** About two minutes: for a look, not for figures to quote. */
export const quickRun: Parameters = {
  ...fullRun,
  rounds: 1,
  blobBytes: 100e6,
  splits: [1, 8],
  imageBytes: 12 * 2 ** 20,
};
