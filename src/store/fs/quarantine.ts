import { readdir, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import type { Digest } from '../../core/digest.ts';
import type { Disk } from './disk.ts';
import type { Layout } from './layout.ts';

const maxBytes = 2 ** 30;
const maxFiles = 32;

/** Where damaged content is kept for an operator to look at: the newest of it, within a gibibyte. */
export class Quarantine {
  readonly #disk: Disk;
  readonly #layout: Layout;

  constructor(deps: { readonly disk: Disk; readonly layout: Layout }) {
    this.#disk = deps.disk;
    this.#layout = deps.layout;
  }

  /** Moves the content's file here. Rejects with the system's error; ENOENT: there was none. */
  async take(digest: Digest): Promise<void> {
    const path = this.#layout.quarantined(digest);
    await this.#disk.rename(this.#layout.blob(digest), path);
    const now = new Date();
    await utimes(path, now, now).catch(() => {});
    await this.#bound(path);
  }

  /** What came last stays, whatever the clock says of it. */
  async #bound(last: string): Promise<void> {
    const folder = this.#layout.quarantine;
    const paths = (await readdir(folder)).map((name) => join(folder, name));
    const files = await Promise.all(paths.map(async (path) => ({ path, ...(await measure(path)) })));
    files.sort((a, b) => Number(b.path === last) - Number(a.path === last) || b.atMs - a.atMs);
    let [bytes, count] = [0, 0];
    for (const file of files) {
      bytes += file.bytes;
      count++;
      if (bytes > maxBytes || count > maxFiles) await rm(file.path, { force: true, recursive: true });
    }
  }
}

async function measure(path: string): Promise<{ bytes: number; atMs: number }> {
  const status = await stat(path).catch(() => undefined);
  return { bytes: status?.size ?? 0, atMs: status?.mtimeMs ?? 0 };
}
