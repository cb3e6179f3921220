/** What a run of the benchmark does. All of it is written into the results. */
export interface Parameters {
  readonly rounds: number;
  /** How many nodes want the image: one measurement each. */
  readonly nodes: readonly number[];
  /** Of these rounds, in so many the others are measured too: every node on its own, and one cache for all. */
  readonly peerRounds: number;
  /** With so many nodes; by the lines alone they take as many times longer. */
  readonly peerNodes: readonly number[];
  readonly imageBytes: number;
  /** What is said of the links; what they give is measured. */
  readonly links: Links;
  /** All links are slower by this: one after the other. */
  readonly scales: readonly number[];
  /** The numbers of nodes with slower links, and the rounds: the cluster alone. */
  readonly slowNodes: readonly number[];
  readonly slowRounds: number;
  readonly crowd: CrowdParameters;
  readonly costs: CostParameters;
  /** When a pull counts as unfinished. */
  readonly capMs: number;
}

export interface Links {
  readonly upstreamBitsPerSecond: number;
  readonly nodeBitsPerSecond: number;
}

/** Clients of several nodes, on loopback. */
export interface CrowdParameters {
  readonly nodes: number;
  readonly clientsPerNode: number;
  readonly lineBytesPerSecond: number;
  readonly imageBytes: number;
}

/** One node in a cluster beside one on its own. */
export interface CostParameters {
  readonly rounds: number;
  /** Blobs, and tags, that are missed while the engine is well, and without a pause. */
  readonly misses: number;
  /** The same while the engine does not answer, with a pause after each: how that is noticed is a matter of time. */
  readonly absentMisses: number;
  readonly pauseMs: number;
  readonly blobBytes: number;
  /** How long hits are asked for. */
  readonly hitMs: number;
  readonly hitConnections: number;
}

export const fullRun: Parameters = {
  rounds: 3,
  nodes: [1, 2, 4, 8, 16, 32],
  peerRounds: 1,
  peerNodes: [1, 4, 16, 32],
  imageBytes: 50e6,
  links: { upstreamBitsPerSecond: 200e6, nodeBitsPerSecond: 100e6 },
  scales: [1, 4],
  slowNodes: [32],
  slowRounds: 2,
  crowd: { nodes: 4, clientsPerNode: 16, lineBytesPerSecond: 4e6, imageBytes: 24e6 },
  costs: { rounds: 2, misses: 200, absentMisses: 60, pauseMs: 20, blobBytes: 4096, hitMs: 1500, hitConnections: 8 },
  capMs: 240_000,
};

/** Two to three minutes: for a look, not for figures to quote. */
export const quickRun: Parameters = {
  ...fullRun,
  rounds: 1,
  nodes: [1, 4, 16],
  slowRounds: 1,
  imageBytes: 25e6,
  scales: [1],
  crowd: { ...fullRun.crowd, imageBytes: 8e6 },
  costs: { ...fullRun.costs, rounds: 1, misses: 60, absentMisses: 30, hitMs: 500 },
};

/** Eight layers, from one of half the image to one of some KB, as shares of it. */
export function layerSizes(imageBytes: number): number[] {
  return [0.5, 0.24, 0.14, 0.07, 0.035, 0.012, 0.0025, 0.0005].map((share) => Math.round(share * imageBytes));
}
