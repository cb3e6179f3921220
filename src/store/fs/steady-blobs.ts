import type { Digest } from '../../core/digest.ts';
import type { CatalogBacklog } from './catalog-backlog.ts';
import type { BlobRow, BlobTable } from './catalog-blobs.ts';

/**
 * The record of what is committed, for as long as the catalog works and when it does not: then what it could not be told
 * is remembered here, and said as if it were in it.
 *
 * Invariants: `#overlay` holds only what waits in the backlog (see its `epoch`), `undefined` for a row that is to go;
 * `#overlayBytes` and `#overlayBlobs` are what it adds to the table's totals. What is only remembered is no root: it is
 * not evicted before the catalog has it, but what leaves for it lets the catalog be written again.
 */
export class SteadyBlobs {
  readonly #table: BlobTable;
  readonly #backlog: CatalogBacklog;
  readonly #overlay = new Map<Digest, BlobRow | undefined>();
  #epoch = 0;
  #overlayBytes = 0;
  #overlayBlobs = 0;
  #lastTotals = { sizeBytes: 0, blobs: 0 };

  constructor(deps: { readonly table: BlobTable; readonly backlog: CatalogBacklog }) {
    this.#table = deps.table;
    this.#backlog = deps.backlog;
  }

  find(digest: Digest): BlobRow | undefined {
    this.#refresh();
    if (this.#overlay.has(digest)) return this.#overlay.get(digest);
    return this.#backlog.read(() => this.#table.find(digest), undefined);
  }

  add(digest: Digest, sizeBytes: number, accessedAtMs: number): void {
    if (this.#backlog.write(() => this.#table.add(digest, sizeBytes, accessedAtMs))) return;
    this.#remember(digest, { digest, sizeBytes, accessedAtMs: Math.trunc(accessedAtMs), isPinned: false, parents: 0 });
  }

  remove(digest: Digest): void {
    this.removeBy([digest], () => this.#table.remove(digest));
  }

  /** Removes the rows of all of `digests` by `removal`, which forgets more than the rows. */
  removeBy(digests: readonly Digest[], removal: () => void): void {
    if (this.#backlog.write(removal)) return;
    for (const digest of digests) this.#remember(digest, undefined);
  }

  totals(): { readonly sizeBytes: number; readonly blobs: number } {
    this.#refresh();
    this.#lastTotals = this.#backlog.read(() => this.#table.totals(), this.#lastTotals);
    const { sizeBytes, blobs } = this.#lastTotals;
    return { sizeBytes: sizeBytes + this.#overlayBytes, blobs: blobs + this.#overlayBlobs };
  }

  pinned(): { readonly roots: number; readonly bytes: number } {
    return this.#backlog.read(() => this.#table.pinned(), { roots: 0, bytes: 0 });
  }

  pinnedRoots(): Digest[] {
    return this.#backlog.read(() => this.#table.pinnedRoots(), []);
  }

  slice(after: Digest | undefined, limit: number): BlobRow[] {
    return this.#backlog.read(() => this.#table.slice(after, limit), []);
  }

  roots(after: BlobRow | undefined, limit: number): BlobRow[] {
    return this.#backlog.read(() => this.#table.roots(after, limit), []);
  }

  strays(after: BlobRow | undefined, usedBeforeMs: number, limit: number): BlobRow[] {
    return this.#backlog.read(() => this.#table.strays(after, usedBeforeMs, limit), []);
  }

  strayTotals(): { readonly sizeBytes: number; readonly blobs: number } {
    return this.#backlog.read(() => this.#table.strayTotals(), { sizeBytes: 0, blobs: 0 });
  }

  #remember(digest: Digest, row: BlobRow | undefined): void {
    const before = this.find(digest);
    this.#overlay.set(digest, row && { ...row, isPinned: before?.isPinned ?? false, parents: before?.parents ?? 0 });
    this.#overlayBytes += (row?.sizeBytes ?? 0) - (before?.sizeBytes ?? 0);
    this.#overlayBlobs += (row === undefined ? 0 : 1) - (before === undefined ? 0 : 1);
  }

  #refresh(): void {
    if (this.#epoch === this.#backlog.epoch) return;
    this.#epoch = this.#backlog.epoch;
    this.#overlay.clear();
    this.#overlayBytes = 0;
    this.#overlayBlobs = 0;
  }
}
