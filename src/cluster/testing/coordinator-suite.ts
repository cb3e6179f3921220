import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { digestOf } from '../../core/digest.ts';
import type { Coordinator, CoordinatorOptions, NodeFacts, Standing, Visit } from '../coordinator.ts';

export interface CoordinatorsUnderTest extends AsyncDisposable {
  /** One more node's, on the same engine. */
  join(node: NodeFacts): Coordinator;
  /** Lets so much time pass for the engine. */
  pass(ms: number): Promise<void>;
}

/** Times that an engine with a clock of its own can be waited for. */
export const suiteOptions: CoordinatorOptions = { leaseMs: 400, staleMs: 400, holderMs: 1200, maxChildren: 2 };
const most = 450;

export function testNode(name: string, zone?: string): NodeFacts {
  return { id: `${name}#1`, name, zone, address: `http://${name}.example:5002`, protocol: 1, version: '0.0.0' };
}

const fresh: Visit = {
  prefixBytes: 0,
  sizeBytes: 1000,
  parents: [],
  token: undefined,
  seeks: true,
  avoid: [],
  gone: [],
};

function nodeFollowed(standing: Standing): string {
  assert.equal(standing.kind, 'follows', JSON.stringify(standing));
  return standing.holder.node;
}

function tokenOf(standing: Standing): string {
  assert.equal(standing.kind, 'leads', JSON.stringify(standing));
  return standing.token;
}

const idle = { children: 0, fills: [] };
const digest = digestOf(Buffer.from('a blob'));

/** What every coordinator does. */
export function coordinatorSuite(
  name: string,
  factory: () => Promise<CoordinatorsUnderTest>,
  options: { readonly skip?: string | false } = {},
): void {
  const behaves = (behaviour: string, body: (under: CoordinatorsUnderTest) => Promise<void>) =>
    it(behaviour, { skip: options.skip ?? false }, async () => {
      await using under = await factory();
      await body(under);
    });
  const three = (under: CoordinatorsUnderTest) => {
    const [a, b, c] = [testNode('a'), testNode('b'), testNode('c')];
    return { a, b, c, ofA: under.join(a), ofB: under.join(b), ofC: under.join(c) };
  };

  describe(`${name}: members`, () => {
    behaves('each learns of all, with what they do; who parts or falls silent is gone', async (under) => {
      const { a, b, ofA, ofB } = three(under);
      const fill = { digest, sizeBytes: undefined, filledBytes: 5, leads: true, parents: [] };
      await ofA.beat({ children: 3, fills: [fill] });
      const { members } = await ofB.beat(idle);
      const plain = JSON.stringify(members.map(({ node }) => node));
      assert.deepEqual(JSON.parse(plain), JSON.parse(JSON.stringify([a, b])));
      assert.equal(members[0]?.load.children, 3);
      assert.equal(members[0]?.load.fills[0]?.filledBytes, 5);
      assert.ok((members[0]?.silentMs ?? -1) >= 0);
      await ofA.part();
      assert.deepEqual(
        (await ofB.beat(idle)).members.map(({ node }) => node.id),
        [b.id],
      );
      await ofA.beat(idle);
      await under.pass(most);
      assert.deepEqual(
        (await ofB.beat(idle)).members.map(({ node }) => node.id),
        [b.id],
      );
    });

    behaves(
      'a rest that an endpoint asked for is told to all until it is over; a longer one takes its place',
      async (under) => {
        const { ofA, ofB } = three(under);
        const pause = { upstream: 'docker.io', endpoint: 'https://hub.example', what: 'manifests', status: 429 };
        await ofA.pause({ ...pause, leftMs: 300 });
        await ofA.pause({ ...pause, leftMs: 100 });
        await ofA.pause({ ...pause, what: 'blobs', leftMs: 100 });
        const told = (await ofB.beat(idle)).pauses.find(({ what }) => what === 'manifests');
        assert.ok(told && told.leftMs > 100 && told.leftMs <= 300, JSON.stringify(told));
        assert.deepEqual({ ...told, leftMs: 0 }, { ...pause, leftMs: 0 });
        await under.pass(350);
        assert.deepEqual((await ofB.beat(idle)).pauses, []);
      },
    );
  });

  describe(`${name}: who brings a blob`, () => {
    behaves('the first one leads, the next ones follow, in a chain', async (under) => {
      const { a, b, ofA, ofB, ofC } = three(under);
      assert.match(tokenOf(await ofA.visit(digest, fresh)), /^a#1 /);
      const standing = await ofB.visit(digest, fresh);
      assert.deepEqual(standing, {
        kind: 'follows',
        holder: {
          ...{ node: a.id, address: a.address, zone: undefined, protocol: 1 },
          ...{ prefixBytes: 0, sizeBytes: 1000, isComplete: false },
        },
      });
      assert.equal(nodeFollowed(await ofC.visit(digest, fresh)), b.id);
    });

    behaves('who leads goes on leading by its token, and when its answer was lost', async (under) => {
      const { ofA, ofB } = three(under);
      const token = tokenOf(await ofA.visit(digest, fresh));
      assert.equal(tokenOf(await ofA.visit(digest, fresh)), token);
      for (let time = 0; time < 3; time++) {
        await under.pass(200);
        assert.equal(tokenOf(await ofA.visit(digest, { ...fresh, seeks: false, token, prefixBytes: 10 })), token);
      }
      assert.equal(nodeFollowed(await ofB.visit(digest, fresh)), 'a#1');
    });

    behaves('who only says how far it is gets no lease, and is found by others', async (under) => {
      const { ofA, ofB } = three(under);
      assert.deepEqual(await ofA.visit(digest, { ...fresh, seeks: false, prefixBytes: 500 }), { kind: 'noted' });
      const standing = await ofB.visit(digest, fresh);
      assert.ok(standing.kind === 'follows' && standing.holder.prefixBytes === 500);
    });

    behaves('a lease that is not renewed is over, and so is what its holder had', async (under) => {
      const { ofA, ofB } = three(under);
      const token = tokenOf(await ofA.visit(digest, fresh));
      await under.pass(most);
      const next = tokenOf(await ofB.visit(digest, fresh));
      assert.deepEqual(await ofA.visit(digest, { ...fresh, seeks: false, token }), { kind: 'noted' });
      assert.equal(tokenOf(await ofB.visit(digest, { ...fresh, seeks: false, token: next })), next);
    });

    behaves('a lease that was lost and is free is had again by its token', async (under) => {
      const { ofA } = three(under);
      const token = tokenOf(await ofA.visit(digest, fresh));
      await under.pass(most);
      assert.equal(tokenOf(await ofA.visit(digest, { ...fresh, seeks: false, token })), token);
    });

    behaves(
      'of a leader that cannot be reached nothing is had until its lease is over; of one that is gone at once',
      async (under) => {
        const { a, ofA, ofB, ofC } = three(under);
        await ofA.visit(digest, fresh);
        const waits = await ofB.visit(digest, { ...fresh, avoid: [a.id] });
        assert.deepEqual(waits, { kind: 'waits', leader: a.id, isAhead: false });
        tokenOf(await ofC.visit(digest, { ...fresh, avoid: [a.id, 'b#1'], gone: [a.id] }));
      },
    );

    behaves(
      'who is ahead of all others leads where nobody does, and follows even those behind where somebody does',
      async (under) => {
        const { a, ofA, ofB, ofC } = three(under);
        await ofA.visit(digest, { ...fresh, seeks: false, prefixBytes: 100 });
        const ahead = { ...fresh, prefixBytes: 300 };
        const token = tokenOf(await ofB.visit(digest, ahead));
        assert.equal(nodeFollowed(await ofC.visit(digest, { ...ahead, avoid: ['b#1'] })), a.id);
        await ofB.leave(digest, { token, isComplete: false });
      },
    );

    behaves('whose parent stood still follows only who is ahead, and waits or leads where nobody is', async (under) => {
      const { a, ofA, ofB, ofC } = three(under);
      const token = tokenOf(await ofA.visit(digest, { ...fresh, prefixBytes: 100 }));
      const asks = { ...fresh, onlyAhead: true, prefixBytes: 100 };
      assert.deepEqual(await ofB.visit(digest, asks), { kind: 'waits', leader: a.id, isAhead: false });
      await ofA.visit(digest, { ...fresh, seeks: false, token, prefixBytes: 101 });
      assert.deepEqual(await ofB.visit(digest, { ...asks, avoid: [a.id] }), {
        ...{ kind: 'waits', leader: a.id, isAhead: true },
      });
      assert.equal(nodeFollowed(await ofB.visit(digest, asks)), a.id);
      await ofA.leave(digest, { token, isComplete: true });
      assert.equal(nodeFollowed(await ofC.visit(digest, { ...asks, prefixBytes: 5000 })), a.id);
      tokenOf(await ofC.visit(digest, { ...asks, prefixBytes: 5000, avoid: [a.id] }));
    });

    behaves('who yields leads no more and is followed by nobody; it follows whoever gets ahead', async (under) => {
      const { b, ofA, ofB, ofC } = three(under);
      tokenOf(await ofA.visit(digest, { ...fresh, prefixBytes: 100 }));
      const yielding = { ...fresh, prefixBytes: 100, onlyAhead: true, yields: true };
      for (let time = 0; time < 2; time++) {
        assert.deepEqual(await ofA.visit(digest, yielding), { kind: 'noted' });
      }
      const token = tokenOf(await ofB.visit(digest, { ...fresh, prefixBytes: 50 }));
      const waits = await ofA.visit(digest, yielding);
      assert.deepEqual(waits, { kind: 'waits', leader: b.id, isAhead: false });
      assert.equal(nodeFollowed(await ofC.visit(digest, fresh)), b.id);
      await ofB.visit(digest, { ...fresh, seeks: false, token, prefixBytes: 200 });
      assert.equal(nodeFollowed(await ofA.visit(digest, { ...yielding, avoid: ['c#1'] })), b.id);
    });

    behaves('nobody follows who follows it, at whatever remove', async (under) => {
      const { ofA, ofB, ofC } = three(under);
      await ofA.visit(digest, { ...fresh, seeks: false });
      assert.equal(nodeFollowed(await ofB.visit(digest, fresh)), 'a#1');
      assert.equal(nodeFollowed(await ofC.visit(digest, { ...fresh, avoid: ['a#1'] })), 'b#1');
      tokenOf(await ofA.visit(digest, fresh));
    });

    behaves(
      'nobody follows who reads from somebody that nobody hears of, but for what it has already',
      async (under) => {
        const { ofA, ofB, ofC } = three(under);
        await ofC.visit(digest, { ...fresh, seeks: false, parents: ['unknown#1'], prefixBytes: 300 });
        assert.equal(nodeFollowed(await ofB.visit(digest, { ...fresh, prefixBytes: 100, parents: [] })), 'c#1');
        await ofB.leave(digest, { token: undefined, isComplete: false });
        const token = tokenOf(await ofA.visit(digest, { ...fresh, prefixBytes: 300 }));
        await ofA.leave(digest, { token, isComplete: false });
      },
    );

    behaves(
      'of those who have all of it only one is followed that is heard of, where that is asked for',
      async (under) => {
        const { a, ofA, ofB, ofC } = three(under);
        for (const holding of [ofA, ofB]) await holding.announce([{ digest, sizeBytes: 1000 }]);
        assert.equal(nodeFollowed(await ofC.visit(digest, { ...fresh, among: ['b#1', 'c#1'] })), 'b#1');
        assert.equal(nodeFollowed(await ofC.visit(digest, { ...fresh, avoid: ['b#1'] })), a.id);
        tokenOf(await ofC.visit(digest, { ...fresh, among: [] }));
      },
    );

    behaves('a node has no more children than allowed', async (under) => {
      const { ofA } = three(under);
      await ofA.visit(digest, fresh);
      const others = ['c1', 'c2', 'c3', 'c4', 'c5', 'c6', 'c7'].map((child) => under.join(testNode(child)));
      const children = new Map<string, number>();
      for (const other of others) {
        // Chains would hide it.
        const parent = nodeFollowed(
          await other.visit(digest, { ...fresh, avoid: ['c1#1', 'c2#1'].slice(0, children.size) }),
        );
        children.set(parent, (children.get(parent) ?? 0) + 1);
      }
      assert.ok(Math.max(...children.values()) <= suiteOptions.maxChildren, JSON.stringify([...children]));
    });

    behaves('a zone is crossed once', async (under) => {
      const lead = under.join(testNode('lead', 'east'));
      await lead.visit(digest, fresh);
      const west = ['w1', 'w2', 'w3'].map((member) => under.join(testNode(member, 'west')));
      const parents: string[] = [];
      for (const member of west) parents.push(nodeFollowed(await member.visit(digest, fresh)));
      assert.equal(parents[0], 'lead#1');
      assert.ok(
        parents.slice(1).every((parent) => parent.startsWith('w')),
        parents.join(),
      );
    });

    behaves('a fill that ended with the content makes a holder, one that ended without makes none', async (under) => {
      const { a, ofA, ofB, ofC } = three(under);
      const token = tokenOf(await ofA.visit(digest, fresh));
      await ofA.leave(digest, { token, isComplete: true });
      const standing = await ofB.visit(digest, fresh);
      assert.ok(standing.kind === 'follows' && standing.holder.isComplete && standing.holder.node === a.id);
      await ofB.leave(digest, { token: undefined, isComplete: false });
      assert.equal(nodeFollowed(await ofC.visit(digest, fresh)), a.id);
      await under.pass(most);
      assert.equal(nodeFollowed(await ofC.visit(digest, fresh)), a.id);
    });

    behaves('what is announced is found, until it is lost or its time is up', async (under) => {
      const { b, ofA, ofB, ofC } = three(under);
      await ofA.announce([{ digest, sizeBytes: 1000 }]);
      await ofB.announce([{ digest, sizeBytes: 1000 }]);
      const holder = nodeFollowed(await ofC.visit(digest, fresh));
      assert.equal(holder, 'a#1');
      await ofC.lost(digest, holder);
      const next = await ofC.visit(digest, { ...fresh, parents: [] });
      assert.ok(next.kind === 'follows' && next.holder.node === b.id && next.holder.sizeBytes === 1000);
      await under.pass(suiteOptions.holderMs + 50);
      tokenOf(await ofC.visit(digest, fresh));
    });

    behaves('another digest is another matter', async (under) => {
      const { ofA, ofB } = three(under);
      tokenOf(await ofA.visit(digest, fresh));
      tokenOf(await ofB.visit(digestOf(Buffer.from('another')), fresh));
    });
  });

  describe(`${name}: what one asks for all`, () => {
    behaves('one asks, the others hear what it was told, and how long ago', async (under) => {
      const { ofA, ofB } = three(under);
      const mine = await ofA.claim('tag docker.io library/alpine latest', 1000);
      assert.ok(mine.kind === 'mine');
      const theirs = await ofB.claim('tag docker.io library/alpine latest', 1000);
      assert.ok(theirs.kind === 'theirs' && theirs.leftMs > 0 && theirs.leftMs <= suiteOptions.leaseMs);
      await ofA.settle('tag docker.io library/alpine latest', mine.token, '{"digest":"…"}', 1000);
      await under.pass(50);
      const known = await ofB.claim('tag docker.io library/alpine latest', 1000);
      assert.ok(known.kind === 'known' && known.value === '{"digest":"…"}' && known.ageMs >= 50 && known.ageMs < 400);
    });

    behaves(
      'what is too old for one is asked for anew, and what is older than it was to be kept is gone',
      async (under) => {
        const { ofA, ofB } = three(under);
        const first = await ofA.claim('key', 0);
        assert.ok(first.kind === 'mine');
        await ofA.settle('key', first.token, 'old', 300);
        await under.pass(100);
        assert.equal((await ofB.claim('key', 10_000)).kind, 'known');
        const second = await ofB.claim('key', 50);
        assert.ok(second.kind === 'mine');
        await ofB.drop('key', second.token);
        await under.pass(250);
        assert.equal((await ofA.claim('key', 10_000)).kind, 'mine');
      },
    );

    behaves('a claim that is kept lasts as long as that is said, for its owner alone', async (under) => {
      const { ofA, ofB } = three(under);
      const mine = await ofA.claim('key', 0);
      assert.ok(mine.kind === 'mine');
      for (let time = 0; time < 3; time++) {
        await under.pass(200);
        await ofA.keep('key', mine.token);
        await ofB.keep('key', 'b#1 another');
      }
      assert.equal((await ofB.claim('key', 0)).kind, 'theirs');
      await under.pass(most);
      assert.equal((await ofB.claim('key', 0)).kind, 'mine');
      await ofA.keep('key', mine.token);
    });

    behaves('what counts for no time at all, or for ever, is told as well as it can be', async (under) => {
      const { ofA } = three(under);
      for (const keepMs of [0, 0.5, Number.MAX_SAFE_INTEGER]) {
        const mine = await ofA.claim(`key ${keepMs}`, 0);
        assert.ok(mine.kind === 'mine');
        await ofA.settle(`key ${keepMs}`, mine.token, 'value', keepMs);
        await ofA.pause({ upstream: 'u', endpoint: 'e', what: 'blobs', status: 429, leftMs: keepMs });
      }
      await under.pass(10);
      assert.equal((await ofA.claim('key 0', 1000)).kind, 'mine');
      assert.equal((await ofA.claim(`key ${Number.MAX_SAFE_INTEGER}`, 1000)).kind, 'known');
    });

    behaves('what comes late, when another one has asked since then, is not told', async (under) => {
      const { ofA, ofB, ofC } = three(under);
      const late = await ofA.claim('key', 0);
      assert.ok(late.kind === 'mine');
      await under.pass(most);
      const next = await ofB.claim('key', 0);
      assert.ok(next.kind === 'mine');
      await ofB.settle('key', next.token, 'new', 1000);
      await ofA.settle('key', late.token, 'old', 1000);
      const known = await ofC.claim('key', 1000);
      assert.ok(known.kind === 'known' && known.value === 'new');
    });

    behaves('a claim that is dropped, or not settled in time, is another one to make', async (under) => {
      const { ofA, ofB } = three(under);
      const first = await ofA.claim('key', 0);
      assert.ok(first.kind === 'mine');
      await ofA.drop('key', first.token);
      const second = await ofB.claim('key', 0);
      assert.ok(second.kind === 'mine');
      await ofA.drop('key', first.token);
      assert.equal((await ofA.claim('key', 0)).kind, 'theirs');
      await under.pass(most);
      assert.equal((await ofA.claim('key', 0)).kind, 'mine');
    });
  });
}
