/** One who waits for a turn. */
export interface QueueEntry {
  readonly waitedMs: number;
  /** Responses that wait for the bytes. */
  readonly waiters: number;
  /** What is still to come of the blob, in bytes; undefined where nobody knows. */
  readonly missingBytes: number | undefined;
}

/**
 * The most that can be gained over others by waiters and by size. It is what nobody starves by: whoever has waited so
 * much longer than another goes first, whatever the two want.
 */
export const greatestHeadStartMs = 15_000;

const largeBytes = 2 ** 30;

/**
 * How far in front one stands: the greater the sooner its turn. Waiting counts as it is; waiters and a small rest count
 * as if one had waited longer, each doubling the same again, so that they matter among those who came at about one time.
 */
export function precedenceMs({ waitedMs, waiters, missingBytes }: QueueEntry): number {
  const forWaiters = 1000 * Math.min(10, Math.log2(1 + Math.max(0, waiters)));
  // What nobody knows the size of is taken for something in between.
  const bytes = Math.max(1, missingBytes ?? largeBytes / 32);
  const forSize = 500 * Math.min(10, Math.max(0, Math.log2(largeBytes / bytes)));
  return waitedMs + forWaiters + forSize;
}

/** Whose turn it is: the greatest precedence, and of equals the first in the list. */
export function nextInLine(precedences: readonly number[]): number | undefined {
  let next: number | undefined;
  let greatest = Number.NEGATIVE_INFINITY;
  for (const [index, precedence] of precedences.entries()) {
    if (precedence <= greatest) continue;
    greatest = precedence;
    next = index;
  }
  return next;
}
