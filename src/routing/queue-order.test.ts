import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { greatestHeadStartMs, nextInLine, precedenceMs, type QueueEntry } from './queue-order.ts';

const mebibyte = 2 ** 20;
const entry = (facts: Partial<QueueEntry> = {}): QueueEntry => ({
  waitedMs: 0,
  waiters: 1,
  missingBytes: 100 * mebibyte,
  ...facts,
});
/** Whether the first goes before the second. */
const before = (one: QueueEntry, other: QueueEntry) => precedenceMs(one) > precedenceMs(other);

describe('queue order', () => {
  it('prefers what more responses wait for', () => {
    assert.ok(before(entry({ waiters: 64 }), entry({ waiters: 2 })));
    assert.ok(before(entry({ waiters: 1 }), entry({ waiters: 0 })));
  });

  it('prefers what has less to come, an unknown size being in between', () => {
    assert.ok(before(entry({ missingBytes: mebibyte }), entry({ missingBytes: 50 * mebibyte })));
    assert.ok(before(entry({ missingBytes: mebibyte }), entry({ missingBytes: undefined })));
    assert.ok(before(entry({ missingBytes: undefined }), entry({ missingBytes: 1024 * mebibyte })));
  });

  it('prefers who came first where all else is equal', () => {
    assert.ok(before(entry({ waitedMs: 1 }), entry()));
    assert.equal(nextInLine([5, 5, 5].map((waitedMs) => precedenceMs(entry({ waitedMs })))), 0);
  });

  it('never gives anybody more than the greatest head start, whatever is asked', () => {
    for (const waiters of [-1, 0, 1, 5000, Number.MAX_SAFE_INTEGER]) {
      for (const missingBytes of [undefined, 0, 1, 2 ** 40, Number.MAX_SAFE_INTEGER]) {
        const gained =
          precedenceMs(entry({ waiters, missingBytes })) - precedenceMs(entry({ waiters: 0, missingBytes: 2 ** 50 }));
        assert.ok(gained >= 0 && gained <= greatestHeadStartMs, `${waiters} ${missingBytes}: ${gained}`);
      }
    }
  });

  it('starves nobody: the least wanted goes before the most wanted of those who came so much later', () => {
    // The worst that can happen: one great blob that nobody waits for, and an endless stream of small ones for crowds.
    const least = { waiters: 0, missingBytes: 2 ** 50 };
    const most = { waiters: 100_000, missingBytes: 1 };
    const everyMs = 100;
    let line = [{ id: -1, sinceMs: 0, ...least }];
    let servedAtMs: number | undefined;
    for (let nowMs = 0, id = 0; servedAtMs === undefined && nowMs < 120_000; nowMs += everyMs, id++) {
      line.push({ id, sinceMs: nowMs, ...most });
      const next = nextInLine(line.map(({ sinceMs, ...rest }) => precedenceMs({ waitedMs: nowMs - sinceMs, ...rest })));
      const served = line[next ?? -1];
      if (served?.id === -1) servedAtMs = nowMs;
      line = line.filter((one) => one !== served);
    }
    assert.ok(servedAtMs !== undefined && servedAtMs <= greatestHeadStartMs + everyMs, `${servedAtMs}`);
  });

  it('finds nobody in an empty line', () => {
    assert.equal(nextInLine([]), undefined);
  });
});
