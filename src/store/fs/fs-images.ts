import type { Digest } from '../../core/digest.ts';
import { AppError } from '../../core/errors.ts';
import type { Reference } from '../../core/reference.ts';
import type { Scope } from '../../core/scope.ts';
import type { ImageExtent, ImageOrder, ImagePage, ImageQuery, Images, PurgedImage } from '../images.ts';
import type { CatalogBacklog } from './catalog-backlog.ts';
import type { ImageList } from './image-list.ts';
import type { ImageNames } from './image-names.ts';
import type { ImagePlace, ImageTable } from './image-table.ts';
import type { PinnedContent } from './pinned-content.ts';
import type { Purge } from './purge.ts';

export interface FsImagesDeps {
  readonly backlog: Pick<CatalogBacklog, 'read' | 'drain'>;
  readonly table: ImageTable;
  readonly names: ImageNames;
  readonly list: ImageList;
  readonly purge: Pick<Purge, 'image'>;
  readonly pinned: Pick<PinnedContent, 'bytes'>;
  /** Called when something changed that `index.json` repeats. */
  readonly changed: () => void;
}

/** The images in the catalog. What an operator changes is changed, or fails: nothing of it waits for a better time. */
export class FsImages implements Images {
  readonly #deps: FsImagesDeps;

  constructor(deps: FsImagesDeps) {
    this.#deps = deps;
  }

  async list(query: ImageQuery, signal: AbortSignal): Promise<ImagePage> {
    const place = query.after === undefined ? undefined : placeOf(query.order, query.after);
    const { last, ...page } = await this.#deps.list.page(query, place, signal);
    return { ...page, next: last && cursorOf(query.order, last) };
  }

  extent(scope: Scope, manifest: Digest): ImageExtent {
    const { backlog, table } = this.#deps;
    const unknown = { sizeBytes: undefined, storedBytes: 0, missing: [manifest] };
    return backlog.read(() => table.extent(table.scopeId(scope), manifest), unknown);
  }

  count(): number {
    return this.#deps.backlog.read(() => this.#deps.table.count(), 0);
  }

  named(name: string): { scope: Scope; reference: Reference } | undefined {
    return this.#deps.table.named(name);
  }

  async purge(scope: Scope, reference: Reference): Promise<PurgedImage | undefined> {
    this.#deps.backlog.drain();
    const scopeId = this.#deps.table.scopeId(scope);
    return scopeId === undefined ? undefined : this.#deps.purge.image(scopeId, reference);
  }

  setPinned(scope: Scope, reference: Reference, isPinned: boolean): boolean {
    const { backlog, changed, names, table } = this.#deps;
    backlog.drain();
    const scopeId = table.scopeId(scope);
    if (scopeId === undefined || names.manifestsOf(scopeId, reference).length === 0) return false;
    names.setPinned(scopeId, reference, isPinned);
    changed();
    return true;
  }

  pinnedBytes(): number {
    return this.#deps.backlog.read(() => this.#deps.pinned.bytes(), 0);
  }
}

function cursorOf(order: ImageOrder, { key, id }: ImagePlace): string {
  return Buffer.from(JSON.stringify([order, key, id])).toString('base64url');
}

/** Throws REQUEST_MALFORMED for what no page of this order ended with. */
function placeOf(order: ImageOrder, cursor: string): ImagePlace {
  const [of, key, id] = parts(cursor);
  const isKey = order === 'name' ? typeof key === 'string' : Number.isSafeInteger(key);
  if (of !== order || !isKey || !Number.isSafeInteger(id)) {
    throw new AppError('REQUEST_MALFORMED', 'this is not where a page of the list in this order ended');
  }
  return { key: order === 'name' ? String(key) : Number(key), id: Number(id) };
}

function parts(cursor: string): unknown[] {
  try {
    const value: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'));
    return Array.isArray(value) ? value : [];
  } catch {
    return [];
  }
}
