/** Bytes that follow each other, in one piece or in several: so they are written in one go without being copied together. */
export type BytePieces = Uint8Array | readonly Uint8Array[];

export function piecesOf(bytes: BytePieces): readonly Uint8Array[] {
  return bytes instanceof Uint8Array ? [bytes] : bytes;
}

export function piecesLength(bytes: BytePieces): number {
  if (bytes instanceof Uint8Array) return bytes.length;
  let length = 0;
  for (const piece of bytes) length += piece.length;
  return length;
}

/** The bytes from `start` to `end` (excluded), as views: nothing is copied. */
export function slicePieces(pieces: readonly Uint8Array[], start: number, end: number): readonly Uint8Array[] {
  const slice: Uint8Array[] = [];
  let at = 0;
  for (const piece of pieces) {
    const [from, to] = [Math.max(start - at, 0), Math.min(end - at, piece.length)];
    if (from < to) slice.push(from === 0 && to === piece.length ? piece : piece.subarray(from, to));
    at += piece.length;
  }
  return slice;
}

/**
 * Gives back the memory of a piece that nobody looks at any more, now rather than at the next collection of garbage: each
 * piece of a body comes in a buffer of its own, and what fast ones pile up would cause a full collection every few
 * milliseconds. Only where the piece is all of its buffer: who has another part of it keeps it.
 */
export function giveBack(piece: Uint8Array): void {
  const { buffer } = piece;
  if (buffer instanceof ArrayBuffer && buffer.byteLength === piece.byteLength && buffer.byteLength >= leastGivenBack) {
    buffer.transfer(0);
  }
}

/** What is less is not worth the call. */
const leastGivenBack = 4096;
