/** What a host's line to all others is like. */
export interface LinkShape {
  /** Bits a second that the host may send; as fast as the machine unless told. */
  readonly upBitsPerSecond?: number;
  /** Bits a second that it may receive. */
  readonly downBitsPerSecond?: number;
  /** Added to every packet's way, in each direction: a round trip takes twice as long. */
  readonly delayMs?: number;
  /** The share of packets that is lost in each direction, from 0 to 1. */
  readonly loss?: number;
}

const least = { burstBytes: 65_536, burstMs: 10 } as const;
/** Packets that wait for longer than this do not fit into the queue. */
const queueMs = 100;

/** The `tc` line that limits what leaves through a device; undefined: nothing does. */
export function limitLine(device: string, bitsPerSecond: number | undefined): string | undefined {
  if (bitsPerSecond === undefined) return undefined;
  const burst = Math.max(least.burstBytes, Math.ceil((bitsPerSecond / 8) * (least.burstMs / 1000)));
  return `qdisc replace dev ${device} root tbf rate ${Math.ceil(bitsPerSecond)}bit burst ${burst} latency ${queueMs}ms`;
}

export function isRelayed({ delayMs, loss }: LinkShape): boolean {
  return delayMs !== undefined || loss !== undefined;
}
