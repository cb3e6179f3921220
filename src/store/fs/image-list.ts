import { setImmediate } from 'node:timers/promises';
import type { Clock } from '../../core/clock.ts';
import { AppError } from '../../core/errors.ts';
import type { ImagePage, ImageQuery, ImageRecord } from '../images.ts';
import type { ImagePlace, ImageRow, ImageTable } from './image-table.ts';

export interface ImageListDeps {
  readonly clock: Pick<Clock, 'monotonic' | 'after'>;
  readonly table: ImageTable;
}

/** What is looked at between two looks at the clock, and how long that may go on in one turn of the event loop. */
const [rowsAtOnce, namesAtOnce] = [50, 1000];
const turnMs = 3;
/** So long a page waits for sizes that nobody has counted yet; then it is ordered by what is known. */
const countPatienceMs = 5000;

/**
 * Pages of the list of images, in turns of a few milliseconds each, however many there are.
 *
 * A page costs what it shows. A search goes through all names, for the page and for the count. Sizes are counted when an order
 * by size is asked for and some are not known: once for all who ask, and to the end, whether or not they wait for it; the
 * catalog keeps them. What changes between two turns may be missing, or be there twice, on this page only.
 */
export class ImageList implements AsyncDisposable {
  readonly #deps: ImageListDeps;
  readonly #closing = new AbortController();
  #counting: Promise<void> | undefined;

  constructor(deps: ImageListDeps) {
    this.#deps = deps;
  }

  async page({ order, search = '', limit, after }: ImageQuery, place: ImagePlace | undefined, signal: AbortSignal) {
    const { table } = this.#deps;
    const turn = new Turn(this.#deps.clock, AbortSignal.any([signal, this.#closing.signal]));
    const lower = search.toLowerCase();
    if (order === 'size') await this.#whenSized();
    const found = await this.#find({ order, search: lower, limit: limit + 1, after }, place, turn);
    const images: ImageRecord[] = [];
    for (const { id } of found.slice(0, limit)) {
      const row = table.row(id);
      if (row !== undefined) images.push(this.#record(row));
      await turn.next();
    }
    const total = lower === '' ? table.count() : await this.#count(lower, turn);
    const last = found.length > limit ? found[limit - 1] : undefined;
    return { images, total, last } satisfies Omit<ImagePage, 'next'> & { last: ImagePlace | undefined };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new AppError('SHUTTING_DOWN', 'the store is closed'));
    await this.#counting;
  }

  async #find({ order, search = '', limit }: ImageQuery, place: ImagePlace | undefined, turn: Turn) {
    const found: ImagePlace[] = [];
    for (let after = place; ; await turn.next()) {
      const size = search === '' ? limit : namesAtOnce;
      const slots = this.#deps.table.slice(order, search, after, size);
      for (const slot of slots) {
        if (slot.fits) found.push(slot.place);
        if (found.length === limit) return found;
      }
      if (slots.length < size) return found;
      after = slots.at(-1)?.place;
    }
  }

  async #count(search: string, turn: Turn): Promise<number> {
    let total = 0;
    for (let lastId = 0; ; await turn.next()) {
      const slice = this.#deps.table.countFits(search, lastId, namesAtOnce);
      if (slice === undefined) return total;
      total += slice.fits;
      lastId = slice.lastId;
    }
  }

  async #whenSized(): Promise<void> {
    this.#counting ??= this.#countSizes().finally(() => {
      this.#counting = undefined;
    });
    const patience = Promise.withResolvers<void>();
    const timer = this.#deps.clock.after(countPatienceMs, patience.resolve);
    await Promise.race([this.#counting, patience.promise]).finally(() => timer.clear());
  }

  /** Never rejects. */
  async #countSizes(): Promise<void> {
    const turn = new Turn(this.#deps.clock, this.#closing.signal);
    try {
      while (await this.#countSome(turn)) await turn.next();
    } catch {
      // The store closes, or the catalog is in trouble, which is told elsewhere: the order is by what is known.
    }
  }

  /** Whether there may be more. */
  async #countSome(turn: Turn): Promise<boolean> {
    const unsized = this.#deps.table.unsized(rowsAtOnce);
    const sizes: { id: number; sizeBytes: number }[] = [];
    for (const { id, scopeId, manifest } of unsized) {
      sizes.push({ id, sizeBytes: this.#deps.table.measure(scopeId, manifest).sizeBytes });
      await turn.next();
    }
    // A catalog that takes no changes now is ordered by what it knows.
    return unsized.length > 0 && this.#deps.table.setSizes(sizes);
  }

  #record(row: ImageRow): ImageRecord {
    const { name, scope, scopeId, manifest, mediaType, usedAtMs, cachedAtMs, isPinned } = row;
    const { sizeBytes, storedBytes } = this.#deps.table.measure(scopeId, manifest);
    if (row.sizeBytes !== sizeBytes) this.#deps.table.setSizes([{ id: row.id, sizeBytes }]);
    const times = { lastUsedAtMs: usedAtMs, cachedAtMs };
    return { name, scope, manifest, mediaType, sizeBytes, storedBytes, ...times, isPinned };
  }
}

/** Gives way to everything else whenever it has gone on for long enough. */
class Turn {
  readonly #clock: Pick<Clock, 'monotonic'>;
  readonly #signal: AbortSignal;
  #beganMs: number;

  constructor(clock: Pick<Clock, 'monotonic'>, signal: AbortSignal) {
    this.#clock = clock;
    this.#signal = signal;
    this.#beganMs = clock.monotonic();
  }

  async next(): Promise<void> {
    if (this.#clock.monotonic() - this.#beganMs < turnMs) return;
    await setImmediate();
    this.#signal.throwIfAborted();
    this.#beganMs = this.#clock.monotonic();
  }
}
