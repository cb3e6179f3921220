import { type Answer, dropped } from '../../src/cli/demo/answer.ts';
import { DemoRegistry, type DemoRegistryOptions, type RegistryRequest } from '../../src/cli/demo/registry.ts';
import type { Digest } from '../../src/core/digest.ts';
import { both, type Fault, stall, status, well } from './faults.ts';
import { Gate } from './gate.ts';

/** Which requests a fault is for: all that is named here has to agree. */
export type Match = Partial<Pick<RegistryRequest, 'kind' | 'method' | 'repository' | 'reference'>>;

/** Chooses the fault of a request by itself. Sees every request, refused ones too. */
export type Script = (request: RegistryRequest) => Fault | undefined;

export interface Hold {
  /** Resolves once a body has been sent exactly up to the byte and stands still. */
  readonly reached: Promise<void>;
  /** Bodies that stand there go on; later ones do not stop. */
  release(): void;
}

interface Rule {
  readonly match: Match;
  /** The faults of the next matching requests, one each. */
  readonly queue: Fault[];
  /** What every matching request gets once the queue is empty. */
  readonly always: Fault | undefined;
}

/**
 * A DemoRegistry that misbehaves as told. A request gets, in this order: what the script says, else the fault of the
 * first rule that matches it and has one, else the right answer; holds apply on top. Rules skip requests that the
 * registry refuses for want of a token, so that a queue is used up by the requests it was meant for.
 */
export class ScriptedRegistry extends DemoRegistry {
  script: Script | undefined;
  readonly #rules: Rule[] = [];
  readonly #holds: { digest: Digest; afterBytes: number; gate: Gate }[] = [];

  static override async start(options: DemoRegistryOptions = {}): Promise<ScriptedRegistry> {
    const registry = new ScriptedRegistry(options);
    await registry.server.open();
    return registry;
  }

  /** The next matching requests get these, one each. */
  next(match: Match, ...faults: readonly Fault[]): void {
    this.#rules.push({ match, queue: [...faults], always: undefined });
  }

  /** Every matching request gets this, until the returned function is called. */
  always(match: Match, fault: Fault): () => void {
    const rule: Rule = { match, queue: [], always: fault };
    this.#rules.push(rule);
    return () => this.#rules.splice(this.#rules.indexOf(rule), 1);
  }

  /** Forgets script and rules; holds stay. */
  behave(): void {
    this.script = undefined;
    this.#rules.length = 0;
  }

  /**
   * Bodies of `digest` that start from now on stand still before byte `afterBytes` of the blob (not of the body: a body
   * that begins after it passes) until released.
   */
  hold(digest: Digest, afterBytes: number): Hold {
    const gate = new Gate();
    const held = { digest, afterBytes, gate };
    this.#holds.push(held);
    const release = () => {
      this.#holds.splice(0, this.#holds.length, ...this.#holds.filter((other) => other !== held));
      gate.release();
    };
    return { reached: gate.reached, release };
  }

  /** Every HEAD is refused with 405. */
  withoutHead(): () => void {
    return this.always({ method: 'HEAD' }, status(405));
  }

  /** A registry from before distribution-spec 1.1. */
  withoutReferrers(): () => void {
    return this.always({ kind: 'referrers' }, status(404));
  }

  /** Nobody listens and every connection is cut, until `comeBack`. */
  goAway(): Promise<void> {
    return this.server.shut();
  }

  /** Listens again at the same port. */
  comeBack(): Promise<void> {
    return this.server.open();
  }

  /** Cuts every connection there is, once. */
  cutConnections(): void {
    this.server.cutConnections();
  }

  protected override async shape(answer: Answer, request: RegistryRequest): Promise<Answer | typeof dropped> {
    const fault = this.script?.(request) ?? (request.authorised ? this.#ruleFor(request) : undefined);
    const shaped = await (fault ?? well())(answer, request);
    return shaped === dropped ? dropped : both(...this.#heldAt(shaped))(shaped, request);
  }

  #ruleFor(request: RegistryRequest): Fault | undefined {
    for (const { match, queue, always } of this.#rules) {
      if (!matches(request, match)) continue;
      const fault = queue.shift() ?? always;
      if (fault !== undefined) return fault;
    }
    return undefined;
  }

  #heldAt({ digest, start, body }: Answer): Fault[] {
    return this.#holds
      .filter((held) => held.digest === digest && start <= held.afterBytes && held.afterBytes <= start + body.length)
      .map((held) => stall(held.afterBytes - start, held.gate));
  }
}

function matches(request: RegistryRequest, match: Match): boolean {
  return (Object.entries(match) as [keyof Match, unknown][]).every(([name, value]) => request[name] === value);
}
