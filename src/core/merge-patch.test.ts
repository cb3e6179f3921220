import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Members, patchBetween, patched } from './merge-patch.ts';

/** The examples of RFC 7396, appendix A. */
const examples: readonly [document: unknown, patch: unknown, result: unknown][] = [
  [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
  [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
  [{ a: 'b' }, { a: null }, {}],
  [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
  [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
  [{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
  [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
  [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
  [
    ['a', 'b'],
    ['c', 'd'],
    ['c', 'd'],
  ],
  [{ a: 'b' }, ['c'], ['c']],
  [{ a: 'foo' }, null, null],
  [{ a: 'foo' }, 'bar', 'bar'],
  [{ e: null }, { a: 1 }, { e: null, a: 1 }],
  [[1, 2], { a: 'b', c: null }, { a: 'b' }],
  [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
];

for (const [document, patch, result] of examples) {
  test(`${JSON.stringify(document)} with ${JSON.stringify(patch)} is ${JSON.stringify(result)}`, () => {
    assert.deepEqual(patched(document, patch), result);
  });
}

describe('what changed', () => {
  test('is as small as a merge patch can be', () => {
    const before = { same: [1, { a: 2 }], gone: 1, left: undefined, part: { a: 1, b: { c: 1, d: 2 } }, list: [1] };
    const after = { same: [1, { a: 2 }], part: { a: 1, b: { c: 1, d: 3 }, gone: undefined }, list: [1, 2], came: 'x' };
    const patch = { gone: null, part: { b: { d: 3 } }, list: [1, 2], came: 'x' };
    assert.deepEqual(patchBetween(before, after), patch);
    assert.equal(patchBetween(before, { ...before }), undefined);
  });

  test('an object that stands in both is not looked into', () => {
    const part = {
      get secret(): number {
        return assert.fail();
      },
    };
    assert.deepEqual(patchBetween({ part, a: 1 }, { part, a: 2 }), { a: 2 });
  });

  test('names that every object has by its nature are names like any other', () => {
    const named = (members: Members): Members => JSON.parse(JSON.stringify({ part: members }));
    const proto: Members = JSON.parse('{ "__proto__": { "a": 1 }, "b": 1 }');
    for (const [before, after] of [
      [{}, { constructor: 1, toString: { a: 1 } }],
      [{ constructor: 1, toString: { a: 1 } }, {}],
      [{ valueOf: { a: 1 } }, { valueOf: { a: 2 } }],
      [{ b: 1 }, proto],
      [proto, { b: 1 }],
      [proto, JSON.parse('{ "__proto__": { "a": 2 }, "b": 1 }')],
    ] satisfies [Members, Members][]) {
      const patch = patchBetween(named(before), named(after));
      const told = JSON.parse(JSON.stringify(patch));
      const result = patched(named(before), told);
      assert.deepEqual(result, named(after));
      assert.equal('a' in {}, false);
    }
  });

  test('a list where an object stood, and the other way round, takes its place', () => {
    assert.deepEqual(patchBetween({ a: { 0: 'x' } }, { a: ['x'] }), { a: ['x'] });
    assert.deepEqual(patchBetween({ a: ['x'] }, { a: { 0: 'x' } }), { a: { 0: 'x' } });
  });

  test('its document becomes the other one by it, whatever they are; what it does not touch stays the same object', () => {
    const seed = Math.floor(Math.random() * 2 ** 31);
    let state = seed;
    const random = (below: number) => {
      state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
      return Math.floor((state / 2 ** 31) * below);
    };
    const value = (depth: number): unknown => {
      const kind = random(depth > 3 ? 3 : 5);
      if (kind === 3) return Array.from({ length: random(3) }, () => value(depth + 1));
      return kind === 4 ? members(depth + 1) : [random(3), 'text', true][kind];
    };
    const members = (depth: number): Members =>
      Object.fromEntries(Array.from({ length: random(4) }, () => [`m${random(5)}`, value(depth)]));
    for (let times = 0; times < 2000; times++) {
      const [before, after] = [
        { kept: { a: 1 }, ...members(0) },
        { kept: { a: 1 }, ...members(0) },
      ];
      const patch = patchBetween(before, after);
      const told = patch === undefined ? {} : JSON.parse(JSON.stringify(patch));
      const result = patched(before, told) as Members;
      assert.deepEqual(result, after, `seed ${seed}`);
      assert.equal(result.kept, before.kept);
    }
  });
});
