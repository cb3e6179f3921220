import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { digestOf } from '../core/digest.ts';
import { AppError } from '../core/errors.ts';
import { VirtualClock } from '../core/testing/virtual-clock.ts';
import { sampleBytes } from '../store/testing/sample-content.ts';
import { BlobShare, blobShareDefaults } from './blob-share.ts';
import { NodeWorld } from './testing/node-world.ts';

const size = 20_000;
const content = sampleBytes(7, size);

function behaves(behaviour: string, body: (world: NodeWorld) => Promise<void>): void {
  it(behaviour, async () => {
    await using world = new NodeWorld(content);
    await body(world);
  });
}

async function pullOnAll(world: NodeWorld, names: readonly string[]) {
  const nodes = names.map((name) => world.add(name));
  // One after the other: the first one leads.
  for (const node of nodes) {
    await node.pull();
    await world.settle();
  }
  return nodes;
}

describe('a blob that several nodes want', () => {
  behaves('comes from upstream once, and from each to the next while it arrives', async (world) => {
    const nodes = await pullOnAll(world, ['a', 'b', 'c', 'd']);
    assert.deepEqual(
      nodes.map(({ shares }) => shares[0]?.state),
      ['leads', 'follows', 'follows', 'follows'],
    );
    await world.upstream(5000);
    for (const { readers } of nodes) assert.equal(readers[0]?.position, 5000);
    await world.finish();
    world.assertAllHave();
    assert.equal(world.upstreamBytes, size);
    assert.ok(nodes.every(({ mostChildren }) => mostChildren <= 1));
  });

  behaves('is had from those that have it, without upstream', async (world) => {
    await pullOnAll(world, ['a']);
    await world.finish();
    const later = world.add('b');
    await later.pull();
    await world.settle();
    world.assertAllHave();
    assert.equal(later.upstream.attempts.length, 0);
  });

  behaves('is had from one that is so new that no beat has told of it', async (world) => {
    const [first] = await pullOnAll(world, ['a']);
    await world.finish();
    assert.ok(first);
    first.isNew = true;
    const later = world.add('b');
    await later.pull();
    await world.settle();
    world.assertAllHave();
    assert.equal(later.upstream.attempts.length, 0);
  });

  behaves('is not waited for from one that had it and was never heard of again', async (world) => {
    const [first] = await pullOnAll(world, ['a']);
    await world.finish();
    assert.ok(first);
    first.isNew = true;
    await first.kill();
    const later = world.add('b');
    await later.pull();
    await world.settle();
    assert.equal(later.shares[0]?.state, 'leads');
    await world.finish();
  });

  behaves('goes on where the leader died, at the first missing byte', async (world) => {
    const [leader] = await pullOnAll(world, ['a', 'b', 'c', 'd']);
    await world.upstream(7000);
    await leader?.kill();
    await world.finish();
    world.assertAllHave();
    assert.equal(world.upstreamBytes, size);
  });

  behaves('goes on where a node in the middle died', async (world) => {
    const [, middle] = await pullOnAll(world, ['a', 'b', 'c', 'd']);
    await world.upstream(7000);
    await middle?.kill();
    await world.finish();
    world.assertAllHave();
    assert.equal(world.upstreamBytes, size);
  });

  behaves('is pulled by each alone where there is no engine', async (world) => {
    const nodes = ['a', 'b'].map((name) => world.add(name));
    for (const node of nodes) {
      node.coordinator.isCut = true;
      await node.pull();
    }
    await world.finish();
    world.assertAllHave();
    assert.equal(world.upstreamBytes, 2 * size);
  });

  behaves('goes on as it is when the engine is lost in mid-pull, or forgets all', async (world) => {
    const nodes = await pullOnAll(world, ['a', 'b', 'c']);
    await world.upstream(5000);
    for (const node of nodes) node.coordinator.isCut = true;
    await world.pass(3000);
    await world.upstream(5000);
    for (const node of nodes) node.coordinator.isCut = false;
    world.engine.forgetAll();
    await world.pass(3000);
    const late = world.add('late');
    await late.pull();
    await world.finish();
    world.assertAllHave();
    assert.equal(world.upstreamBytes, size);
  });

  behaves('is pulled beside a leader that cannot be reached, after a moment', async (world) => {
    const leader = world.add('a');
    const apart = world.add('b');
    apart.unreachable.add(leader.facts.id);
    await leader.pull();
    await world.settle();
    await apart.pull();
    await world.pass(30_000);
    assert.equal(apart.shares[0]?.state, 'leads');
    await world.finish();
    world.assertAllHave();
  });

  behaves('is not waited for for ever where the leader stands still by itself', async (world) => {
    const [leader, ...others] = await pullOnAll(world, ['a', 'b', 'c']);
    await world.upstream(5000);
    assert.ok(leader);
    const { promise: never, resolve } = Promise.withResolvers<void>();
    // As a disk does that does not answer any more: the leader lives, and keeps its lease.
    leader.store.beforeWrite = () => never;
    try {
      await world.upstream(5000);
      await world.pass(55_000);
      const asking = others.filter(({ upstream }) => upstream.attempts.length > 0);
      assert.equal(asking.length, 1, world.shown());
      for (let round = 0; round < 10; round++) await world.upstream(size);
      await world.pass(3000);
      for (const { readers } of others) assert.equal(readers[0]?.outcome, 'complete', world.shown());
    } finally {
      leader.store.beforeWrite = undefined;
      resolve();
    }
    await world.finish();
    world.assertAllHave();
  });

  behaves('is pulled by one more for all who cannot reach the leader', async (world) => {
    const leader = world.add('a');
    await leader.pull();
    await world.settle();
    const others = Array.from({ length: 12 }, (_, index) => world.add(`b${index}`));
    for (const other of others) {
      other.unreachable.add(leader.facts.id);
      await other.pull();
    }
    await world.pass(35_000);
    assert.deepEqual(
      others.map(({ shares }) => shares[0]?.state).filter((state) => state !== 'follows' && state !== 'waits'),
      ['leads'],
      world.shown(),
    );
    await world.finish();
    world.assertAllHave();
    assert.ok(world.upstreamBytes <= 2 * size);
  });

  behaves(
    'goes on where the leader is cut off from those who follow it, with one more pull for all of them',
    async (world) => {
      const [leader, ...others] = await pullOnAll(world, ['a', 'b', 'c', 'd']);
      assert.ok(leader);
      await world.upstream(5000);
      for (const node of others) node.unreachable.add(leader.facts.id);
      await world.finish();
      world.assertAllHave();
      assert.ok(world.upstreamBytes <= size + (size - 5000), `${world.upstreamBytes}`);
    },
  );

  behaves('goes on where the leader is cut off from upstream: it follows one that is not', async (world) => {
    const [leader, ...others] = await pullOnAll(world, ['a', 'b', 'c', 'd']);
    assert.ok(leader);
    await world.upstream(5000);
    leader.hasUpstream = false;
    await world.finish();
    world.assertAllHave();
    assert.equal(world.upstreamBytes, size);
    assert.ok(others.some(({ upstream }) => upstream.attempts.length > 0));
  });

  behaves('goes on as it was where upstream was away for all of them for a while', async (world) => {
    const nodes = await pullOnAll(world, ['a', 'b', 'c']);
    await world.upstream(5000);
    for (const node of nodes) node.hasUpstream = false;
    await world.pass(40_000);
    for (const node of nodes) node.hasUpstream = true;
    await world.finish();
    world.assertAllHave();
    assert.ok(world.upstreamBytes <= nodes.length * size);
  });

  behaves('is read on from a node that the others do not hear of, as long as it brings something', async (world) => {
    const [leader, follower] = await pullOnAll(world, ['a', 'b']);
    assert.ok(leader && follower);
    leader.isHeard = false;
    for (let offset = 0; offset < size; offset += 1000) {
      await world.upstream(1000);
      await world.pass(1500);
    }
    world.assertAllHave();
    assert.equal(world.upstreamBytes, size);
    assert.equal(follower.upstream.attempts.length, 0);
  });

  behaves('is not asked for, one after the other, of all the nodes that there ever were', async (world) => {
    const gone = Array.from({ length: 30 }, (_, index) => world.add(`a${String(index).padStart(2, '0')}`));
    const last = world.add('z');
    for (const node of [...gone, last]) await node.pull();
    await world.finish();
    for (const node of gone) await node.kill();
    const late = world.add('late');
    // Nobody says that they are gone: their addresses lead nowhere.
    for (const { facts } of gone) late.unreachable.add(facts.id);
    await late.pull();
    await world.settle();
    assert.equal(late.readers[0]?.outcome, 'complete', world.shown());
    assert.equal(late.upstream.attempts.length, 0);
  });

  behaves('is had from another node where one sends what is wrong', async (world) => {
    const [, liar] = await pullOnAll(world, ['a', 'b', 'c']);
    assert.ok(liar);
    liar.isLying = true;
    await world.finish();
    const [first, , last] = world.nodes;
    assert.deepEqual([first?.readers[0]?.outcome, liar.readers[0]?.outcome], ['complete', 'complete']);
    // Who has read of the wrong bytes is cut (P4); whoever comes again gets the right ones.
    assert.ok(last?.readers[0]?.outcome instanceof AppError);
    const again = await last.pull();
    await world.finish();
    assert.equal(again.outcome, 'complete');
    assert.equal(world.upstreamBytes, size);
  });

  behaves('is had by the next one where the leader is refused for good', async (world) => {
    const [leader, next] = await pullOnAll(world, ['a', 'b']);
    leader?.upstream.asking[0]?.refuse(new AppError('UPSTREAM_DENIED', 'not for you'));
    await world.settle();
    assert.ok(leader?.readers[0]?.outcome instanceof AppError);
    await world.finish();
    assert.equal(next?.readers[0]?.outcome, 'complete');
  });

  it('is forgotten with its fill, also where that ended before it began', () => {
    let ended = 0;
    const coordinator = {
      visit: () => Promise.reject(new Error('not asked')),
      leave: () => Promise.reject(new Error('nobody was told that it began')),
      lost: () => Promise.resolve(),
    };
    const deps = {
      clock: new VirtualClock(),
      coordinator,
      peer: () => assert.fail(),
      isThere: () => undefined,
      members: () => [],
      hear: () => assert.fail(),
    };
    const share = new BlobShare({ ...deps, ended: () => ended++ }, blobShareDefaults, digestOf(content));
    share.end(false);
    share.end(false);
    assert.equal(ended, 1);
  });

  behaves('is refused at once where it goes on with one that is refused', async (world) => {
    const [leader, next] = await pullOnAll(world, ['a', 'b']);
    await world.upstream(5000);
    await leader?.kill();
    await world.pass(3000);
    next?.upstream.asking[0]?.refuse(new AppError('UPSTREAM_DENIED', 'not for you'));
    await world.settle();
    const outcome = next?.readers[0]?.outcome;
    assert.ok(outcome instanceof AppError && outcome.code === 'UPSTREAM_DENIED', world.shown());
  });
});
