import type { RegistryRequest } from '../../src/cli/demo/registry.ts';
import type { Random } from '../../src/flights/testing/random.ts';
import * as faults from '../support/faults.ts';
import { Gate } from '../support/gate.ts';
import { between, chanceOf } from './seeds.ts';

type Fault = faults.Fault;

/** What an endpoint is told to do wrong. */
export interface Order {
  readonly id: number;
  readonly kind: string;
  readonly seed: number;
  readonly lengthMs: number;
}

const checkpointBytes = 256 * 1024;
const dripBytes = 1024;
const dripEveryMs = 100;
const mostDrips = 100;
/** What arrives with the headers: who cuts it again and again is away. */
const smallBytes = 4096;

/**
 * One fault at one endpoint while it lasts: decides what becomes of each request.
 *
 * Invariants: whatever it holds back is let go by `end`, at the latest; "twice for each reference" counts within one
 * fault, so that a request which is tried again often enough always comes through; what a request gets depends on the
 * seed, the reference and how often that was asked for, not on the order among references.
 */
export class Misbehaviour {
  readonly order: Order;
  /** Open once the fault is over. */
  readonly over: Gate = new Gate();
  readonly #endsAt: number;
  readonly #counts = new Map<string, number>();
  /** What clients of this fault have to fetch again through no fault of their own, in bytes. */
  explainedBytes = 0;

  constructor(order: Order) {
    this.order = order;
    this.#endsAt = performance.now() + order.lengthMs;
  }

  end(): void {
    this.over.release();
  }

  /** What happens to a request before its body: status, headers, or no answer at all. */
  front(request: RegistryRequest): Fault | undefined {
    const { kind, seed } = this.order;
    switch (kind) {
      case 'slow':
        return this.#first(2, request) && late(between(this.#chance(request), 200, 4000), this.over);
      case 'limit':
        return this.#isLimited(request) ? faults.rateLimited(this.#secondsLeft) : undefined;
      case 'limit-bare':
        return this.#isLimited(request) ? faults.rateLimited() : undefined;
      case 'busy':
        return this.#first(2, request) && faults.status(503, seed % 2 === 0 ? {} : { 'retry-after': '1' });
      case 'error':
        return this.#first(2, request) && faults.status(500);
      case 'token-away':
        return request.kind === 'token' ? faults.drop() : undefined;
      case 'lag':
        return this.isLagging(request.reference) && isContent(request) ? faults.status(404) : undefined;
      case 'hole':
        return faults.slowHeaders(this.over);
      default:
        return undefined;
    }
  }

  /** What happens to a manifest or a blob, from wherever it is sent. */
  body(request: RegistryRequest): Fault | undefined {
    switch (this.order.kind) {
      case 'cut':
        return this.#cut(request, this.#count(request));
      case 'stall':
        return onBlob(request, 1, this.#count(request), () => this.#stall(request));
      case 'drip':
        return onBlob(request, 1, this.#count(request), () => this.#drip(request));
      case 'corrupt':
        return this.#chance(request).chance(0.5) ? this.#corrupt(request) : undefined;
      case 'length':
        return onBlob(request, 2, this.#count(request), () => this.#wrongLength(request));
      case 'ignore-range':
        return (answer, given) => {
          if (answer.status === 206) this.explainedBytes += answer.start;
          return faults.ignoreRange()(answer, given);
        };
      case 'headers':
        return faults.both(faults.chunked(), faults.noDigestHeader());
      default:
        return undefined;
    }
  }

  /** Whether the mirror does not have it yet. */
  isLagging(reference: string): boolean {
    return this.order.kind === 'lag' && chanceOf(this.order.seed, reference).chance(0.5);
  }

  #cut(request: RegistryRequest, count: number): Fault | undefined {
    const chance = this.#chance(request);
    const cut = ifBody((answer) => {
      if (answer.body.length < smallBytes && count > 1) return answer;
      const at = chance.below(answer.body.length);
      return faults.cut(at, chance.chance(0.5) ? 'cut' : 'reset')(answer, request);
    });
    return onBlob(request, 3, count, () => cut);
  }

  #stall(request: RegistryRequest): Fault {
    const chance = this.#chance(request);
    return ifBody((answer) => faults.stall(chance.below(answer.body.length), this.over)(answer, request));
  }

  #drip(request: RegistryRequest): Fault {
    const chance = this.#chance(request);
    return ifBody((answer) => {
      const from = chance.below(answer.body.length);
      const drips = Math.min(mostDrips, Math.floor((answer.body.length - from) / dripBytes));
      const drip = (n: number): Fault =>
        n === mostDrips ? faults.stall(from + n * dripBytes, this.over) : pause(from + n * dripBytes, this.over);
      return faults.both(...Array.from({ length: drips }, (_, n) => drip(n + 1)))(answer, request);
    });
  }

  #corrupt(request: RegistryRequest): Fault {
    const chance = this.#chance(request);
    return ifBody((answer) => {
      this.explainedBytes += answer.content?.length ?? answer.body.length;
      return faults.corrupt(chance.below(answer.body.length))(answer, request);
    });
  }

  #wrongLength(request: RegistryRequest): Fault {
    const chance = this.#chance(request);
    return ifBody((answer) => {
      this.explainedBytes += answer.body.length;
      if (chance.chance(0.5)) return faults.short(chance.below(answer.body.length))(answer, request);
      return faults.wrongLength(answer.body.length + between(chance, 1, 9))(answer, request);
    });
  }

  /** The chance of this request: another one each time that the same is asked for. */
  #chance({ reference }: RegistryRequest): Random {
    return chanceOf(this.order.seed, reference, this.#counts.get(reference) ?? 0);
  }

  #first(times: number, request: RegistryRequest): true | undefined {
    return this.#count(request) <= times || undefined;
  }

  /** How often it has been asked for during this fault, this time included. */
  #count({ kind, method, reference, authorised }: RegistryRequest): number {
    if (!authorised && kind !== 'token') return Number.POSITIVE_INFINITY; // it will come again, with a token
    const key = kind === 'token' ? 'token' : `${method === 'HEAD' ? 'HEAD ' : ''}${reference}`;
    const count = (this.#counts.get(key) ?? 0) + 1;
    this.#counts.set(key, count);
    return count;
  }

  #isLimited({ kind }: RegistryRequest): boolean {
    return kind === (['manifest', 'blob', 'token'] as const)[this.order.seed % 3];
  }

  get #secondsLeft(): number {
    return Math.max(1, Math.ceil((this.#endsAt - performance.now()) / 1000));
  }
}

/** What bodies look at now and then, so that a fault can strike those that are under way. */
export function checkpoints(gate: Gate | (() => Gate | undefined)): Fault {
  return (answer) => {
    const reached = async () => {
      await (gate instanceof Gate ? gate : gate())?.arrive();
      return 'go' as const;
    };
    const count = Math.floor(answer.body.length / checkpointBytes);
    const added = Array.from({ length: count }, (_, n) => ({ atByte: (n + 1) * checkpointBytes, reached }));
    return { ...answer, stops: [...answer.stops, ...added] };
  };
}

function onBlob(request: RegistryRequest, times: number, count: number, fault: () => Fault): Fault | undefined {
  return request.kind === 'blob' && request.method === 'GET' && count <= times ? fault() : undefined;
}

/** Only where there is content: refusals and redirects pass. */
function ifBody(fault: Fault): Fault {
  return (answer, request) => {
    return answer.digest === undefined || answer.body.length === 0 ? answer : fault(answer, request);
  };
}

function isContent({ kind, authorised }: RegistryRequest): boolean {
  return authorised && (kind === 'blob' || kind === 'manifest');
}

function late(delayMs: number, over: Gate): Fault {
  return async (answer) => {
    await Promise.race([later(delayMs), over.arrive()]);
    return answer;
  };
}

function pause(atByte: number, over: Gate): Fault {
  const reached = async () => {
    await Promise.race([later(dripEveryMs), over.arrive()]);
    return 'go' as const;
  };
  return (answer) => ({ ...answer, stops: [...answer.stops, { atByte, reached }] });
}

function later(delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, delayMs).unref();
  });
}
