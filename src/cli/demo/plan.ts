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
/** 50 Mbit/s: slow enough that two cores can serve 50 nodes as fast as the line brings the image. */
const lineBytesPerSecond = 6 * mebibyte;
/** One second of that line. */
const layerSizes = [3, 1.75, 0.75, 0.5].map((size) => size * mebibyte);

/**
 * On their own, nodes take one after the other's time: a second each. More than 50 get a smaller image, so that the demo
 * stays one of a minute.
 */
export function planFor(nodes: number): DemoPlan {
  const scale = Math.min(1, defaultNodes / nodes);
  return { nodes, layerSizes: layerSizes.map((size) => Math.round(size * scale)), lineBytesPerSecond };
}
