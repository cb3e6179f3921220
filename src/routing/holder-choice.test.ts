import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { chooseHolder, type HolderAsk, type HolderFacts } from './holder-choice.ts';

const ask: HolderAsk = { node: 'me', zone: undefined, prefixBytes: 0, avoid: [], maxChildren: 2 };

function holder(node: string, facts: Partial<HolderFacts> = {}): HolderFacts {
  return { node, zone: undefined, prefixBytes: 0, isComplete: false, parents: [], ...facts };
}

describe('whom to read a blob from', () => {
  const chosen = (holders: readonly HolderFacts[], more: Partial<HolderAsk> = {}) =>
    chooseHolder({ ...ask, ...more }, holders)?.node;

  it('nobody where there is nobody else', () => {
    assert.equal(chosen([]), undefined);
    assert.equal(chosen([holder('me')]), undefined);
  });

  it('the own zone comes before all else', () => {
    const near = holder('near', { zone: 'west', parents: ['far'] });
    assert.equal(chosen([holder('far', { isComplete: true }), near], { zone: 'west' }), 'near');
  });

  it('who is not behind comes before who has few children', () => {
    const holders = [holder('ahead', { prefixBytes: 50 }), holder('child', { parents: ['ahead'] }), holder('behind')];
    assert.equal(chosen(holders, { prefixBytes: 10 }), 'ahead');
  });

  it('only who has more, where only that is of use', () => {
    const holders = [holder('one', { prefixBytes: 10 }), holder('two', { prefixBytes: 11 })];
    assert.equal(chosen(holders, { prefixBytes: 10 }), 'one');
    assert.equal(chosen(holders, { prefixBytes: 10, onlyAhead: true }), 'two');
    assert.equal(chosen(holders, { prefixBytes: 11, onlyAhead: true }), undefined);
    assert.equal(chosen([holder('all', { isComplete: true })], { prefixBytes: 11, onlyAhead: true }), 'all');
  });

  it('chains grow before anybody has a second child, up to a length', () => {
    const holders = [holder('n000')];
    for (let count = 1; count < 80; count++) {
      const parent = chosen(holders);
      assert.ok(parent);
      holders.push(holder(`n${String(count).padStart(3, '0')}`, { parents: [parent] }));
    }
    const children = new Map<string, number>();
    for (const { parents } of holders)
      for (const parent of parents) children.set(parent, (children.get(parent) ?? 0) + 1);
    assert.equal(holders[31]?.parents[0], 'n030');
    assert.ok(Math.max(...children.values()) <= 2);
    assert.ok([...children.values()].filter((count) => count === 2).length <= 3);
  });

  it('those who have all of it share the children', () => {
    const holders = [
      holder('a', { isComplete: true }),
      holder('b', { isComplete: true }),
      holder('c', { parents: ['a'] }),
    ];
    assert.equal(chosen(holders, { avoid: ['c'] }), 'b');
  });

  it('who has as many children as allowed gets no more, and its own place counts for none', () => {
    const full = [holder('a'), holder('b', { parents: ['a'] }), holder('c', { parents: ['a'] })];
    assert.equal(chosen(full, { avoid: ['b', 'c'] }), undefined);
    assert.equal(chosen([...full.slice(0, 2), holder('me', { parents: ['a'] })], { avoid: ['b'] }), 'a');
  });

  it('nobody who reads from this node, directly or by others, unless it has all of it', () => {
    const below = [holder('me'), holder('b', { parents: ['me'] }), holder('c', { parents: ['x', 'b'] }), holder('x')];
    assert.equal(chosen(below), 'x');
    assert.equal(chosen(below, { avoid: ['x'] }), undefined);
    const done = below.map((one) => (one.node === 'c' ? { ...one, isComplete: true } : one));
    assert.equal(chosen(done, { avoid: ['x'] }), 'c');
  });

  it('somebody in a ring, or who reads from somebody unknown, for what it has already and nothing else', () => {
    const ring = [holder('a', { parents: ['b'], prefixBytes: 5 }), holder('b', { parents: ['a'], prefixBytes: 5 })];
    const lost = holder('c', { parents: ['nobody knows'], prefixBytes: 5 });
    for (const holders of [ring, [lost]]) {
      assert.equal(chosen(holders, { prefixBytes: 5 }), undefined);
      assert.ok(chosen(holders, { prefixBytes: 4 }));
    }
    assert.equal(chosen([...ring, lost, holder('d', { prefixBytes: 5, parents: ['e'] }), holder('e')]), 'd');
  });

  it('of those who have all of it one that is said to be there, where that is said', () => {
    const holders = [holder('a', { isComplete: true }), holder('b', { isComplete: true }), holder('c')];
    assert.equal(chosen(holders, { among: ['b'] }), 'b');
    assert.equal(chosen(holders, { among: [] }), 'c');
  });

  it('of thousands in no more time than it takes to look at each', () => {
    const holders = Array.from({ length: 20_000 }, (_, index) =>
      holder(`n${index}`, { parents: index === 0 ? [] : [`n${index - 1}`] }),
    );
    assert.equal(chosen(holders), 'n0');
  });
});
