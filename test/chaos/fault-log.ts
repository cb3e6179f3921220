import { type EndpointName, kindNamed } from './fault-kinds.ts';
import { Misbehaviour } from './misbehaviour.ts';
import type { PlannedFault } from './schedule.ts';
import { alpha } from './world.ts';

/** A fault as it was: from before it was brought about until after it was gone. Epoch ms. */
export interface FaultWindow {
  readonly fault: PlannedFault;
  readonly from: number;
  /** Undefined while it lasts. */
  to: number | undefined;
}

export const endpointsOf = (upstream: string): readonly EndpointName[] => (upstream === alpha ? ['a1', 'a2'] : ['b1']);

/** What went wrong when: the harness writes it, the judge reads it. */
export class FaultLog {
  readonly #windows: FaultWindow[] = [];

  begin(fault: PlannedFault, from: number): FaultWindow {
    const window: FaultWindow = { fault, from, to: undefined };
    this.#windows.push(window);
    return window;
  }

  get all(): readonly FaultWindow[] {
    return this.#windows;
  }

  /** Those that touch a stretch of time. */
  during(from: number, to: number): readonly FaultWindow[] {
    return this.#windows.filter((window) => window.from <= to && (window.to ?? Number.POSITIVE_INFINITY) >= from);
  }

  /** How often each kind was brought about. */
  counts(): Readonly<Record<string, number>> {
    const counts: Record<string, number> = {};
    for (const { fault } of this.#windows) counts[fault.kind] = (counts[fault.kind] ?? 0) + 1;
    return counts;
  }
}

/** Whether an endpoint could not give this content while the fault lasted. */
export function takesAway({ kind, seed, id, lengthMs }: PlannedFault, reference: string): boolean {
  const { effect } = kindNamed(kind);
  if (kind === 'lag') return new Misbehaviour({ id, kind, seed, lengthMs }).isLagging(reference);
  return effect === 'outage' || kind === 'corrupt';
}
