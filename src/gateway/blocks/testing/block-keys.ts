/** Numbers between 0 and 1 that follow from a seed (mulberry32). */
export function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A file, perhaps of a large number, and one of its blocks: some are asked for much more often than others. */
export function keysOf(random: () => number): readonly [fileId: number, number: number] {
  const fileId = Math.floor(random() * 3) + (random() < 0.5 ? 0 : 2 ** 32);
  return [fileId, Math.floor(random() * random() * 40)];
}

/** What a block is filled with, so that its bytes say which one it is. */
export function contentOf(fileId: number, number: number): number {
  return 1 + (fileId % 2 ** 32) * 1000 + number + (fileId >= 2 ** 32 ? 100_000 : 0);
}
