/** What a run of the demo shows: who pulls what, over which line. */
export interface DemoPlan {
  readonly nodes: number;
  readonly layerSizes: readonly number[];
  /** What all connections to upstream share. */
  readonly lineBytesPerSecond: number;
}

export const defaultNodes = 50;
export const mostNodes = 1000;

const mebibyte = 2 ** 20;
/** About 100 Mbit/s: slow enough that one machine can serve all nodes as fast as the line brings the image. */
const lineBytesPerSecond = 12 * mebibyte;
const layerSizes = [4, 2.5, 1, 0.5].map((size) => size * mebibyte);

/**
 * Every node takes the time of the whole crowd when each pulls on its own: about half a minute for 50 nodes. More nodes
 * than that get a smaller image, so that the demo stays one of a minute.
 */
export function planFor(nodes: number): DemoPlan {
  const scale = Math.min(1, defaultNodes / nodes);
  return { nodes, layerSizes: layerSizes.map((size) => Math.round(size * scale)), lineBytesPerSecond };
}
