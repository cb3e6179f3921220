import { constants } from 'node:fs';
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import type { Disk } from './disk.ts';

const { O_RDWR, O_CREAT, O_TRUNC } = constants;

/** The disk of this machine. */
export const nodeDisk: Disk = {
  async boot() {
    // Linux (random(4)). The next start of a container or of this program has the same one.
    const text = await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => '');
    return text.trim() || undefined;
  },
  open: (path, as) => open(path, O_RDWR | O_CREAT | (as === 'empty' ? O_TRUNC : 0)),
  rename,
  remove: (path) => rm(path, { force: true }),
  async makeFolder(path, mode) {
    await mkdir(path, { mode });
  },
  async syncFolder(path) {
    const folder = await open(path, 'r');
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  },
};
