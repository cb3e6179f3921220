/** What memory is for, in bytes. The sum of the shares is at most what there is. */
export interface MemoryBudget {
  /** Blocks of hot files that all gateways share. */
  readonly blockCacheBytes: number;
  /** Bytes that wait for clients to take them, and the buffers that they are read into; of all gateways together. */
  readonly queuedBytes: number;
  /** Small blobs that are filled in memory. */
  readonly smallBlobBytes: number;
  /** Manifests that are kept in memory. */
  readonly manifestBytes: number;
  /** Answers that are kept prepared; of all gateways together. */
  readonly preparedBytes: number;
}

const MiB = 1024 * 1024;

/** Of what the process may use, that much is taken where nothing is said. */
const usualPart = 4;
const mostUsualBytes = 256 * MiB;
export const leastMemoryBytes = 32 * MiB;

/** In sixteenths of the whole. What must not fail has the most: who cannot queue is refused. */
const shares = { blocks: 5, queued: 6, smallBlobs: 1, manifests: 2, prepared: 2 } as const;
const parts = 16;

/**
 * `server.memory` where it is left out: for a process that may use `processBytes`. What a process takes besides (its code,
 * its objects, a few kilobytes for each connection) has the rest.
 */
export function usualMemoryBytes(processBytes: number): number {
  return Math.max(leastMemoryBytes, Math.min(mostUsualBytes, Math.floor(processBytes / usualPart)));
}

/** Divides what `server.memory` says. `queuedBytes`: `server.maxQueued`, where that was said: then it is not of the sum. */
export function divideMemory(totalBytes: number, queuedBytes?: number): MemoryBudget {
  const share = (count: number) => Math.floor((totalBytes * count) / parts);
  return {
    blockCacheBytes: share(shares.blocks),
    queuedBytes: queuedBytes ?? share(shares.queued),
    smallBlobBytes: share(shares.smallBlobs),
    manifestBytes: share(shares.manifests),
    preparedBytes: share(shares.prepared),
  };
}

/** What one of `gateways` has of a share that they have together. */
export function shareOfEach(bytes: number, gateways: number): number {
  return Math.floor(bytes / Math.max(1, gateways));
}

/** What the process may use: the group that it runs in has a limit of its own, or has none (0, or a number beyond any). */
export function processMemoryBytes(constrainedBytes: number | undefined, machineBytes: number): number {
  const isLimit = constrainedBytes !== undefined && constrainedBytes > 0;
  return isLimit ? Math.min(constrainedBytes, machineBytes) : machineBytes;
}
