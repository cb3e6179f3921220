/** What may be open at once besides the connections of clients, and what the process may open. */
export interface DescriptorNeeds {
  /** Soft limit of open files (`RLIMIT_NOFILE`). */
  readonly limit: number;
  /** Threads that answer clients. */
  readonly threads: number;
  /** The configured bounds. */
  readonly maxConnections: number;
  readonly maxResponses: number;
  readonly maxFlights: number;
  /** To all endpoints of all upstreams together. */
  readonly upstreamConnections: number;
  /** Files that stay open although nobody reads them. */
  readonly idleFiles: number;
}

/** The runtime, the store's catalog and lock, the listeners, and some for the admin port: it answers when all is full. */
const ownDescriptors = 64;
/** Its event loop and its listener. */
const descriptorsOfThread = 8;
/** Where not all fits, at least so much of the limit is for clients: hardly ever is everything open at once. */
const leastForClients = 0.4;
const leastConnections = 4;
const mostIdleFiles = 512;

/**
 * How many connections of clients fit. Each takes a descriptor, each answer that reads a file of its own another one, and
 * each flight its partial file.
 */
export function connectionsThatFit(needs: DescriptorNeeds): number {
  const { limit, threads, maxConnections, maxResponses, maxFlights, upstreamConnections, idleFiles } = needs;
  const others = ownDescriptors + threads * descriptorsOfThread + maxFlights + upstreamConnections + idleFiles;
  const forClients = Math.max(limit - others, Math.floor(limit * leastForClients));
  const fit = Math.max(Math.floor(forClients / 2), forClients - maxResponses);
  return Math.min(maxConnections, Math.max(leastConnections, fit));
}

/** How many files may stay open for the next who reads them. Undefined: nobody knows the limit. */
export function idleFilesThatFit(limit: number | undefined): number {
  return limit === undefined ? mostIdleFiles : Math.min(mostIdleFiles, Math.floor(limit / 16));
}
