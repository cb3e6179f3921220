import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Digest, digestOf } from '../core/digest.ts';
import { VirtualClock } from '../core/testing/virtual-clock.ts';
import { coordinatorDefaults, type SharedPause } from './coordinator.ts';
import { Membership, membershipDefaults } from './membership.ts';
import { MemoryCoordinator } from './memory/memory-coordinator.ts';
import { MemoryEngine } from './memory/memory-engine.ts';
import { testNode } from './testing/coordinator-suite.ts';

const turn = () => new Promise((resolve) => setImmediate(resolve));

class Setup implements AsyncDisposable {
  readonly clock = new VirtualClock();
  readonly engine = new MemoryEngine(this.clock, coordinatorDefaults);
  readonly pauses: SharedPause[] = [];
  readonly announced: Digest[][] = [];
  readonly nodes: Membership[] = [];
  readonly coordinators: MemoryCoordinator[] = [];

  async join(name: string): Promise<Membership> {
    const coordinator = new MemoryCoordinator(this.engine, testNode(name));
    this.coordinators.push(coordinator);
    const deps = {
      clock: this.clock,
      coordinator: {
        beat: coordinator.beat.bind(coordinator),
        part: () => coordinator.part(),
        announce: async (contents: readonly { digest: Digest; sizeBytes: number }[]) => {
          this.announced.push(contents.map(({ digest }) => digest));
          await coordinator.announce(contents);
        },
      },
      load: () => ({ children: 0, fills: [] }),
      onPauses: (pauses: readonly SharedPause[]) => this.pauses.push(...pauses),
    };
    const node = new Membership(deps, { ...membershipDefaults, mostAnnounced: 2 });
    this.nodes.push(node);
    await node.start();
    return node;
  }

  async pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= 500) {
      this.clock.advance(Math.min(500, left));
      await turn();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const node of this.nodes) await node[Symbol.asyncDispose]();
    assert.equal(this.clock.pending, 0, 'timers are left');
  }
}

const names = (node: Membership) => node.members.map((member) => member.node.name);

describe('nodes that share an engine', () => {
  it('hear at once of one that is new, where somebody wants to know, and not again and again', async () => {
    await using setup = new Setup();
    const first = await setup.join('a');
    await setup.pass(300);
    await setup.join('b');
    assert.deepEqual(names(first), ['a']);
    const heard = Promise.all([first.hear(), first.hear()]);
    await setup.pass(1);
    await heard;
    assert.deepEqual(names(first), ['a', 'b']);
    await setup.join('c');
    const again = first.hear();
    await setup.pass(50);
    assert.deepEqual(names(first), ['a', 'b'], 'it was just heard');
    await setup.pass(50);
    await again;
    assert.deepEqual(names(first), ['a', 'b', 'c']);
  });

  it('keep nobody waiting who wants to hear of others while they stop', async () => {
    await using setup = new Setup();
    const first = await setup.join('a');
    const heard = first.hear();
    await first[Symbol.asyncDispose]();
    await heard;
    await first.hear();
  });

  it('hear of each other, and of who left', async () => {
    await using setup = new Setup();
    const a = await setup.join('a');
    const b = await setup.join('b');
    assert.equal(a.isThere('b#1'), undefined);
    await setup.pass(1000);
    assert.deepEqual(
      [names(a), names(b)],
      [
        ['a', 'b'],
        ['a', 'b'],
      ],
    );
    assert.equal(a.isThere('b#1'), true);
    await b[Symbol.asyncDispose]();
    await setup.pass(1000);
    assert.deepEqual([names(a), a.isThere('b#1'), a.isThere('never seen')], [['a'], false, undefined]);
  });

  it('know nothing of each other while the engine does not answer', async () => {
    await using setup = new Setup();
    const a = await setup.join('a');
    await setup.join('b');
    await setup.pass(1000);
    for (const coordinator of setup.coordinators) coordinator.isCut = true;
    await setup.pass(1000);
    assert.deepEqual([names(a), a.isThere('b#1')], [[], undefined]);
    for (const coordinator of setup.coordinators) coordinator.isCut = false;
    await setup.pass(1000);
    assert.deepEqual(names(a), ['a', 'b']);
  });

  it('hear of rests that endpoints asked for', async () => {
    await using setup = new Setup();
    await setup.join('a');
    const pause = { upstream: 'u', endpoint: 'e', what: 'blobs', status: 429, leftMs: 5000 };
    await setup.coordinators[0]?.pause(pause);
    await setup.pass(1000);
    assert.deepEqual(setup.pauses, [{ ...pause, leftMs: 4000 }]);
  });

  it('are told of what is used, a few at a time, once, and again when the engine may have forgotten', async () => {
    await using setup = new Setup();
    const a = await setup.join('a');
    const [one, two, three] = ['one', 'two', 'three'].map((text) => digestOf(Buffer.from(text)));
    assert.ok(one && two && three);
    for (const digest of [one, two, three, one]) a.used(digest, 5);
    await setup.pass(2000);
    assert.deepEqual(setup.announced, [[one, two], [three]]);
    a.used(one, 5);
    await setup.pass(1000);
    assert.equal(setup.announced.length, 2);
    for (const coordinator of setup.coordinators) coordinator.isCut = true;
    await setup.pass(1000);
    for (const coordinator of setup.coordinators) coordinator.isCut = false;
    await setup.pass(1000);
    a.used(one, 5);
    await setup.pass(1000);
    assert.deepEqual(setup.announced.at(-1), [one]);
    a.used(two, 5);
    await setup.pass(1000);
    setup.clock.advance(membershipDefaults.announceAgainMs + 1);
    a.used(two, 5);
    await setup.pass(1000);
    assert.deepEqual(setup.announced.slice(3), [[two], [two]]);
  });
});
