import type { RegistryRequest } from '../../src/cli/demo/registry.ts';
import type { Digest } from '../../src/core/digest.ts';
import { both, type Fault } from '../support/faults.ts';
import type { Gate } from '../support/gate.ts';
import { freePort } from '../support/loopback.ts';
import { ScriptedRegistry } from '../support/scripted-registry.ts';
import { SignedCdn } from '../support/signed-cdn.ts';
import type { EndpointName } from './fault-kinds.ts';
import { checkpoints, Misbehaviour, type Order } from './misbehaviour.ts';

/** Orders that concern the connections or the keys of an endpoint, not one request. */
const repeatEveryMs: Readonly<Record<string, number>> = { expired: 500, tokens: 1000 };
/** Those that strike either the registry or its CDN, as the seed decides. */
const either: ReadonlySet<string> = new Set(['slow', 'busy', 'error']);

/**
 * An upstream's endpoint that misbehaves as ordered; with `signed` it asks for tokens and sends clients for blobs to a CDN
 * with signed URLs. Orders add up.
 */
export class Endpoint implements AsyncDisposable {
  readonly name: EndpointName;
  readonly registry: ScriptedRegistry;
  readonly #cdn: SignedCdn | undefined;
  readonly #orders = new Map<number, Misbehaviour>();
  readonly #timers = new Map<number, NodeJS.Timeout>();
  #explained: Record<string, number> = {};

  private constructor(name: EndpointName, registry: ScriptedRegistry, cdn: SignedCdn | undefined) {
    this.name = name;
    this.registry = registry;
    this.#cdn = cdn;
    registry.script = (request) => this.#atRegistry(request);
    if (cdn !== undefined) cdn.script = (request) => this.#atCdn(request);
  }

  static async start(name: EndpointName, signed: boolean, bytesPerSecond: number): Promise<Endpoint> {
    // Ports that the system gives to nobody else while the endpoint is away.
    const auth = signed ? ({ kind: 'token', lifetimeSeconds: 30 } as const) : ({ kind: 'none' } as const);
    const registry = await ScriptedRegistry.start({ port: await freePort(), bytesPerSecond, auth });
    const cdn = signed ? await SignedCdn.start({ port: await freePort(), bytesPerSecond }) : undefined;
    return new Endpoint(name, registry, cdn);
  }

  async begin(order: Order): Promise<void> {
    const misbehaviour = new Misbehaviour(order);
    this.#orders.set(order.id, misbehaviour);
    if (order.kind === 'away') await this.#struck(order).goAway();
    const everyMs = repeatEveryMs[order.kind];
    if (everyMs === undefined) return;
    const again = () => (order.kind === 'tokens' ? this.registry.revokeTokens() : this.#cdn?.expireAll());
    this.#timers.set(order.id, setInterval(again, everyMs));
  }

  async end(id: number): Promise<void> {
    const misbehaviour = this.#orders.get(id);
    if (misbehaviour === undefined) return;
    clearInterval(this.#timers.get(id));
    this.#timers.delete(id);
    this.#orders.delete(id);
    misbehaviour.end();
    const { order, explainedBytes } = misbehaviour;
    this.#explained = { ...this.#explained, [order.kind]: (this.#explained[order.kind] ?? 0) + explainedBytes };
    if (order.kind === 'away') await this.#struck(order).comeBack();
  }

  /** Bytes sent of each content, by the registry and its CDN. */
  sentBytes(): ReadonlyMap<Digest, number> {
    const sent = new Map<Digest, number>();
    for (const { digest, sentBytes } of [this.registry.tally, this.#cdn?.tally].flatMap(
      (tally) => tally?.bodies() ?? [],
    )) {
      sent.set(digest, (sent.get(digest) ?? 0) + sentBytes);
    }
    return sent;
  }

  /** By kind, what could not but be sent again. */
  get explainedBytes(): Readonly<Record<string, number>> {
    return this.#explained;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const id of [...this.#orders.keys()]) await this.end(id);
    await this.#cdn?.[Symbol.asyncDispose]();
    await this.registry[Symbol.asyncDispose]();
  }

  #struck({ seed }: Order): ScriptedRegistry | SignedCdn {
    return (seed % 2 === 0 ? this.#cdn : undefined) ?? this.registry;
  }

  #atRegistry(request: RegistryRequest): Fault {
    const fronts = this.#misbehaving(({ order }) => !either.has(order.kind) || this.#struck(order) === this.registry);
    const front = fronts.flatMap((one) => one.front(request) ?? []);
    if (this.#cdn !== undefined && request.kind === 'blob' && request.method === 'GET') {
      return both(this.#cdn.redirects(), ...front);
    }
    return both(...front, ...this.#bodyFaults(request));
  }

  #atCdn(request: RegistryRequest): Fault {
    const fronts = this.#misbehaving(({ order }) => {
      return order.kind === 'hole' || (either.has(order.kind) && this.#struck(order) === this.#cdn);
    });
    return both(...fronts.flatMap((one) => one.front(request) ?? []), ...this.#bodyFaults(request));
  }

  #bodyFaults(request: RegistryRequest): Fault[] {
    const own = this.#misbehaving(() => true).flatMap((one) => one.body(request) ?? []);
    return [...own, checkpoints(() => this.#openHole())];
  }

  /** The hole that has opened since a body began, if there is one. */
  #openHole(): Gate | undefined {
    return this.#misbehaving(({ order }) => order.kind === 'hole')[0]?.over;
  }

  #misbehaving(wanted: (one: Misbehaviour) => boolean): Misbehaviour[] {
    return [...this.#orders.values()].filter(wanted);
  }
}
