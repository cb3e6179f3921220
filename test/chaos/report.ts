import { formatDuration, formatSize } from '../../src/core/units.ts';
import type { FailureEntry, Ledger, OpenFiles } from './ledger.ts';
import type { BrokenPromise } from './promises.ts';

const shownFailures = 12;

/** The ledger as a person reads it. */
export function reportText(ledger: Ledger, broken: readonly BrokenPromise[]): string {
  const parts = [
    `Chaos, seed ${ledger.seed}: ${formatDuration(ledger.tookMs)}${ledger.endedEarly ? ', ended early' : ''}`,
    ledger.command,
    '',
    ...rows(ledger).map(([name, value]) => `  ${name.padEnd(22)} ${value}`),
    '',
    ...table('faults', ledger.faults),
    ...table('failed, by cause', failureCounts(ledger.failures)),
    ...table('extra bytes explained', ledger.upstream.explainedBytes, formatSize),
    ...table('onepull counted', counters(ledger)),
    ...table('its error lines', ledger.process.errorLines),
    ...table('its warnings', ledger.process.warnLines),
    ...failureLines(ledger),
    ...list('cannot be done here', ledger.leftOut),
    ...list('wedged', ledger.wedged),
    ...list('left open', ledger.process.leftOpen),
    ...list('partial files left', ledger.process.partialFilesLeft),
  ];
  const verdict = broken.map(({ promise, what }) => `  ${promise}: ${what}`);
  return [...parts, ...(broken.length === 0 ? ['No promise was broken.'] : ['Promises broken', ...verdict])].join('\n');
}

function rows(ledger: Ledger): readonly (readonly [string, string])[] {
  const { pulls, rushes, upstream, process, world } = ledger;
  const perSecond = (pulls.complete + pulls.left + pulls.failed) / (ledger.tookMs / 1000);
  const beyond = 100 * (upstream.receivedBytes / Math.max(1, upstream.neededBytes) - 1);
  const faults = Object.values(ledger.faults).reduce((sum, count) => sum + count, 0);
  return [
    [
      'content',
      `${world.images} images, ${formatSize(world.totalBytes)}; the cache may hold ${formatSize(world.cacheBytes)}`,
    ],
    [
      'pulls',
      `${pulls.complete} complete, ${pulls.left} left on purpose, ${pulls.failed} failed of ${pulls.wanted} (${perSecond.toFixed(1)}/s)`,
    ],
    ['asked again', `${pulls.repeats} requests, because onepull was away`],
    ['in rushes', `${rushes.requests} requests, ${rushes.complete} complete, ${rushes.refused} refused`],
    ['faults', `${faults} of ${Object.keys(ledger.faults).length} kinds`],
    ['false completions', String(ledger.wrongBytes)],
    ['wedged images', String(ledger.wedged.length)],
    ['to clients', formatSize(pulls.bytes)],
    ['longest for headers', formatDuration(pulls.longestHeadersMs)],
    [
      'from upstream',
      `${formatSize(upstream.receivedBytes)} of ${formatSize(upstream.neededBytes)} needed (${beyond >= 0 ? '+' : ''}${beyond.toFixed(1)} %), ${formatSize(Math.max(0, upstream.unexplainedBytes))} unexplained; ${formatSize(upstream.sentBytes)} sent`,
    ],
    ['lives of onepull', `${process.lives}, ${process.crashes.length} ended by itself`],
    ['peak memory', formatSize(process.peakRssBytes)],
    ['peak cache', formatSize(process.peakCacheBytes)],
    ['open when warm', open(process.warm)],
    ['open at the end', open(process.end)],
    [
      'left behind',
      `${process.flightsLeft.length} flights, ${process.partialFilesLeft.length} partial files, ${process.damagedFiles.length} damaged files; ${process.quarantinedFiles} in quarantine`,
    ],
  ];
}

function open(files: OpenFiles | undefined): string {
  if (files === undefined) return 'unknown';
  return `${files.files} files, ${files.content} of content, ${files.sockets} sockets, ${files.others} others`;
}

function failureCounts(failures: readonly FailureEntry[]): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const { cause, isPromiseBroken, outcome, status } of failures) {
    const name = `${isPromiseBroken ? 'BROKEN' : 'allowed'}: ${cause}, ${status !== undefined && status >= 300 ? status : outcome}`;
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
}

/** What tells how faults were survived. */
function counters(ledger: Ledger): Readonly<Record<string, number>> {
  const shown =
    /^onepull_(breaker|upstream_retries|upstream_pauses|upstream_hedges|refused|quarantined|passed|evicted_blobs|flight_ends|request_errors)/;
  const merged: Record<string, number> = {};
  for (const [name, value] of Object.entries(ledger.process.counters)) {
    if (!shown.test(name)) continue;
    const short = name.replace(/^onepull_/, '').replace(/127\.0\.0\.1:\d+/, '*');
    merged[short] = (merged[short] ?? 0) + value;
  }
  return merged;
}

function failureLines({ failures }: Ledger): string[] {
  const broken = failures.filter(({ isPromiseBroken }) => isPromiseBroken);
  const lines = broken.slice(0, shownFailures).map((entry) => {
    const { at, what, upstream, repository, reference, outcome, status, message, tookMs, active } = entry;
    const name = `${what} ${upstream}/${repository} ${reference.slice(0, 19)}`;
    return `  ${at} ${name}: ${status ?? ''} ${outcome} after ${tookMs} ms: ${message.slice(0, 160)}\n      during ${active.join(' ') || 'nothing'}`;
  });
  const more = broken.length - lines.length;
  return lines.length === 0
    ? []
    : ['failures that break a promise', ...lines, ...(more > 0 ? [`  and ${more} more: see --json`] : []), ''];
}

function table(
  title: string,
  values: Readonly<Record<string, number>>,
  text: (value: number) => string = String,
): string[] {
  const entries = Object.entries(values).filter(([, value]) => value !== 0);
  if (entries.length === 0) return [];
  return [title, ...entries.map(([name, value]) => `  ${text(value).padStart(10)}  ${name.slice(0, 130)}`), ''];
}

function list(title: string, items: readonly string[]): string[] {
  if (items.length === 0) return [];
  const more = items.length > shownFailures ? [`  and ${items.length - shownFailures} more`] : [];
  return [title, ...items.slice(0, shownFailures).map((item) => `  ${item}`), ...more, ''];
}
