import { constants } from 'node:fs';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import type { Disk } from './disk.ts';

const { O_RDWR, O_CREAT, O_TRUNC } = constants;

/** The disk of this machine. */
export const nodeDisk: Disk = {
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
