/** What one large transfer has learnt of connections that share its work. */
export interface ConnectionGrowth {
  /** So many are worth having now. */
  readonly connections: number;
  /** What is known to do as well if these do not pay: the number before, and its rate. */
  readonly fewer: number;
  readonly fewerBytesPerSecond: number;
  /** Windows in a row in which these brought no more than fewer did. */
  readonly poorWindows: number;
  /** Nothing more is tried: the most that is allowed, or more were of no use. */
  readonly isSettled: boolean;
}

/** All connections delivered through the whole of it. */
export interface GrowthWindow {
  readonly bytesPerSecond: number;
  /** What is still to come of the transfer. */
  readonly missingBytes: number;
  /** Whether one more connection takes nothing from others. */
  readonly hasRoom: boolean;
}

export interface GrowthLimits {
  readonly maxConnections: number;
}

/** As long as this, all connections must have delivered for their rate to count, in ms. */
export const growthWindowMs = 200;

const leastGain = 1.25;
/** A new connection may take some round trips to come up to speed; giving up on it at once would be for good. */
const maxPoorWindows = 3;
/** A transfer that ends so soon is not worth another connection. */
const soonSeconds = 1;

export function firstGrowth({ maxConnections }: GrowthLimits): ConnectionGrowth {
  const isSettled = maxConnections <= 1;
  return { connections: 1, fewer: 1, fewerBytesPerSecond: 0, poorWindows: 0, isSettled };
}

/**
 * How many connections after a window at the present number. Doubles while the total rate grows by a quarter at least, and
 * steps back for good when it does not: what limits us then is shared by all of them.
 */
export function grow(growth: ConnectionGrowth, window: GrowthWindow, limits: GrowthLimits): ConnectionGrowth {
  if (growth.isSettled) return growth;
  if (window.bytesPerSecond < growth.fewerBytesPerSecond * leastGain) {
    const poorWindows = growth.poorWindows + 1;
    if (poorWindows < maxPoorWindows) return { ...growth, poorWindows };
    return { ...growth, connections: growth.fewer, poorWindows: 0, isSettled: true };
  }
  if (growth.connections >= limits.maxConnections) return { ...growth, poorWindows: 0, isSettled: true };
  const endsSoon = window.missingBytes < window.bytesPerSecond * soonSeconds;
  if (endsSoon || !window.hasRoom) return { ...growth, poorWindows: 0 };
  return {
    connections: Math.min(growth.connections * 2, limits.maxConnections),
    fewer: growth.connections,
    fewerBytesPerSecond: window.bytesPerSecond,
    poorWindows: 0,
    isSettled: false,
  };
}

/** One more than `running` was refused, or did not work: so many it stays at. */
export function setBack(growth: ConnectionGrowth, running: number): ConnectionGrowth {
  const connections = Math.max(1, Math.min(growth.connections, running));
  return { ...growth, connections, poorWindows: 0, isSettled: true };
}
