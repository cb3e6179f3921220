import { formatSize } from '../core/units.ts';
import type { ImageAnswer } from './admin-answers.ts';
import * as answers from './admin-answers.ts';
import { AdminClient } from './admin-client.ts';
import { shortenedImage } from './image-name.ts';
import { exitCodes, type ImagesOptions } from './options.ts';
import { printJson, printLines } from './printing.ts';
import { agoText, count } from './status-text.ts';
import { type Terminal, terminalOn } from './terminal.ts';
import { type Line, piece, tableLines } from './text-line.ts';

const pageLimit = 200;

/** Lists what the cache holds. Exit code 0, also where that is nothing. */
export async function images(options: ImagesOptions): Promise<number> {
  const client = await AdminClient.for(options, process.env);
  const limit = options.limit ?? 50;
  const found: ImageAnswer[] = [];
  let total = 0;
  let after: string | undefined;
  do {
    const query = new URLSearchParams({
      ...(options.search === undefined ? {} : { search: options.search }),
      sort: options.sort ?? 'used',
      limit: String(Math.min(pageLimit, limit - found.length)),
      ...(after === undefined ? {} : { after }),
    });
    const page = await client.get(`/api/v1/images?${query}`, answers.images);
    found.push(...page.images);
    ({ total, after } = page);
    if (page.images.length === 0) break;
  } while (after !== undefined && found.length < limit);
  if (options.json) {
    printJson({ images: found, total });
    return exitCodes.ok;
  }
  const terminal = terminalOn(process.stdout, process.env);
  printLines(
    terminal,
    imageLines(found, { total, nowMs: Date.now(), terminal, isSearch: options.search !== undefined }),
  );
  return exitCodes.ok;
}

type Platforms = Pick<ImageAnswer, 'platforms' | 'otherPlatforms'>;

export interface ImagesLayout {
  /** As many as there are, the ones not shown included. */
  readonly total: number;
  readonly nowMs: number;
  readonly isSearch: boolean;
  readonly terminal: Pick<Terminal, 'isInteractive' | 'hasUnicode' | 'columns'>;
}

/** What is left for platforms at least, if names are long; and what of names is kept at least. */
const [leastPlatforms, leastName] = [11, 24];

/** A table. On a terminal, platforms give way to names, and both to the figures; elsewhere all is whole. */
export function imageLines(found: readonly ImageAnswer[], { total, nowMs, isSearch, terminal }: ImagesLayout): Line[] {
  if (found.length === 0)
    return [[piece(isSearch ? 'No image has that in its name.' : 'The cache holds no image yet.')]];
  const age = (atMs: number | undefined) => (atMs === undefined ? '-' : agoText(nowMs - atMs));
  const head = ['SIZE', 'STORED', 'USED', 'CACHED', 'PIN'];
  const facts = found.map(({ sizeBytes, storedBytes, lastUsedAtMs, cachedAtMs, isPinned }) => [
    formatSize(sizeBytes),
    storedBytes === undefined ? '-' : formatSize(storedBytes),
    age(lastUsedAtMs),
    age(cachedAtMs),
    isPinned ? 'yes' : '-',
  ]);
  const others = head.reduce(
    (sum, text, column) => sum + 2 + widest([text, ...facts.map((row) => row[column] ?? '')]),
    0,
  );
  const room = terminal.isInteractive ? terminal.columns - others - 2 : Number.POSITIVE_INFINITY;
  const longest = widest(['IMAGE', ...found.map(({ image }) => image)]);
  const whole = widest(['PLATFORMS', ...found.map((image) => platformsText(image, Number.POSITIVE_INFINITY))]);
  const nameRoom = Math.min(longest, Math.max(leastName, room - Math.min(whole, leastPlatforms)));
  const rows = found.map((image, index) => [
    piece(shortenedImage(image.image, nameRoom, terminal), 'bold'),
    ...(facts[index] ?? []).map((text, column) =>
      piece(text, image.isPinned && head[column] === 'PIN' ? 'yellow' : undefined),
    ),
    piece(platformsText(image, room - nameRoom), 'dim'),
  ]);
  const names = ['IMAGE', ...head, 'PLATFORMS'].map((text) => piece(text, 'dim'));
  const more =
    total > found.length
      ? [[piece(`${found.length} of ${count(total, 'image')}; --limit shows more, --search fewer`, 'dim')]]
      : [];
  return [...tableLines([names, ...rows], { right: [1, 2, 3, 4] }), ...more];
}

const othersNamed = 4;

/** `linux/amd64; not here: linux/arm64`, or less where there is no room. What is not here is nowhere taken for here. */
function platformsText({ platforms, otherPlatforms }: Platforms, columns: number): string {
  if (otherPlatforms.length === 0) return hereText(platforms, columns);
  const others = otherPlatforms.map(({ platform, sizeBytes, storedBytes }) =>
    sizeBytes === undefined ? platform : `${platform} (${formatSize(storedBytes)} of ${formatSize(sizeBytes)} is)`,
  );
  const more = others.length > othersNamed ? ` and ${others.length - othersNamed} more` : '';
  const missing = `not here: ${others.slice(0, othersNamed).join(', ')}${more}`;
  const whole = platforms.length === 0 ? missing : `${platforms.join(', ')}; ${missing}`;
  if (whole.length <= columns) return whole;
  const end = `; ${others.length} not here`;
  const counted = platforms.length === 0 ? 'not here' : `${hereText(platforms, columns - end.length)}${end}`;
  return counted.length <= columns ? counted : hereText(platforms, columns);
}

/** As many as there is room for, and how many more; what is for Linux, as nearly all is, need not say so. */
function hereText(platforms: readonly string[], columns: number): string {
  if (platforms.length === 0) return '-';
  const names = [platforms, platforms.map((platform) => platform.replace(/^linux\//, ''))];
  const fitting = names.map((all) => all.join(', ')).find((text) => text.length <= columns);
  if (fitting !== undefined) return fitting;
  const [, short = []] = names;
  const texts = short.map((_, shown) => [short.slice(0, shown + 1).join(', '), ` +${short.length - shown - 1}`]);
  const some = texts.slice(0, -1).map((parts) => parts.join(''));
  return some.findLast((text) => text.length <= columns) ?? some[0] ?? short.join();
}

function widest(texts: readonly string[]): number {
  return Math.max(...texts.map(({ length }) => length));
}
