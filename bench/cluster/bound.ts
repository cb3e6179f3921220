/** What lines give in a second, in bytes of bodies. */
export interface Rates {
  readonly upstreamBytesPerSecond: number;
  /** Of a node, in each direction. */
  readonly nodeBytesPerSecond: number;
}

/**
 * The least time in which so many nodes can have the content, in seconds, whatever they do: upstream sends all of it once, each
 * node takes all of it, and all that is taken is sent by upstream and the nodes together.
 */
export function leastSeconds(sizeBytes: number, nodes: number, rates: Rates): number {
  const { upstreamBytesPerSecond: upstream, nodeBytesPerSecond: node } = rates;
  return Math.max(sizeBytes / upstream, sizeBytes / node, (nodes * sizeBytes) / (upstream + nodes * node));
}
