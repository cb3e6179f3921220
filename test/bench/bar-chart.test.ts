import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Bar, type BarChart, barChart } from '../../bench/support/bar-chart.ts';
import { subjectStyle } from '../../bench/support/subject-style.ts';

const bar = (label: string, value: number): Bar => {
  return { label, style: 1, value, min: value / 2, max: value * 2, text: `${value}/s` };
};
const chart: BarChart = {
  title: 'rates < & more',
  panels: [{ title: 'panel', groups: [{ title: 'group', bars: [bar('one', 100), bar('other', 50)] }] }],
  notes: ['how it was made'],
};

test('bars are as long as their values, within the longest range, and each says what it is', () => {
  const svg = barChart(chart);
  const [one = 0, other = 0] = [...svg.matchAll(/<rect [^>]*width="([\d.]+)"/g)].map(([, width]) => Number(width));
  assert.ok(Math.abs(one - 2 * other) <= 0.2, `${one} and ${other}`);
  const ends = [...svg.matchAll(/class="whisker" x1="([\d.]+)" x2="([\d.]+)"/g)].map(([, , end]) => Number(end));
  assert.ok(Math.max(...ends) < 560, `${ends}`);
  for (const text of ['one', 'other', '100/s', '50/s', 'group', 'panel', 'how it was made']) {
    assert.equal(svg.split(`>${text}</text>`).length, 2, text);
  }
  assert.ok(svg.includes('<title>rates &lt; &amp; more</title>'));
});

test('variants have the colour of what they are variants of', () => {
  assert.equal(subjectStyle('onepull, no threads'), subjectStyle('onepull'));
  const styles = ['onepull', 'distribution', 'nginx', 'varnish', 'somebody else'].map(subjectStyle);
  assert.equal(new Set(styles).size, styles.length);
});
