import { formatSize } from '../../src/core/units.ts';
import type { FailureEntry, Ledger } from './ledger.ts';

export interface BrokenPromise {
  /** As docs/PRINCIPLES.md numbers them. */
  readonly promise: string;
  readonly what: string;
}

export interface PromiseBounds {
  readonly headerTimeoutMs: number;
  readonly maxRssBytes: number;
}

/** A restart may cost what was on its way: kernel buffers, and what the record did not say yet. */
const bytesPerRestart = 8 * 2 ** 20;
const graceMs = 3000;

/** Which promises a run has broken. Pure, so that the harness itself can be tested. */
export function brokenPromises(ledger: Ledger, bounds: PromiseBounds): readonly BrokenPromise[] {
  const { process, pulls, upstream } = ledger;
  const broken: BrokenPromise[] = [];
  const check = (promise: string, isKept: boolean, what: string) => {
    if (!isKept) broken.push({ promise, what });
  };
  const { unexplainedBytes: extra, neededBytes } = upstream;
  const extraAllowed = 0.02 * neededBytes + bytesPerRestart * process.lives;
  const share = `${formatSize(extra)} beyond the ${formatSize(neededBytes)} needed`;
  check('P1 One pull', extra <= extraAllowed, `upstream sent ${share}`);
  const waitedS = (pulls.longestHeadersMs / 1000).toFixed(1);
  check(
    'P2 Streaming',
    pulls.longestHeadersMs <= bounds.headerTimeoutMs + graceMs,
    `a client waited ${waitedS} s for headers`,
  );
  check('P4 Never wrong', ledger.wrongBytes === 0, `${ledger.wrongBytes} bodies were complete and wrong`);
  check(
    'P4 Never wrong',
    process.damagedFiles.length === 0,
    `${process.damagedFiles.length} damaged files in the store`,
  );
  for (const [promise, entries] of byPromise(ledger.failures)) {
    check(promise, entries.length === 0, `${entries.length} requests failed (${causes(entries)})`);
  }
  check('P6 Honest failure', ledger.wedged.length === 0, `${ledger.wedged.length} images stay unpullable`);
  check(
    'P7 Stale beats down',
    ledger.staleTags.length === 0,
    `${ledger.staleTags.length} tags: ${ledger.staleTags[0]}`,
  );
  const { cacheBytes } = ledger.world;
  check(
    'P8 Bounded',
    process.peakCacheBytes <= cacheBytes,
    `the cache held ${formatSize(process.peakCacheBytes)} of ${formatSize(cacheBytes)}`,
  );
  check('P8 Bounded', process.peakRssBytes <= bounds.maxRssBytes, `${formatSize(process.peakRssBytes)} of memory`);
  check('P8 Bounded', process.leftOpen.length === 0, `left open: ${process.leftOpen.join(', ')}`);
  check('P8 Bounded', process.flightsLeft.length === 0, `${process.flightsLeft.length} flights left`);
  check('P8 Bounded', process.partialFilesLeft.length === 0, `${process.partialFilesLeft.length} partial files left`);
  check(
    'P10 Durable',
    process.soundQuarantined.length === 0,
    `${process.soundQuarantined.length} sound blobs condemned`,
  );
  check('P12 In plain sight', process.crashes.length === 0, `onepull ${process.crashes[0]}`);
  const internal = Object.keys(process.errorLines).filter((line) => /INTERNAL|uncaught|unhandled/i.test(line));
  check('P12 In plain sight', internal.length === 0, `errors that nobody foresaw: ${internal[0]}`);
  return broken;
}

function byPromise(failures: readonly FailureEntry[]): Map<string, FailureEntry[]> {
  const entries = failures.filter(({ isPromiseBroken, cause }) => isPromiseBroken && cause !== 'wrong bytes');
  return Map.groupBy(entries, ({ cause, outcome }) => {
    if (cause === 'too late') return 'P2 Streaming';
    if (cause === 'known tag refused') return 'P7 Stale beats down';
    return cause === 'while a source worked' && outcome !== 'status' ? 'P5 Nothing lost' : 'P6 Honest failure';
  });
}

function causes(entries: readonly FailureEntry[]): string {
  const counts = Map.groupBy(entries, ({ cause, outcome, status }) => `${status ?? outcome} ${cause}`);
  return [...counts].map(([cause, some]) => `${some.length} x ${cause}`).join(', ');
}
