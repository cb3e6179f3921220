import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { FailureEntry, Ledger } from './ledger.ts';
import { brokenPromises } from './promises.ts';

const bounds = { headerTimeoutMs: 10_000, maxRssBytes: 1000 };

/** A run in which all went well. */
const good: Ledger = {
  command: '',
  seed: 1,
  startedAt: '',
  tookMs: 1,
  endedEarly: false,
  faultKinds: [],
  leftOut: [],
  world: { images: 1, totalBytes: 1, cacheBytes: 100 },
  pulls: { wanted: 1, complete: 1, left: 0, failed: 0, repeats: 0, bytes: 1, longestHeadersMs: 10_000 },
  rushes: { requests: 0, complete: 0, refused: 0 },
  faults: {},
  failures: [],
  wrongBytes: 0,
  staleTags: [],
  upstream: {
    sentBytes: 1,
    receivedBytes: 1,
    neededBytes: 1,
    streamedBytes: 0,
    explainedBytes: {},
    unexplainedBytes: 0,
    worst: [],
  },
  wedged: [],
  process: {
    lives: 1,
    crashes: [],
    peakRssBytes: 1000,
    peakCacheBytes: 100,
    warm: undefined,
    end: undefined,
    leftOpen: [],
    flightsLeft: [],
    partialFilesLeft: [],
    damagedFiles: [],
    quarantinedFiles: 1,
    soundQuarantined: [],
    errorLines: { 'a blob is damaged': 1 },
    warnLines: {},
    counters: {},
  },
};

const failure: FailureEntry = {
  what: 'GET blob',
  upstream: '',
  repository: '',
  reference: '',
  startedAt: 0,
  endedAt: 0,
  outcome: 'status',
  status: 502,
  retryAfter: undefined,
  message: '',
  pull: 1,
  at: '',
  tookMs: 0,
  cause: 'while a source worked',
  isPromiseBroken: true,
  active: [],
};

const namesOf = (ledger: Ledger) => brokenPromises(ledger, bounds).map(({ promise }) => promise.split(' ')[0]);
const process = (part: Partial<Ledger['process']>): Ledger => ({ ...good, process: { ...good.process, ...part } });
const failed = (part: Partial<FailureEntry>): Ledger => ({ ...good, failures: [{ ...failure, ...part }] });

describe('promises', () => {
  test('are kept where all went well, and where what failed was allowed to', () => {
    assert.deepEqual(namesOf(good), []);
    assert.deepEqual(namesOf(failed({ cause: 'all sources out', isPromiseBroken: false })), []);
  });

  test('are broken by what clients saw', () => {
    assert.deepEqual(namesOf(failed({})), ['P6']);
    assert.deepEqual(namesOf(failed({ outcome: 'cut' })), ['P5']);
    assert.deepEqual(namesOf(failed({ cause: 'too late' })), ['P2']);
    assert.deepEqual(namesOf(failed({ cause: 'known tag refused' })), ['P7']);
    assert.deepEqual(namesOf({ ...good, wrongBytes: 1 }), ['P4']);
    assert.deepEqual(namesOf({ ...good, wedged: ['an image'] }), ['P6']);
    assert.deepEqual(namesOf({ ...good, staleTags: ['a tag'] }), ['P7']);
    assert.deepEqual(namesOf({ ...good, pulls: { ...good.pulls, longestHeadersMs: 14_000 } }), ['P2']);
  });

  test('are broken by bytes that nothing explains', () => {
    const mebibyte = 2 ** 20;
    const upstream = { ...good.upstream, neededBytes: 1000 * mebibyte, unexplainedBytes: 27 * mebibyte };
    assert.deepEqual(namesOf({ ...good, upstream }), []);
    assert.deepEqual(namesOf({ ...good, upstream: { ...upstream, unexplainedBytes: 29 * mebibyte } }), ['P1']);
  });

  test('are broken by what is left, by what grew, and by ends and errors that nobody foresaw', () => {
    assert.deepEqual(namesOf(process({ peakCacheBytes: 101 })), ['P8']);
    assert.deepEqual(namesOf(process({ peakRssBytes: 1001 })), ['P8']);
    assert.deepEqual(namesOf(process({ leftOpen: ['a file'] })), ['P8']);
    assert.deepEqual(namesOf(process({ flightsLeft: ['a flight'] })), ['P8']);
    assert.deepEqual(namesOf(process({ partialFilesLeft: ['a file'] })), ['P8']);
    assert.deepEqual(namesOf(process({ damagedFiles: ['a file'] })), ['P4']);
    assert.deepEqual(namesOf(process({ soundQuarantined: ['a file'] })), ['P10']);
    assert.deepEqual(namesOf(process({ crashes: ['ended'] })), ['P12']);
    assert.deepEqual(namesOf(process({ errorLines: { 'x [INTERNAL] y': 1 } })), ['P12']);
  });
});
