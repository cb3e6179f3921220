import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asAgainst } from '../../bench/against/command.ts';
import { compare, type FigureSample } from '../../bench/against/figures.ts';

function rounds(figure: string, better: 'more' | 'less', ones: number[], others: number[]): FigureSample[] {
  const of = (subject: string) => (value: number, n: number) => {
    return { figure, subject, round: n + 1, value, unit: '/s', better };
  };
  return [...ones.map(of('this')), ...others.map(of('HEAD~1'))];
}

const change = (better: 'more' | 'less', ones: number[], others: number[]) =>
  compare(rounds('rate', better, ones, others), 'this', 'HEAD~1')[0]?.change;

test('two revisions are compared by the medians, and by the rounds in which both were measured', () => {
  const [comparison] = compare(rounds('rate', 'more', [100, 300, 200], [100, 100]), 'this', 'HEAD~1');
  assert.equal(comparison?.ratio, 2);
  assert.deepEqual(comparison?.ratios, { median: 2, min: 1, max: 3 });
});

test('a change is one if all rounds agree and it is more than noise', () => {
  assert.equal(change('more', [110, 120], [100, 100]), 'better');
  assert.equal(change('less', [110, 120], [100, 100]), 'worse');
  assert.equal(change('more', [90, 80], [100, 100]), 'worse');
  assert.equal(change('less', [90, 80], [100, 100]), 'better');
  assert.equal(change('more', [99, 150, 150], [100, 100, 100]), 'no clear change');
  assert.equal(change('more', [101, 102], [100, 100]), 'no clear change');
});

test('a figure that one of them does not have is left out', () => {
  assert.deepEqual(compare(rounds('rate', 'more', [1], []), 'this', 'HEAD~1'), []);
});

test('--against is taken before a name, after it, and among other options', () => {
  assert.deepEqual(asAgainst(['--against', 'v1', 'ingest']), ['against', 'v1', 'ingest']);
  assert.deepEqual(asAgainst(['throughput', '--against', 'v1', '--quick']), ['against', 'v1', 'throughput', '--quick']);
  assert.deepEqual(asAgainst(['throughput', '--quick']), ['throughput', '--quick']);
  assert.deepEqual(asAgainst(['--against']), ['against']);
});
