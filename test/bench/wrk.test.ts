import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LoadRequest } from '../../bench/support/load/load.ts';
import { wrkArguments, wrkOutcome } from '../../bench/support/load/wrk.ts';

const request: LoadRequest = {
  origin: 'http://127.0.0.1:5000',
  method: 'GET',
  path: '/v2/app/blobs/x',
  headers: { Accept: 'a, b' },
  sizeBytes: 2500,
};
const load = { connections: 8, durationMs: 2000, threads: 1 };

function line(counts: Readonly<Record<string, number>> = {}): string {
  const result = { requests: 300, bytes: 9000, durationUs: 3e6, p50Us: 500, p99Us: 2500, maxUs: 4000 };
  const errors = { connect: 0, read: 0, write: 0, timeout: 0, status: 0 };
  return `Running 3s test\n  8 connections\n\n${JSON.stringify({ ...result, ...errors, ...counts })}\n`;
}

test('wrk is told the method and the headers, and for ranges each of them that fits', () => {
  const args = wrkArguments(request, load);
  assert.deepEqual(args.slice(args.indexOf('--')), ['--', 'GET', 'Accept: a, b']);
  const ranges = wrkArguments({ ...request, rangeBytes: 1000 }, load).filter((arg) => arg.startsWith('range '));
  assert.deepEqual(ranges, ['range 0-999', 'range 1000-1999']);
});

test('what wrk tells is read from its last line', () => {
  const { requests, bytes, seconds, latency, errors } = wrkOutcome(line());
  assert.deepEqual({ requests, bytes, seconds, errors }, { requests: 300, bytes: 9000, seconds: 3, errors: [] });
  assert.deepEqual(latency, { p50: 0.5, p99: 2.5, max: 4 });
});

test('a wrk run with an error of any kind says which', () => {
  for (const kind of ['connect', 'read', 'write', 'timeout', 'status']) {
    assert.deepEqual(wrkOutcome(line({ [kind]: 2 })).errors, [`2 ${kind} errors`]);
  }
  assert.throws(() => wrkOutcome('unable to connect'), /told no result/);
});
