/** Bytes `start` (included) to `end` (excluded). */
export interface Interval {
  readonly start: number;
  readonly end: number;
}

/** What a request asks of a representation whose size is known. */
export type RangeDecision =
  | { readonly kind: 'whole' }
  | { readonly kind: 'part'; readonly range: Interval }
  | { readonly kind: 'unsatisfiable' };

const single = /^bytes=(\d*)-(\d*)$/i;

/**
 * Decides a `Range` header (RFC 9110 section 14). One range is served, a suffix range included; what is malformed, in
 * another unit or of several ranges is ignored, as section 14.2 lets a server do.
 */
export function decideRange(header: string | undefined, sizeBytes: number): RangeDecision {
  const match = header === undefined ? null : single.exec(header.replaceAll(/[ \t]/g, ''));
  if (match === null) return { kind: 'whole' };
  const [, first = '', last = ''] = match;
  if (first === '' && last === '') return { kind: 'whole' };
  if (first === '') {
    const suffixBytes = Number(last);
    if (suffixBytes === 0 || sizeBytes === 0) return { kind: 'unsatisfiable' };
    return { kind: 'part', range: { start: Math.max(0, sizeBytes - suffixBytes), end: sizeBytes } };
  }
  const start = Number(first);
  if (last !== '' && Number(last) < start) return { kind: 'whole' };
  // Of an empty blob `bytes=0-`, which containerd sends, asks for all there is; section 14.2 lets us ignore the header.
  if (start === 0 && sizeBytes === 0 && last === '') return { kind: 'whole' };
  if (start >= sizeBytes) return { kind: 'unsatisfiable' };
  const end = last === '' ? sizeBytes : Math.min(Number(last) + 1, sizeBytes);
  return { kind: 'part', range: { start, end } };
}

/** A `Content-Range` as `bytes start-end/size`, or undefined where it is none. `sizeBytes` is undefined for `*`. */
export function parseContentRange(header: string): { range: Interval; sizeBytes: number | undefined } | undefined {
  const match = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(header.trim());
  if (match === null) return undefined;
  const [, first, last, size] = match;
  const range = { start: Number(first), end: Number(last) + 1 };
  const sizeBytes = size === '*' ? undefined : Number(size);
  if (range.end <= range.start || (sizeBytes !== undefined && range.end > sizeBytes)) return undefined;
  return { range, sizeBytes };
}
