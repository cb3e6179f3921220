import { formatSize } from '../core/units.ts';
import type { ImageAnswer } from './admin-answers.ts';
import * as answers from './admin-answers.ts';
import { AdminClient } from './admin-client.ts';
import { exitCodes, type ImagesOptions } from './options.ts';
import { printJson, printLines } from './printing.ts';
import { ageText, count } from './status-text.ts';
import { type Terminal, terminalOn } from './terminal.ts';
import { type Line, piece, shortened, tableLines } from './text-line.ts';

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

export interface ImagesLayout {
  /** As many as there are, the ones not shown included. */
  readonly total: number;
  readonly nowMs: number;
  readonly isSearch: boolean;
  readonly terminal: Pick<Terminal, 'isInteractive' | 'hasUnicode' | 'columns'>;
}

/** A table. On a terminal, names give way to what stands beside them; elsewhere they are whole. */
export function imageLines(found: readonly ImageAnswer[], { total, nowMs, isSearch, terminal }: ImagesLayout): Line[] {
  if (found.length === 0)
    return [[piece(isSearch ? 'No image has that in its name.' : 'The cache holds no image yet.')]];
  const age = (atMs: number | undefined) => (atMs === undefined ? '-' : `${ageText(nowMs - atMs)} ago`);
  const facts = found.map(({ sizeBytes, storedBytes, lastUsedAtMs, cachedAtMs, isPinned, platforms }) => [
    piece(formatSize(sizeBytes)),
    piece(storedBytes === undefined ? '-' : formatSize(storedBytes)),
    piece(age(lastUsedAtMs)),
    piece(age(cachedAtMs)),
    piece(isPinned ? 'pinned' : '', 'yellow'),
    piece(platforms.join(', '), 'dim'),
  ]);
  const head = ['SIZE', 'STORED', 'USED', 'CACHED', '', 'PLATFORMS'].map((text) => piece(text, 'dim'));
  const right = [1, 2, 3, 4];
  const widths = [0, 1, 2, 3, 4].map((column) =>
    Math.max(...[head, ...facts].map((row) => row[column]?.text.length ?? 0)),
  );
  const others = widths.reduce((sum, width) => sum + width + 2, 0);
  const longest = Math.max(...found.map(({ image }) => image.length));
  const room = terminal.isInteractive ? Math.max(24, Math.min(longest, terminal.columns - others - 2)) : longest;
  const rows = found.map(({ image }, index) => [
    piece(shortened(image, room, terminal), 'bold'),
    ...(facts[index] ?? []),
  ]);
  const more =
    total > found.length
      ? [[piece(`${found.length} of ${count(total, 'image')}; --limit shows more, --search fewer`, 'dim')]]
      : [];
  return [...tableLines([[piece('IMAGE', 'dim'), ...head], ...rows], { right }), ...more];
}
