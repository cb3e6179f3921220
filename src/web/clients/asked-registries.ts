import { signal } from '@preact/signals';
import type { CachedRegistry } from '../../clients/cache-facts.ts';
import { registriesIn, type SettingValue } from '../../clients/registries.ts';
import { failureWords, read } from '../state/admin-call.ts';

export type AskedRegistriesState =
  | { readonly kind: 'waiting' }
  | { readonly kind: 'failed'; readonly message: string }
  | { readonly kind: 'known'; readonly registries: readonly CachedRegistry[] };

/** The browser itself would wait for minutes. */
const longestWaitMs = 20_000;

/** What the cache pulls from, of its settings, which hold as long as it runs: asked for once, and again if that failed. */
export class AskedRegistries {
  readonly state = signal<AskedRegistriesState>({ kind: 'waiting' });
  #asking = new AbortController();

  async load(): Promise<void> {
    this.#asking.abort();
    const asking = new AbortController();
    this.#asking = asking;
    this.state.value = { kind: 'waiting' };
    try {
      const bound = AbortSignal.any([asking.signal, AbortSignal.timeout(longestWaitMs)]);
      const { settings } = await read<{ readonly settings: readonly SettingValue[] }>('/api/v1/settings', bound);
      if (!asking.signal.aborted) this.state.value = { kind: 'known', registries: registriesIn(settings) };
    } catch (error) {
      if (!asking.signal.aborted) this.state.value = { kind: 'failed', message: failureWords(error) };
    }
  }

  close(): void {
    this.#asking.abort();
  }
}
