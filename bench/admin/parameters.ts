/** What a run of the benchmark does. All of it is written into the results. */
export interface Parameters {
  readonly rounds: number;
  /** Of each measurement. */
  readonly seconds: number;
  /** Images that are being pulled all the while, each by a client of its own. */
  readonly pulls: number;
  /** Layers of each, of which the first is on its way. */
  readonly layers: number;
  /** What comes of each layer in a second. */
  readonly layerBytesPerSecond: number;
  /** Viewers of `/api/v1/events`, one measurement each; with 0 nobody asks for the metrics either. */
  readonly viewers: readonly number[];
  /** Where there are viewers, the metrics are asked for so often. */
  readonly scrapeMs: number;
  readonly manifestConnections: number;
  readonly blobConnections: number;
  readonly blobBytes: number;
  /** Of the page, in a browser of its own each; and how long it is looked at. */
  readonly pageRounds: number;
  readonly pageSeconds: number;
}

export const fullRun: Parameters = {
  rounds: 7,
  seconds: 5,
  pulls: 500,
  layers: 8,
  layerBytesPerSecond: 2048,
  viewers: [0, 1, 5],
  scrapeMs: 5000,
  manifestConnections: 32,
  blobConnections: 8,
  blobBytes: 256 * 2 ** 20,
  pageRounds: 3,
  pageSeconds: 20,
};

/** About a minute: for a look, not for figures to quote. */
export const quickRun: Parameters = { ...fullRun, rounds: 2, seconds: 5, viewers: [0, 5], pageRounds: 1 };
