import type { PhaseResult } from './phase.ts';
import type { DemoPlan } from './plan.ts';

/** What `onepull demo --json` prints. */
export interface DemoResult {
  readonly nodes: number;
  readonly image: { readonly layers: number; readonly totalBytes: number };
  readonly lineBytesPerSecond: number;
  readonly onItsOwn: PhaseFigures;
  readonly throughOnepull: PhaseFigures;
  /** Bytes that upstream did not have to send. */
  readonly savedBytes: number;
}

export interface PhaseFigures {
  readonly upstreamRequests: number;
  readonly upstreamBytes: number;
  readonly slowestNodeMs: number;
  readonly medianNodeMs: number;
}

export function resultOf(
  { nodes, layerSizes, lineBytesPerSecond }: DemoPlan,
  imageBytes: number,
  phases: { readonly onItsOwn: PhaseResult; readonly throughOnepull: PhaseResult },
): DemoResult {
  const [onItsOwn, throughOnepull] = [figuresOf(phases.onItsOwn), figuresOf(phases.throughOnepull)];
  return {
    nodes,
    image: { layers: layerSizes.length, totalBytes: imageBytes },
    lineBytesPerSecond,
    onItsOwn,
    throughOnepull,
    savedBytes: onItsOwn.upstreamBytes - throughOnepull.upstreamBytes,
  };
}

function figuresOf({ upstreamRequests, upstreamBytes, nodesMs }: PhaseResult): PhaseFigures {
  const slowestNodeMs = Math.round(nodesMs.at(-1) ?? 0);
  return { upstreamRequests, upstreamBytes, slowestNodeMs, medianNodeMs: Math.round(median(nodesMs)) };
}

/** Of ascending numbers. */
function median(sorted: readonly number[]): number {
  const half = sorted.length >> 1;
  const upper = sorted[half] ?? 0;
  return sorted.length % 2 === 1 ? upper : ((sorted[half - 1] ?? 0) + upper) / 2;
}
