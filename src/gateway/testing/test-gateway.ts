import assert from 'node:assert/strict';
import { VirtualClock } from '../../core/testing/virtual-clock.ts';
import type { HitNote } from '../../pull/depot.ts';
import {
  Channels,
  type NoticeEvent,
  type RefusedEvent,
  type RequestEvent,
  type ServedBytesEvent,
  type TracedRequest,
} from '../../telemetry/channels.ts';
import { RequestCounts } from '../../telemetry/request-tally.ts';
import { BufferPool } from '../buffer-pool.ts';
import { HitDepot, hitDepotDefaults } from '../hits/hit-depot.ts';
import { type GatewayDeps, type GatewayOptions, GatewayServer, gatewayDefaults } from '../server.ts';
import { TestContent } from './test-content.ts';
import { TestDepot, testNames } from './test-depot.ts';

export interface TestGatewayOptions extends Partial<GatewayOptions> {
  /** Whether it remembers what the depot says may be given again. */
  readonly remembers?: boolean;
  readonly depot?: TestDepot;
}

/** A gateway on loopback with a depot and a clock of the test's own. Its disposal checks that nothing is left. */
export class TestGateway implements AsyncDisposable {
  readonly depot: TestDepot;
  readonly clock: VirtualClock;
  readonly pool: BufferPool;
  readonly server: GatewayServer;
  readonly tally: RequestCounts;
  readonly requests: RequestEvent[] = [];
  readonly served: ServedBytesEvent[] = [];
  readonly traced: TracedRequest[] = [];
  readonly notices: NoticeEvent[] = [];
  readonly refused: RefusedEvent['bound'][] = [];
  port = 0;
  #onRequest: (() => void) | undefined;

  /** What it remembers, where it does. */
  readonly hits: HitDepot | undefined;
  readonly notes: HitNote[] = [];

  private constructor({ remembers = true, depot: given, ...options }: TestGatewayOptions, more: Partial<GatewayDeps>) {
    this.depot = given ?? new TestDepot();
    this.clock = new VirtualClock();
    this.pool = new BufferPool();
    const channels = new Channels();
    this.tally = new RequestCounts(channels);
    channels.request.subscribe((event) => {
      this.requests.push(event);
      this.#onRequest?.();
    });
    channels.tracedRequest.subscribe((request) => this.traced.push(request));
    channels.servedBytes.subscribe((event) => this.served.push(event));
    channels.notice.subscribe((event) => this.notices.push(event));
    channels.refused.subscribe(({ bound }) => this.refused.push(bound));
    const { depot, clock, pool } = this;
    const log = { noteHits: (notes: readonly HitNote[]) => this.notes.push(...notes) };
    const { changes } = depot;
    this.hits = remembers
      ? new HitDepot({ depot, changes, log, clock }, { ...hitDepotDefaults, gateway: 0 })
      : undefined;
    const ways = this.hits === undefined ? { depot } : { depot: this.hits, hits: this.hits };
    this.server = new GatewayServer(
      {
        ...ways,
        names: testNames,
        channels,
        tally: this.tally,
        clock,
        pool,
        random: () => 0.5,
        ...more,
      },
      { ...gatewayDefaults, host: '127.0.0.1', port: 0, ...options },
    );
  }

  static async start(options: TestGatewayOptions = {}, more: Partial<GatewayDeps> = {}): Promise<TestGateway> {
    const gateway = new TestGateway(options, more);
    gateway.port = (await gateway.server.listen()).port;
    return gateway;
  }

  /** Connections that the gateway has open. */
  get connections(): number {
    return this.server.connections;
  }

  content(bytes: Buffer | string, options: ConstructorParameters<typeof TestContent>[1] = {}): TestContent {
    return this.depot.add(new TestContent(Buffer.from(bytes), options));
  }

  /** The event of the request that is `index`th to end. */
  async event(index = 0): Promise<RequestEvent> {
    for (;;) {
      const event = this.requests[index];
      if (event !== undefined) return event;
      await new Promise<void>((resolve) => {
        this.#onRequest = resolve;
      });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
    this.hits?.[Symbol.dispose]();
    // A read that was under way when its client left gives its block back when the disk is done with it.
    while (this.pool.lent > 0) await new Promise((resolve) => setImmediate(resolve));
    assert.equal(this.clock.pending, 0, 'timers left');
    assert.deepEqual(this.server.load(), { responses: 0, queuedBytes: 0 });
    for (const content of this.depot.contents.values()) {
      assert.ok(
        content.closes.every((closes) => closes === 1),
        `views closed ${content.closes} times`,
      );
      assert.equal(content.waiting, 0, 'reads left waiting');
      content[Symbol.dispose]();
    }
    const ids = new Set(this.requests.map((event) => event.id));
    assert.equal(ids.size, this.requests.length, 'a request was told twice');
  }
}

/** Resolves when `condition` holds, looked at after each turn of the event loop. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}
