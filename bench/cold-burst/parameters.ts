/** What a run of the benchmark does. All of it is written into the results. */
export interface Parameters {
  /** How many clients pull at once: one measurement each. */
  readonly clients: readonly number[];
  /** The same for comparisons with other caches, which take as many times longer as they pull more often. */
  readonly peerClients: readonly number[];
  readonly rounds: number;
  /** The speed of the upstream's line, which all its connections share. */
  readonly lineBytesPerSecond: number;
  readonly imageBytes: number;
  /** The image of the comparisons with other caches. */
  readonly peerImageBytes: number;
  readonly clientProcesses: number;
  /** How many clients of a measurement check digests; lengths are checked by all. */
  readonly verify: number;
  /** When a pull counts as unfinished. */
  readonly capMs: number;
  /** Of the measurements of latency. */
  readonly waiters: number;
  readonly latencyRepeats: number;
}

const mebi = 2 ** 20;

export const fullRun: Parameters = {
  clients: [1, 16, 64, 256],
  peerClients: [1, 16, 64],
  rounds: 5,
  lineBytesPerSecond: 2e6,
  imageBytes: 24 * mebi,
  peerImageBytes: mebi,
  clientProcesses: 1,
  verify: 8,
  capMs: 90_000,
  waiters: 64,
  latencyRepeats: 5,
};

/** About two minutes: for a look, not for figures to quote. */
export const quickRun: Parameters = {
  ...fullRun,
  clients: [1, 16, 64],
  rounds: 2,
  imageBytes: 12 * mebi,
  peerImageBytes: mebi / 2,
  latencyRepeats: 2,
};

/** Three layers, a large, a middle and a small one, as exact shares of the image. */
export function layerSizes(imageBytes: number): number[] {
  return [imageBytes / 2, imageBytes / 3, imageBytes / 6].map(Math.round);
}
