import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Chart, lineChart } from '../../bench/support/line-chart.ts';

const chart: Chart = {
  title: 'bytes < 2 & more',
  panels: [
    {
      title: 'panel',
      xTitle: 'clients',
      series: [
        { label: 'computed', style: 'reference', points: [1, 16, 64].map((n) => ({ x: n, y: n })) },
        { label: 'cache', style: 1, points: [1, 16, 64].map((n) => ({ x: n, y: 1, min: 1, max: 1.1 })) },
      ],
    },
  ],
  notes: ['how it was made'],
};

test('a chart has a dot for each measured point and each label once', () => {
  const svg = lineChart(chart);
  assert.equal(svg.match(/<circle /g)?.length, 3);
  for (const label of ['computed', 'cache', 'clients', 'panel', 'how it was made']) {
    assert.equal(svg.split(`>${label}</text>`).length, 2, label);
  }
});

test('text is escaped and every element is closed', () => {
  const svg = lineChart(chart);
  assert.ok(svg.includes('<title>bytes &lt; 2 &amp; more</title>'));
  const open: string[] = [];
  for (const [, close, name, selfClosed] of svg.matchAll(/<(\/?)([a-z]+)[^>]*?(\/?)>/gi)) {
    if (close === '/') assert.equal(open.pop(), name);
    else if (selfClosed !== '/') open.push(name ?? '');
  }
  assert.deepEqual(open, []);
});

test('equal factors are equal distances on both axes', () => {
  const points = [1, 4, 16].map((n) => ({ x: n, y: 10 ** Math.log2(n) }));
  const svg = lineChart({ ...chart, panels: [{ title: '', xTitle: '', series: [{ label: '', style: 1, points }] }] });
  const [a, b, c] = [...svg.matchAll(/cx="([\d.]+)" cy="([\d.]+)"/g)].map(([, x, y]) => [Number(x), Number(y)]);
  for (const axis of [0, 1]) {
    const [first = 0, second = 0, third = 0] = [a, b, c].map((point) => point?.[axis] ?? 0);
    assert.ok(Math.abs(second - first - (third - second)) < 0.3, `${first} ${second} ${third}`);
  }
});

test('it can be read on a light and on a dark page', () => {
  const svg = lineChart(chart);
  assert.match(svg, /prefers-color-scheme: dark/);
  assert.doesNotMatch(svg, /<rect/, 'a background of its own');
});
