import assert from 'node:assert/strict';
import { test } from 'node:test';
import { counted, percent, size } from './amounts.ts';
import { ago, duration, span, until } from './times.ts';

const plain = (text: string) => text.replaceAll('\u00a0', ' ');

test('a share is never all before it is, nor nothing when it is something', () => {
  assert.deepEqual(
    [0, 1, 500, 999, 1000].map((part) => plain(percent(part, 1000))),
    ['0 %', '< 1 %', '50 %', '> 99 %', '100 %'],
  );
  assert.equal(plain(percent(0, 0)), '0 %');
});

test('amounts have one form in the whole product', () => {
  assert.equal(plain(size(29_126_484)), '27.8 MiB');
  assert.equal(counted(1, 'layer'), '1 layer');
  assert.equal(counted(1200, 'address', 'addresses'), '1,200 addresses');
});

test('times are as exact as they are of use', () => {
  assert.deepEqual(
    [0, 59_999, 60_000, 3_600_000, 50 * 3_600_000].map((ms) => plain(span(ms))),
    ['0 s', '59 s', '1 min', '1 h', '2 d'],
  );
  assert.equal(plain(ago(1000, 43_000)), '42 s ago');
  assert.equal(ago(2000, 1000), 'just now', 'clocks may differ a little');
  assert.equal(plain(until(10_000, 1000)), 'in 9 s');
  assert.deepEqual(
    [0.84, 41, 2310, 80_000].map((ms) => plain(duration(ms))),
    ['0.8 ms', '41 ms', '2.3 s', '1 min'],
  );
});
