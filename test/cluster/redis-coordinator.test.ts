import assert from 'node:assert/strict';
import { it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import type { Coordinator, CoordinatorOptions, NodeFacts, Standing, Visit } from '../../src/cluster/coordinator.ts';
import { MemoryCoordinator } from '../../src/cluster/memory/memory-coordinator.ts';
import { MemoryEngine } from '../../src/cluster/memory/memory-engine.ts';
import { RedisCoordinator } from '../../src/cluster/redis/redis-coordinator.ts';
import { RedisEngine } from '../../src/cluster/redis/redis-engine.ts';
import { coordinatorSuite, suiteOptions, testNode } from '../../src/cluster/testing/coordinator-suite.ts';
import { systemClock } from '../../src/core/clock.ts';
import { digestOf, hexOf } from '../../src/core/digest.ts';
import { engineAddress } from '../../src/core/engine-address.ts';
import { VirtualClock } from '../../src/core/testing/virtual-clock.ts';
import { Random } from '../../src/flights/testing/random.ts';
import { Channels } from '../../src/telemetry/channels.ts';
import { needs } from '../support/need.ts';
import { RedisServer } from '../support/redis-server.ts';

const skip = needs('redis-server');

/** Nodes on one real engine. */
class RealNodes implements AsyncDisposable {
  readonly server: RedisServer;
  readonly #options: CoordinatorOptions;
  readonly #opened = new AsyncDisposableStack();

  private constructor(server: RedisServer, options: CoordinatorOptions) {
    this.server = server;
    this.#options = options;
    this.#opened.use(server);
  }

  static async start(options: CoordinatorOptions): Promise<RealNodes> {
    return new RealNodes(await RedisServer.start(), options);
  }

  join(node: NodeFacts): Coordinator {
    const address = engineAddress(this.server.url);
    assert.ok(typeof address !== 'string');
    const deps = { clock: systemClock, channels: new Channels() };
    const engine = this.#opened.use(new RedisEngine(deps, { address, timeoutMs: 5000, restMs: 0 }));
    return this.#opened.use(new RedisCoordinator(engine, node, { ...this.#options, prefix: 'test' }));
  }

  pass(ms: number): Promise<void> {
    return delay(ms);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#opened.disposeAsync();
  }
}

/** Somebody who writes into the engine what nobody understands. */
class StrangeHand implements AsyncDisposable {
  readonly #redis: Redis;

  constructor(port: number) {
    this.#redis = new Redis({ port, host: '127.0.0.1' });
  }

  async write(key: string, field: string, text: string): Promise<void> {
    await this.#redis.hset(key, field, text);
  }

  async put(key: string, text: string): Promise<void> {
    await this.#redis.set(key, text);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#redis.disconnect();
  }
}

coordinatorSuite('redis coordinator', () => RealNodes.start(suiteOptions), { skip });

it('what somebody else has written there is passed over, and does no harm to anybody', { skip }, async () => {
  await using real = await RealNodes.start(suiteOptions);
  await using stranger = new StrangeHand(real.server.port);
  const digest = digestOf(Buffer.from('a blob'));
  const told = hexOf(digestOf(Buffer.from('key')));
  for (const text of [
    '',
    'x',
    '5',
    'null',
    '[]',
    '{}',
    '{"u":"x","t":"y","n":5,"v":6}',
    '{"t":99999999999999,"n":"{"}',
  ]) {
    await stranger.write('test:{nodes}:members', 'x#1', text);
    await stranger.write('test:{nodes}:pauses', 'u e blobs', text);
    await stranger.write(`test:{${digest}}:holders`, 'x#1', text);
    await stranger.write(`test:{${digest}}:holders`, 'a#1', text);
    await stranger.put(`test:{${told}}:told`, text);
    const node = real.join(testNode('a'));
    const { members, pauses } = await node.beat({ children: 0, fills: [] });
    assert.deepEqual([members.map((member) => member.node.name), pauses], [['a'], []], text);
    await node.pause({ upstream: 'u', endpoint: 'e', what: 'blobs', status: 429, leftMs: 10 });
    const visit = { prefixBytes: 0, sizeBytes: 5, parents: [], token: undefined, seeks: true, avoid: [], gone: [] };
    const standing = await node.visit(digest, visit);
    assert.equal(standing.kind, 'leads');
    await stranger.write(`test:{${digest}}:holders`, 'a#1', text);
    await node.leave(digest, { token: standing.kind === 'leads' ? standing.token : undefined, isComplete: false });
    const claim = await node.claim('key', 10_000);
    assert.ok(claim.kind === 'mine');
    await node.drop('key', claim.token);
  }
});

it('the scripts choose as the memory adapter does, in random histories', { skip }, async (context) => {
  const seed = Number(process.env.ONEPULL_TEST_SEED ?? Math.floor(Math.random() * 1e6));
  context.diagnostic(`ONEPULL_TEST_SEED=${seed}`);
  const random = new Random(seed);
  const options = { leaseMs: 3_600_000, staleMs: 3_600_000, holderMs: 3_600_000, maxChildren: 3 };
  await using real = await RealNodes.start(options);
  const memory = new MemoryEngine(new VirtualClock(), options);
  const zones = [undefined, 'east', 'west'];
  const nodes = Array.from({ length: 12 }, (_, index) => {
    const facts = testNode(`n${index}`, random.pick(zones));
    return {
      id: facts.id,
      real: real.join(facts),
      twin: new MemoryCoordinator(memory, facts),
      parents: [] as string[],
    };
  });
  const digests = ['one', 'two'].map((text) => digestOf(Buffer.from(text)));
  const some = () => nodes.map(({ id }) => id).filter(() => random.chance(0.15));
  /** Tokens are each adapter's own. */
  const tokens = new Map<string, { real: string; twin: string }>();
  const shown = (standing: Standing) => (standing.kind === 'leads' ? { kind: 'leads' } : standing);
  for (let step = 0; step < 600; step++) {
    const node = random.pick(nodes);
    const digest = random.pick(digests);
    assert.ok(node && digest);
    const mine = tokens.get(`${node.id} ${digest}`);
    const action = random.next();
    if (action < 0.1) {
      const isComplete = random.chance(0.4);
      await node.real.leave(digest, { token: mine?.real, isComplete });
      await node.twin.leave(digest, { token: mine?.twin, isComplete });
      node.parents = [];
    } else if (action < 0.15) {
      await node.real.announce([{ digest, sizeBytes: 1000 }]);
      await node.twin.announce([{ digest, sizeBytes: 1000 }]);
    } else if (action < 0.2) {
      const other = random.pick(nodes)?.id ?? '';
      await node.real.lost(digest, other);
      await node.twin.lost(digest, other);
    } else {
      const visit: Omit<Visit, 'token'> = {
        prefixBytes: random.below(4) * 100,
        sizeBytes: random.chance(0.5) ? 1000 : undefined,
        parents: node.parents,
        seeks: random.chance(0.7),
        onlyAhead: random.chance(0.2),
        yields: random.chance(0.1),
        avoid: some(),
        gone: random.chance(0.1) ? some() : [],
        among: random.chance(0.2) ? some() : undefined,
      };
      const shows = random.chance(0.6);
      const first = await node.real.visit(digest, { ...visit, token: shows ? mine?.real : undefined });
      const second = await node.twin.visit(digest, { ...visit, token: shows ? mine?.twin : undefined });
      assert.deepEqual(shown(first), shown(second), `step ${step}`);
      if (first.kind === 'leads' && second.kind === 'leads') {
        tokens.set(`${node.id} ${digest}`, { real: first.token, twin: second.token });
      }
      if (first.kind === 'follows')
        node.parents = random.chance(0.5) ? [first.holder.node] : [...node.parents, first.holder.node];
    }
  }
});
