import type { AppError } from '../../core/errors.ts';
import { VirtualClock } from '../../core/testing/virtual-clock.ts';
import { Channels, type PauseEvent } from '../../telemetry/channels.ts';
import { EndpointGate, type GateAsk, type GatePass, type GateWhat } from '../endpoint-gate.ts';

/** One request at the gate, and what became of it. */
export interface Visit {
  readonly ask: GateAsk;
  readonly abort: AbortController;
  /** What it was told to wait for, in order. */
  readonly reasons: (string | undefined)[];
  pass: GatePass | undefined;
  error: AppError | undefined;
}

export const acquireTimeoutMs = 60_000;

/** A gate in virtual time. Chance is in the middle, so that a guessed pause has its round length. */
export class GateWorld {
  readonly clock = new VirtualClock();
  readonly channels = new Channels();
  readonly pauses: PauseEvent[] = [];
  readonly refused: string[] = [];
  readonly gate: EndpointGate;

  /** `bodies`: how many may be under way, at most. */
  constructor(options: { bodies?: number; random?: () => number } = {}) {
    const { clock, channels } = this;
    channels.pause.subscribe((event) => this.pauses.push(event));
    channels.refused.subscribe(({ bound }) => this.refused.push(bound));
    const bodies = options.bodies ?? 3;
    this.gate = new EndpointGate(
      { clock, channels, random: options.random ?? (() => 0.5) },
      { upstream: 'hub', endpoint: 'a.example', connections: connectionsFor(bodies), acquireTimeoutMs },
    );
  }

  async visit(what: GateWhat, rest: Partial<GateAsk> = {}): Promise<Visit> {
    const reasons: (string | undefined)[] = [];
    const ask: GateAsk = { what, waiting: (reason) => reasons.push(reason), ...rest };
    const visit: Visit = { ask, abort: new AbortController(), reasons, pass: undefined, error: undefined };
    this.gate.enter(ask, visit.abort.signal).then(
      (pass) => {
        visit.pass = pass;
      },
      (error) => {
        visit.error = error;
      },
    );
    await settle();
    return visit;
  }

  async visits(count: number, what: GateWhat): Promise<Visit[]> {
    const visits: Visit[] = [];
    for (let number = 0; number < count; number++) visits.push(await this.visit(what));
    return visits;
  }

  /** A request that is let in, is answered so, and ends. */
  async answered(what: GateWhat, status: number, retryAfterMs?: number): Promise<Visit> {
    const visit = await this.visit(what);
    await this.answer(visit, status, retryAfterMs);
    return visit;
  }

  async answer({ pass }: Visit, status: number, retryAfterMs?: number): Promise<void> {
    pass?.answered(status, retryAfterMs);
    pass?.ended(status < 400 ? 'done' : 'failed');
    await settle();
  }

  async later(ms: number): Promise<void> {
    this.clock.advance(ms);
    await settle();
  }
}

/** A quarter of all connections, and one at least, is for what is not a body. */
function connectionsFor(bodies: number): number {
  let connections = bodies + 1;
  while (connections - Math.max(1, Math.floor(connections / 4)) < bodies) connections++;
  return connections;
}

/** Until all that follows from what just happened has happened. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
