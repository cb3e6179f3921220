import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Digest } from '../../core/digest.ts';
import { sampleDigest } from '../testing/sample-content.ts';
import { evictionGoals, planUnit, type References } from './eviction-policy.ts';

describe('how far to evict', () => {
  it('nothing is evicted while nothing is missing', () => {
    assert.equal(evictionGoals(900, { cacheBytes: 0, diskBytes: -5 }, 1000), undefined);
  });

  it('beyond the limit, eviction goes on to 90% of it', () => {
    assert.deepEqual(evictionGoals(1001, { cacheBytes: 1, diskBytes: 0 }, 1000), {
      neededBytes: 1000,
      wantedBytes: 900,
    });
    assert.deepEqual(evictionGoals(950, { cacheBytes: 10, diskBytes: 0 }, 1000), {
      neededBytes: 940,
      wantedBytes: 900,
    });
  });

  it('a large need goes further', () => {
    assert.deepEqual(evictionGoals(950, { cacheBytes: 350, diskBytes: 0 }, 1000), {
      neededBytes: 600,
      wantedBytes: 600,
    });
  });

  it('for the disk it goes as far as it must, and no further', () => {
    const goals = { neededBytes: 920, wantedBytes: 920 };
    assert.deepEqual(evictionGoals(950, { cacheBytes: -50, diskBytes: 30 }, 1000), goals);
    const [neededBytes, wantedBytes] = [0, 0];
    assert.deepEqual(evictionGoals(20, { cacheBytes: -980, diskBytes: 50 }, 1000), { neededBytes, wantedBytes });
  });
});

describe('what leaves with a root', () => {
  const everything = () => true;

  function references(edges: Record<string, string[]>): References {
    const children = new Map(Object.entries(edges).map(([from, to]) => [sampleDigest(from), to.map(sampleDigest)]));
    return {
      childrenOf: (digest) => children.get(digest) ?? [],
      referrersOf: (digest, atMost) =>
        Math.min(atMost, [...children.values()].filter((list) => list.includes(digest)).length),
    };
  }

  function plan(edges: Record<string, string[]>, root: string, mayLeave: (digest: Digest) => boolean = everything) {
    const { leaves, stays } = planUnit(sampleDigest(root), references(edges), mayLeave);
    return { leaves, stays };
  }

  const digests = (...names: string[]) => names.map(sampleDigest);

  it('a blob leaves alone', () => {
    assert.deepEqual(plan({}, 'blob'), { leaves: digests('blob'), stays: [] });
  });

  it('an index leaves with its manifests and all that only they reference', () => {
    const edges = { index: ['amd', 'arm'], amd: ['a', 'shared'], arm: ['b', 'shared'] };
    assert.deepEqual(plan(edges, 'index').leaves, digests('index', 'amd', 'arm', 'a', 'b', 'shared'));
  });

  it('what another manifest references stays', () => {
    const edges = { one: ['a', 'base'], two: ['b', 'base'] };
    assert.deepEqual(plan(edges, 'one').leaves, digests('one', 'a'));
  });

  it('a manifest that may not leave stays with all that it references', () => {
    const edges = { index: ['amd', 'arm'], amd: ['a'], arm: ['b'] };
    const inUse = sampleDigest('arm');
    assert.deepEqual(
      plan(edges, 'index', (digest) => digest !== inUse),
      { leaves: digests('index', 'amd', 'a'), stays: [inUse] },
    );
  });

  it('what both a staying and a leaving child reference stays', () => {
    const edges = { index: ['amd', 'arm'], amd: ['shared'], arm: ['shared'] };
    const inUse = sampleDigest('arm');
    assert.deepEqual(plan(edges, 'index', (digest) => digest !== inUse).leaves, digests('index', 'amd'));
  });
});
