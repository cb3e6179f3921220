import type { Terminal } from './terminal.ts';
import { shortened } from './text-line.ts';

/** Of a digest so much is enough to tell images apart. */
const leastDigest = 12;

/** What an image's name is made of; `registry`, `path` and `end` together are the name. */
interface Parts {
  /** With its slash; empty where it names none. */
  readonly registry: string;
  readonly path: string;
  /** `:tag` or `@digest`, or both, or nothing. */
  readonly end: string;
}

/**
 * A name in so many columns. What tells images apart goes last: first the digest is shortened, then the registry, then the
 * repository from its beginning, and only then anything.
 */
export function shortenedImage(image: string, columns: number, style: Pick<Terminal, 'hasUnicode'>): string {
  if (image.length <= columns) return image;
  const gap = style.hasUnicode ? '…' : '...';
  const { registry, path, end } = partsOf(image);
  const shortEnd = shortenedEnd(end, Math.max(0, columns - registry.length - path.length), gap);
  const rest = path.length + shortEnd.length;
  if (registry.length + rest <= columns) return `${registry}${path}${shortEnd}`;
  const room = columns - rest - gap.length;
  // The slash stays, and a letter or two say nothing.
  if (registry !== '' && room >= 1) return `${room < 4 ? '' : registry.slice(0, room - 1)}${gap}/${path}${shortEnd}`;
  const name = path.slice(path.lastIndexOf('/') + 1);
  const start = columns - shortEnd.length - gap.length;
  if (start >= name.length) return `${gap}${path.slice(-start)}${shortEnd}`;
  return shortened(`${name}${shortEnd}`, columns, style);
}

function partsOf(image: string): Parts {
  const slash = image.indexOf('/');
  const first = image.slice(0, slash + 1);
  const registry = /[.:]|^localhost\/$/.test(first) ? first : '';
  const rest = image.slice(registry.length);
  // A repository holds neither.
  const at = rest.search(/[:@]/);
  return at === -1 ? { registry, path: rest, end: '' } : { registry, path: rest.slice(0, at), end: rest.slice(at) };
}

/** A tag stays whole. */
function shortenedEnd(end: string, columns: number, gap: string): string {
  const [, head = '', hex] = /^(.*@[^:@]*:)([^:@]*)$/.exec(end) ?? [];
  if (hex === undefined || end.length <= columns) return end;
  const kept = Math.max(leastDigest, columns - head.length - gap.length);
  return kept + gap.length >= hex.length ? end : `${head}${hex.slice(0, kept)}${gap}`;
}
