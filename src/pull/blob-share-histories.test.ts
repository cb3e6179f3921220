import assert from 'node:assert/strict';
import { it } from 'node:test';
import { AppError } from '../core/errors.ts';
import { testOptions } from '../flights/testing/flight-world.ts';
import { Random } from '../flights/testing/random.ts';
import { sampleBytes } from '../store/testing/sample-content.ts';
import { NodeWorld, type TestNode } from './testing/node-world.ts';

/**
 * Random histories of nodes that share an engine: pulls that come and clients that leave at any time, nodes that die, stop, stand
 * still, lie, lose what they had, that cannot reach the engine or each other, an engine that forgets, an upstream that breaks off
 * or refuses one of them. At the end all is made well: then everybody who lives has every byte, and nothing is left. In time: what
 * nodes do to each other costs waits that have bounds.
 *
 *   HISTORIES=5000 SEED=1 node --test src/pull/blob-share-histories.test.ts
 */
const histories = Number(process.env.HISTORIES ?? 40);
const firstSeed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
const steps = 25;

class History {
  readonly #random: Random;
  readonly #world: NodeWorld;
  readonly #log: string[] = [];
  /** So long upstream has not been told to send, and the longest time of that kind. */
  #stillMs = 0;
  #longestStillMs = 0;
  /** What may happen; a calm one has no excuse for a byte that comes twice. */
  readonly #weather: {
    readonly kills: boolean;
    readonly engine: boolean;
    readonly ways: boolean;
    readonly cuts: boolean;
    readonly freezes: boolean;
    readonly lies: boolean;
    readonly leaves: boolean;
    readonly evicts: boolean;
    readonly refuses: boolean;
  };

  constructor(seed: number) {
    const random = new Random(seed);
    this.#random = random;
    this.#world = new NodeWorld(sampleBytes(seed, random.chance(0.03) ? 0 : random.below(15_000)));
    const isRough = random.chance(0.75);
    const may = () => isRough && random.chance(0.5);
    const rarely = () => isRough && random.chance(0.25);
    this.#weather = {
      ...{ kills: may(), engine: may(), ways: may(), cuts: may(), freezes: rarely() },
      ...{ lies: rarely(), leaves: rarely(), evicts: rarely(), refuses: rarely() },
    };
    const nodes = 2 + random.below(5);
    for (let index = 0; index < nodes; index++) this.#add();
  }

  #add(): void {
    const random = this.#random;
    const abandon = this.#weather.leaves ? random.pick(['finish', 'keep', 'discard'] as const) : 'finish';
    const name = `n${this.#world.nodes.length}`;
    this.#world.add(name, random.pick([undefined, 'east', 'west']), abandon && { abandon });
  }

  async run(): Promise<void> {
    try {
      await using world = this.#world;
      for (let step = 0; step < steps; step++) {
        await this.#step();
        await world.settle();
      }
      await this.#comeRight();
    } catch (error) {
      throw new Error(`${JSON.stringify(this.#weather)}\n${this.#log.join('\n')}\n${this.#world.shown()}`, {
        cause: error,
      });
    }
  }

  get #living(): TestNode[] {
    return this.#world.nodes.filter(({ isDead }) => !isDead);
  }

  async #step(): Promise<void> {
    const { kills, engine, ways, cuts } = this.#weather;
    const random = this.#random;
    const node = random.pick(this.#living);
    if (node === undefined) return;
    const chance = random.next();
    const say = (what: string) => this.#log.push(`${node.facts.id} ${what}`);
    if (random.chance(0.2)) return this.#misbehave(node, say);
    if (chance < 0.3) {
      say('pulls');
      await node.pull();
    } else if (chance < 0.6) {
      this.#stillMs = 0;
      await this.#world.upstream(random.below(4000));
    } else if (chance < 0.75) {
      const ms = random.pick([100, 500, 1500, 6000]) ?? 100;
      this.#stillMs += ms;
      this.#longestStillMs = Math.max(this.#longestStillMs, this.#stillMs);
      await this.#world.pass(ms);
    } else if (chance < 0.8 && kills && this.#living.length > 1) {
      const isStop = random.chance(0.4);
      say(isStop ? 'stops' : 'dies');
      await (isStop ? node.stop() : node.kill());
      if (random.chance(0.5)) this.#add();
    } else if (chance < 0.87 && engine) {
      if (random.chance(0.3)) this.#world.engine.forgetAll();
      else node.coordinator.isCut = !node.coordinator.isCut;
      say(`has the engine: ${!node.coordinator.isCut}, or it forgot`);
    } else if (chance < 0.94 && ways) {
      const other = random.pick(this.#world.nodes)?.facts.id ?? '';
      if (!node.unreachable.delete(other)) node.unreachable.add(other);
      say(`reaches ${other}: ${!node.unreachable.has(other)}`);
    } else if (cuts) {
      const attempt = random.pick([...node.upstream.asking, ...node.upstream.awaited]);
      if (attempt === undefined) return;
      say('is cut by upstream');
      if (attempt.isAnswered) attempt.cut();
      else attempt.refuse(new AppError('UPSTREAM_FAILED', 'refused by the test'));
    }
  }

  async #misbehave(node: TestNode, say: (what: string) => void): Promise<void> {
    const { freezes, lies, leaves, evicts, refuses } = this.#weather;
    const random = this.#random;
    const ways = [freezes && 'freeze', lies && 'lie', leaves && 'leave', evicts && 'evict', refuses && 'refuse'];
    const way = random.pick(ways.filter((one) => one !== false));
    if (way !== undefined) say(way);
    if (way === 'freeze') random.chance(0.6) ? node.freeze() : node.thaw();
    else if (way === 'lie') {
      node.isLying = random.chance(0.5);
      node.isLyingOfSize = random.chance(0.3);
    } else if (way === 'leave') random.pick(node.readers.filter(({ isFollowing }) => isFollowing))?.leave();
    else if (way === 'evict') await node.evict();
    else if (way === 'refuse') node.isRefused = random.chance(0.6);
  }

  async #comeRight(): Promise<void> {
    const world = this.#world;
    for (const node of this.#living) {
      node.thaw();
      node.coordinator.isCut = false;
      node.unreachable.clear();
      node.isLying = false;
      node.isLyingOfSize = false;
      node.isRefused = false;
    }
    await world.finish();
    const { kills, engine, ways, freezes, lies, leaves, evicts, refuses } = this.#weather;
    if (lies || leaves || refuses || freezes) await this.#pullAgain();
    world.assertAllHave();
    // One who is silent for long is taken for stuck, and so is who waits for it.
    const isCalm = !kills && !engine && !ways && !freezes && !lies && !leaves && !evicts && !refuses;
    if (isCalm && this.#longestStillMs < testOptions.stallTimeoutMs) {
      assert.ok(
        world.sent.every((times) => times <= 1),
        `upstream sent ${world.upstreamBytes} of ${world.content.length}`,
      );
    }
    for (const node of this.#living) {
      await world.pass(0);
      assert.equal(node.table.size, 0, 'a flight is left');
    }
  }

  /**
   * Who left, was cut for what a liar sent, or was refused, comes again, and gets it: perhaps the time after, since what is left
   * of a fill may be a liar's.
   */
  async #pullAgain(): Promise<void> {
    for (let time = 0; time < 3; time++) {
      for (const node of this.#living) {
        for (const { outcome } of node.readers) {
          const code = String(Object(outcome).code);
          assert.ok(outcome === 'complete' || outcome === 'left' || this.#excuses.has(code), code);
        }
        const isMissing = node.readers.some(({ outcome }) => outcome !== 'complete');
        node.readers.length = 0;
        if (isMissing) await node.pull();
      }
      await this.#world.finish();
    }
  }

  get #excuses(): ReadonlySet<string> {
    const { lies, refuses } = this.#weather;
    return new Set([...(lies ? ['CONTENT_MISMATCH'] : []), ...(refuses ? ['UPSTREAM_DENIED'] : [])]);
  }
}

it(`${histories} random histories of nodes from seed ${firstSeed} on: whoever lives has every byte`, async () => {
  for (let seed = firstSeed; seed < firstSeed + histories; seed++) {
    await new History(seed).run().catch((error: unknown) => {
      throw new Error(`SEED=${seed} HISTORIES=1`, { cause: error });
    });
  }
});
