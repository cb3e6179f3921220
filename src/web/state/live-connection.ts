import type { StateDocument } from '../../admin/state-document.ts';
import { patched } from '../../core/merge-patch.ts';

/**
 * The page's one stream of events.
 *
 * Invariants: there is at most one EventSource. A connection that ends is made anew after a pause that grows to
 * `longestPauseMs`; what was shown stays. Each connection begins with the whole state, so nothing that was missed is missing
 * afterwards.
 */
export interface LiveConnectionDeps {
  /** All there is, after each event. */
  readonly changed: (document: StateDocument) => void;
  readonly connected: () => void;
  readonly disconnected: () => void;
}

const path = '/api/v1/events';
const firstPauseMs = 1000;
const longestPauseMs = 10_000;

export class LiveConnection {
  readonly #deps: LiveConnectionDeps;
  #source: EventSource | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #pauseMs = firstPauseMs;

  constructor(deps: LiveConnectionDeps) {
    this.#deps = deps;
  }

  open(): void {
    this.close();
    const source = new EventSource(path);
    this.#source = source;
    let document: StateDocument | undefined;
    source.addEventListener('state', ({ data }: MessageEvent<string>) => {
      if (document === undefined) {
        this.#pauseMs = firstPauseMs;
        this.#deps.connected();
      }
      document = JSON.parse(data) as StateDocument;
      this.#deps.changed(document);
    });
    source.addEventListener('change', ({ data }: MessageEvent<string>) => {
      document = patched(document, JSON.parse(data)) as StateDocument;
      this.#deps.changed(document);
    });
    // The browser would try again by itself only after some failures, and at its own pace.
    source.addEventListener('error', () => this.#lost(source));
  }

  /** At once, not after the pause: somebody looks at the page again, or asks for it. */
  hurry(): void {
    if (this.#source === undefined) this.open();
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#source?.close();
    this.#source = undefined;
  }

  #lost(source: EventSource): void {
    if (source !== this.#source) return;
    this.close();
    this.#deps.disconnected();
    this.#timer = setTimeout(() => this.open(), this.#pauseMs * (0.75 + Math.random() / 2));
    this.#pauseMs = Math.min(longestPauseMs, this.#pauseMs * 1.7);
  }
}
