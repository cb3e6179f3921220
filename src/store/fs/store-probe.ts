import { join } from 'node:path';
import type { Disk } from './disk.ts';
import { writeFully } from './file-io.ts';
import type { Layout } from './layout.ts';
import type { Trouble } from './store-health.ts';

export interface StoreProbeDeps {
  readonly disk: Disk;
  readonly space: { freeBytesNow(): Promise<number | undefined> };
  readonly backlog: { drain(): void };
  readonly state: { get(name: 'restored'): unknown };
  readonly index: { readonly isBehind: boolean; flush(): Promise<void> };
}

const probeBytes = 64 * 1024;

/** Tries what a trouble prevented: resolves where it works again. */
export function storeProbe(
  { disk, space, backlog, state, index }: StoreProbeDeps,
  layout: Layout,
  { minFreeBytes = 0 }: { readonly minFreeBytes?: number },
): (trouble: Trouble) => Promise<void> {
  const path = join(layout.ingest, 'probe.tmp');
  return async (trouble) => {
    switch (trouble) {
      case 'full': {
        const free = await space.freeBytesNow();
        if (free !== undefined && free < minFreeBytes) throw new Error('it has not enough free space yet');
        return tryWriting(disk, path);
      }
      case 'failing':
        return tryWriting(disk, path);
      case 'catalog':
        state.get('restored');
        return backlog.drain();
      case 'memory-catalog':
        throw new Error('only a start opens the catalog');
      case 'index':
        await index.flush();
        if (index.isBehind) throw new Error('it is still behind');
    }
  };
}

async function tryWriting(disk: Disk, path: string): Promise<void> {
  const file = await disk.open(path, 'empty');
  try {
    await writeFully(file, new Uint8Array(probeBytes), 0);
    await file.sync();
  } finally {
    await file.close();
    await disk.remove(path);
  }
}
