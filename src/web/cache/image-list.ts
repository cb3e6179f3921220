import { signal } from '@preact/signals';
import type { ImageSnapshot, ImagesPage, PurgeSnapshot } from '../../pull/image-snapshot.ts';
import { change, failureWords, read } from '../state/admin-call.ts';

export const orders = ['used', 'size', 'age', 'name'] as const;
export type Order = (typeof orders)[number];

export interface Query {
  readonly search: string;
  readonly sort: Order;
}

export type ImageListState =
  | { readonly kind: 'loading' }
  | { readonly kind: 'failed'; readonly message: string }
  | {
      readonly kind: 'loaded';
      readonly images: readonly ImageSnapshot[];
      readonly total: number;
      readonly after: string | undefined;
    };

const pageLength = 50;
/** What one answer holds at most. */
const longestPage = 200;

/**
 * The images in the cache, as far as they were asked for. An answer counts only if nothing newer was asked meanwhile: what is
 * typed fast never shows an older answer over a newer one.
 */
export class ImageList {
  readonly state = signal<ImageListState>({ kind: 'loading' });
  readonly query = signal<Query>({ search: '', sort: 'used' });
  #asking = new AbortController();

  /** From the start of the list. What is shown stays until the answer is here; the same list does not get shorter by it. */
  async load(query?: Query): Promise<void> {
    const state = this.state.value;
    const shown = query === undefined && state.kind === 'loaded' ? state.images.length : 0;
    if (query !== undefined) this.query.value = query;
    await this.#ask([], undefined, Math.max(pageLength, shown));
  }

  async more(): Promise<void> {
    const state = this.state.value;
    if (state.kind === 'loaded' && state.after !== undefined) {
      await this.#ask(state.images, state.after, state.images.length + pageLength);
    }
  }

  /** Whether it was done; false: the reader gave up. Rejects where the server refuses. */
  async purge(image: string): Promise<PurgeSnapshot | undefined> {
    const answer = await change<PurgeSnapshot>('DELETE', `/api/v1/images?image=${encodeURIComponent(image)}`);
    if (answer !== undefined) await this.load();
    return answer;
  }

  async pin(image: string, isPinned: boolean): Promise<boolean> {
    const answer = await change(isPinned ? 'PUT' : 'DELETE', `/api/v1/pins?image=${encodeURIComponent(image)}`);
    if (answer !== undefined) await this.load();
    return answer !== undefined;
  }

  close(): void {
    this.#asking.abort();
  }

  /** Goes on with `images`, which end before `after`, until there are `wanted`. */
  async #ask(images: readonly ImageSnapshot[], after: string | undefined, wanted: number): Promise<void> {
    this.#asking.abort();
    const asking = new AbortController();
    this.#asking = asking;
    try {
      let loaded: ImagesPage;
      let next = after;
      let all = images;
      do {
        loaded = await this.#page(next, Math.min(longestPage, wanted - all.length), asking.signal);
        all = [...all, ...loaded.images];
        next = loaded.after;
      } while (next !== undefined && all.length < wanted);
      if (!asking.signal.aborted) this.state.value = { kind: 'loaded', images: all, total: loaded.total, after: next };
    } catch (error) {
      if (!asking.signal.aborted) this.state.value = { kind: 'failed', message: failureWords(error) };
    }
  }

  async #page(after: string | undefined, limit: number, signal: AbortSignal): Promise<ImagesPage> {
    const { search, sort } = this.query.value;
    const query = new URLSearchParams({ sort, limit: String(limit) });
    if (search !== '') query.set('search', search);
    if (after !== undefined) query.set('after', after);
    return await read<ImagesPage>(`/api/v1/images?${query}`, signal);
  }
}
