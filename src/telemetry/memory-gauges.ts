import { Counter, Gauge, type Registry } from 'prom-client';

/** What the process has set aside of `server.memory`, and how the blocks of hot content do. */
export interface MemoryFigures {
  /** In bytes, by what it is for. */
  readonly shares: Readonly<Record<'blocks' | 'queued' | 'small-blobs' | 'manifests' | 'prepared', number>>;
  blocks(): {
    readonly usedBytes: number;
    readonly pinnedBytes: number;
    /** Modulo 2^32, of each thread. */
    readonly hits: number;
    readonly misses: number;
  };
  /** Memory of small blobs that are being filled. */
  smallBlobBytes(): number;
}

/** Gauges and counters of memory, read when they are asked for. */
export function addMemoryGauges(registry: Registry, { shares, blocks, smallBlobBytes }: MemoryFigures): void {
  const registers = [registry];
  const prefix = 'onepull_memory_';
  const share = new Gauge({
    name: `${prefix}share_bytes`,
    help: 'What may be taken of `server.memory`, by what for.',
    labelNames: ['use'],
    registers,
  });
  for (const [use, bytes] of Object.entries(shares)) share.set({ use }, bytes);
  const read = (name: string, help: string, value: () => number) =>
    new Gauge({
      name: `${prefix}${name}`,
      help,
      registers,
      collect() {
        this.set(value());
      },
    });
  const count = (name: string, help: string, value: () => number) => {
    let lastValue = 0;
    return new Counter({
      name: `${prefix}${name}`,
      help,
      registers,
      collect() {
        const now = value();
        // What one thread counts begins anew at 2^32: of the sum that would be a step back.
        this.inc((now - lastValue) >>> 0);
        lastValue = now;
      },
    });
  };
  read('block_bytes', 'Blocks of hot content that are in memory.', () => blocks().usedBytes);
  read('block_pinned_bytes', 'Of these, blocks that answers refer to now.', () => blocks().pinnedBytes);
  count('block_hits_total', 'Blocks that were in memory when they were wanted.', () => blocks().hits);
  count('block_misses_total', 'Blocks that were not, and for which a place was sought.', () => blocks().misses);
  read('small_blob_bytes', 'Small blobs that are filled in memory.', smallBlobBytes);
}
