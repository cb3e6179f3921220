import { formatDuration, formatSize } from '../core/units.ts';
import type {
  ClusterAnswer,
  EndpointAnswer,
  FlightAnswer,
  PullAnswer,
  StatusAnswer,
  UpstreamAnswer,
} from './admin-answers.ts';
import { isUnderWay, pullLine } from './progress-text.ts';
import type { Terminal } from './terminal.ts';
import { type Line, piece, tableLines } from './text-line.ts';
import { totalRate } from './watch-state.ts';

/** What `onepull status` shows. */
export interface Overview {
  readonly status: StatusAnswer;
  readonly pulls: readonly PullAnswer[];
  readonly flights: readonly FlightAnswer[];
  readonly upstreams: readonly UpstreamAnswer[];
  readonly cluster: ClusterAnswer | null;
}

export interface OverviewLayout {
  readonly nowMs: number;
  readonly columns: number;
  /** Images that are named at most. */
  readonly pulls: number;
  readonly style: Pick<Terminal, 'hasUnicode'>;
}

/** One screen. */
export function overviewLines(overview: Overview, layout: OverviewLayout): Line[] {
  const { status, upstreams, cluster } = overview;
  return [
    headLine(status, layout.nowMs),
    ...status.reasons.map((reason) => [piece(`  ${reason}`, 'red')]),
    ...status.warnings.map((warning) => [piece(`  ${warning}`, 'yellow')]),
    [],
    ...pullLines(overview, layout),
    [],
    ...section('effect', effectLines(status)),
    ...section('cache', cacheLines(status)),
    ...section('upstreams', upstreamLines(upstreams)),
    ...section('cluster', [clusterLine(cluster)]),
  ];
}

export function headLine({ version, state, listen, startedAtMs }: StatusAnswer, nowMs: number): Line {
  const isReady = state === 'ready';
  return [
    piece(`onepull ${version}`, 'bold'),
    piece('  '),
    piece(state, isReady ? 'green' : 'red'),
    piece(`  at ${listen}, up ${ageText(nowMs - startedAtMs)}`),
  ];
}

/** What it saves, in one or two lines. */
export function effectLines({ effect }: Pick<StatusAnswer, 'effect'>): Line[] {
  const { servedBytes, upstreamBytes, savedBytes, requests, upstreamRequests, coalescedRequests, hitRatio } = effect;
  const share = servedBytes > 0 ? ` (${Math.floor((100 * Math.max(0, savedBytes)) / servedBytes)} %)` : '';
  const hits = typeof hitRatio === 'number' ? `${(100 * hitRatio).toFixed(1)} % hits, ` : '';
  const joined = `${coalescedRequests.toLocaleString('en')} joined another`;
  return [
    [
      piece(`saved ${formatSize(Math.max(0, savedBytes))}${share}`, 'bold'),
      piece(`: served ${formatSize(servedBytes)}, from upstream ${formatSize(upstreamBytes)}`),
    ],
    [piece(`${count(requests, 'request')} (${hits}${joined}), ${upstreamRequests.toLocaleString('en')} to upstream`)],
  ];
}

/** Seconds below two minutes, then minutes, hours, days. */
export function ageText(ms: number): string {
  const minutes = Math.floor(ms / 60_000);
  if (minutes < 2) return `${Math.max(0, Math.floor(ms / 1000))} s`;
  if (minutes < 120) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} days`;
}

/** For a column: in one unit. */
export function agoText(ms: number): string {
  return ageText(ms).replace(/( h) \d+ min$/, '$1');
}

export function clusterLine(cluster: ClusterAnswer | null): Line {
  if (cluster === null) return [piece('none: this node is alone', 'dim')];
  const { engine, members, children, shares } = cluster;
  const leads = shares.filter((fill) => fill.leads).length;
  const follows = shares.filter(({ parents }) => parents.length > 0).length;
  return [
    piece(engine.isUp ? 'engine up' : 'engine down', engine.isUp ? 'green' : 'red'),
    piece(`, ${count(members.length, 'node')}; leads ${leads}, follows ${follows}, sends ${children}`),
    piece(engine.isUp || engine.error === undefined ? '' : `: ${engine.error}`),
  ];
}

function pullLines({ pulls, flights }: Overview, { columns, pulls: most, style }: OverviewLayout): Line[] {
  const active = pulls.filter(isUnderWay);
  const bytesPerSecond = totalRate(flights);
  if (active.length === 0) return [[piece('Nothing is being pulled.')]];
  const waiting = active.reduce((sum, { waiters }) => sum + waiters, 0);
  const head = `Pulling ${count(active.length, 'image')} at ${formatSize(bytesPerSecond)}/s for ${count(waiting, 'waiting response')}:`;
  const more = active.length > most ? [[piece(`  and ${active.length - most} more`, 'dim')]] : [];
  const lines = active.slice(0, most).flatMap((pull) => {
    const clients = pull.clients.length === 0 ? [] : [[piece(`    for ${someOf(pull.clients, 4)}`, 'dim')]];
    return [[piece('  '), ...pullLine(pull, columns - 2, style)], ...clients];
  });
  return [[piece(head)], ...lines, ...more];
}

function cacheLines({ cache }: StatusAnswer): Line[] {
  const { sizeBytes, maxBytes, diskFreeBytes, images, blobs, strayBytes } = cache;
  const share = maxBytes > 0 ? ` (${Math.floor((100 * sizeBytes) / maxBytes)} %)` : '';
  const known = images === undefined ? '' : `${count(images, 'image')}, `;
  const held = `${formatSize(sizeBytes)} of ${formatSize(maxBytes)}${share}: ${known}${count(blobs, 'blob')}`;
  return [
    [piece(held)],
    ...(strayBytes === 0 ? [] : [[piece(`${formatSize(strayBytes)} belong to no image, and leave first`)]]),
    ...(diskFreeBytes === undefined ? [] : [[piece(`${formatSize(diskFreeBytes)} free on the disk`)]]),
  ];
}

/** A row for each endpoint, and below it why it is not used as it should be. */
function upstreamLines(upstreams: readonly UpstreamAnswer[]): Line[] {
  const all = upstreams.flatMap(({ name, endpoints }) =>
    endpoints.map((endpoint, index) => ({ name: index === 0 ? name : '', endpoint })),
  );
  const rows = tableLines(
    all.map(({ name, endpoint: { name: host, standing, health, rateLimit } }) => [
      piece(name),
      piece(host, 'dim'),
      piece(standing, standing === 'sound' ? 'green' : 'red'),
      piece(health.latencyMs === undefined ? '-' : formatDuration(health.latencyMs)),
      piece(rateLimit?.remaining === undefined ? '' : leftText(rateLimit.remaining, rateLimit.limit)),
    ]),
    { right: [3] },
  );
  return all.flatMap(({ endpoint }, index) => [
    rows[index] ?? [],
    ...troublesOf(endpoint).map((trouble) => [piece(`  ${trouble}`, 'yellow')]),
  ]);
}

function leftText(remaining: number, limit: number | undefined): string {
  return `${remaining}${limit === undefined ? '' : ` of ${limit}`} left`;
}

function troublesOf({ breaker, health, pauses, standing }: EndpointAnswer): string[] {
  const why = breaker.reason ?? (standing === 'sound' ? undefined : health.lastError?.message);
  return [
    ...pauses.map(({ what, leftMs }) => `asks for no ${what} for ${formatDuration(leftMs)}`),
    ...(health.errorRatio > 0 ? [`${Math.ceil(100 * health.errorRatio)} % of requests fail`] : []),
    ...(why === undefined ? [] : [why]),
  ];
}

function section(name: string, lines: readonly Line[]): Line[] {
  return lines.map((line, index) => {
    const [first, ...others] = line;
    // A table brings an indent of its own, which is empty.
    const rest = first?.text === '' ? others : line;
    return [piece((index === 0 ? name : '').padEnd(11), 'dim'), ...rest];
  });
}

export function someOf(names: readonly string[], most: number): string {
  const more = names.length > most ? ` and ${names.length - most} more` : '';
  return `${names.slice(0, most).join(', ')}${more}`;
}

export function count(number: number, noun: string, several: string = `${noun}s`): string {
  return `${number.toLocaleString('en')} ${number === 1 ? noun : several}`;
}
