import type { Clock } from '../core/clock.ts';
import { AppError } from '../core/errors.ts';
import type { SourceStanding } from '../flights/source.ts';
import { orderEndpoints } from '../routing/endpoint-order.ts';
import type { EndpointClient } from './endpoint-client.ts';
import type { GateWhat } from './endpoint-gate.ts';
import { type EndpointSnapshot, snapshotOf } from './upstream-snapshot.ts';

/** Who can be helped by no other finds out by itself, after a rest of so long at the most. */
const longestShutMs = 2000;

/** The endpoints of one upstream, and the one place that chooses among them: by what is known, without asking any. */
export class EndpointChoice {
  readonly all: readonly EndpointClient[];
  readonly #clock: Clock;
  readonly #upstream: string;
  #wasDegraded: readonly boolean[] = [];

  constructor(deps: { clock: Clock }, upstream: string, endpoints: readonly EndpointClient[]) {
    this.#clock = deps.clock;
    this.#upstream = upstream;
    this.all = endpoints;
  }

  /** All of them, the best for such a request first. */
  inOrder(what: GateWhat): readonly EndpointClient[] {
    const { order } = this.#judge(what);
    return order.map((index) => this.all[index]).filter((endpoint) => endpoint !== undefined);
  }

  /** It would be asked in vain as far as is known, and another would not: no request of a client finds out. */
  isShut(endpoint: EndpointClient, what: GateWhat): boolean {
    return endpoint.watch.isShut && this.hasSoundOther(endpoint, what);
  }

  isSound(endpoint: EndpointClient, what: GateWhat): boolean {
    return !endpoint.watch.isShut && endpoint.gate.restMs(what) === 0;
  }

  /** For so long all of them have been shut, in ms; 0: one is not. */
  get outageMs(): number {
    return Math.min(...this.all.map(({ watch }) => watch.outageMs));
  }

  hasSoundOther(endpoint: EndpointClient, what: GateWhat): boolean {
    return this.all.some((other) => other !== endpoint && this.isSound(other, what));
  }

  /**
   * What is told of an endpoint where it is shut. Not why: what shut it are the words of an answer to somebody else, which may
   * name what whoever is told this must not know of (P9). Operators read them.
   */
  shutError({ endpoint }: EndpointClient): AppError {
    const message = `upstream ${this.#upstream} (${endpoint.name}) is not asked for now: it has failed too often`;
    return new AppError('UPSTREAM_UNREACHABLE', message, { details: { upstream: this.#upstream } });
  }

  /** As a source of blobs. */
  standing(endpoint: EndpointClient): SourceStanding {
    const what = 'blob-body';
    const { costs } = this.#judge(what);
    const shutMs = this.isShut(endpoint, what) ? Math.min(longestShutMs, endpoint.watch.shutMs) : 0;
    const pauseMs = endpoint.gate.restMs(what);
    const restReason =
      pauseMs > 0
        ? endpoint.gate.restReason(what)
        : shutMs > 0
          ? `${endpoint.endpoint.name} is not asked for now: ${endpoint.watch.shutReason}`
          : undefined;
    return {
      restMs: Math.max(shutMs, pauseMs),
      restReason,
      cost: costs[this.all.indexOf(endpoint)] ?? 0,
      hasRoom: endpoint.gate.hasRoom(),
      outageMs: endpoint.watch.outageMs,
    };
  }

  snapshot(): readonly EndpointSnapshot[] {
    const { costs } = this.#judge('blob-body');
    return this.all.map((endpoint, index) => {
      const isAsked = endpoint.watch.isShut && !this.hasSoundOther(endpoint, 'blob-body');
      const standing = (['sound', 'degraded', 'resting'] as const)[costs[index] ?? 0] ?? (isAsked ? 'failing' : 'shut');
      return snapshotOf(endpoint, this.#clock, { preference: index + 1, standing });
    });
  }

  #judge(what: GateWhat) {
    const facts = this.all.map(({ watch, gate }, index) => ({
      health: watch.health,
      isShut: watch.isShut,
      restMs: gate.restMs(what),
      wasDegraded: this.#wasDegraded[index] ?? false,
    }));
    const judgement = orderEndpoints(facts, this.#clock.monotonic());
    this.#wasDegraded = judgement.isDegraded;
    return judgement;
  }
}
