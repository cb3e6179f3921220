import type { StateDocument } from '../../admin/state-document.ts';
import { patched } from '../../core/merge-patch.ts';
import { type CallError, refusalOf } from './admin-call.ts';

/** What the server says in place of a stream. */
export interface Refusal {
  readonly status: number;
  readonly words: string;
}

export interface LiveConnectionDeps {
  /** All there is, after each event. */
  readonly changed: (document: StateDocument) => void;
  readonly connected: () => void;
  /** Since `atMs`, by the clock of this machine. `refusal` undefined: the server is away, or it is not known what it says. */
  readonly disconnected: (atMs: number, refusal: Refusal | undefined) => void;
}

const path = '/api/v1/events';
const firstPauseMs = 1000;
const longestPauseMs = 10_000;
/** The server tells something every five seconds at least: a point of the history. */
const silentMs = 20_000;
const askMs = 10_000;

/**
 * The page's one stream of events.
 *
 * Invariants: there is at most one EventSource, and a question why there is none only while there is none. A connection that
 * ends, or on which nothing is heard for `silentMs` (a machine that was asleep, a line that was cut), is made anew after a pause
 * that grows to `longestPauseMs`, or that the server asks for; what was shown stays. Each connection begins with the whole
 * state, so nothing that was missed is missing afterwards.
 */
export class LiveConnection {
  readonly #deps: LiveConnectionDeps;
  #source: EventSource | undefined;
  #asking: AbortController | undefined;
  /** Runs always once opened: to the next attempt, or to a look whether anything was heard. */
  #timer: ReturnType<typeof setTimeout> | undefined;
  #pauseMs = firstPauseMs;
  #heardAtMs = 0;
  #refusal: Refusal | undefined;

  constructor(deps: LiveConnectionDeps) {
    this.#deps = deps;
  }

  open(): void {
    this.close();
    const source = new EventSource(path);
    this.#source = source;
    this.#heardAtMs = Date.now();
    this.#watch(source);
    let document: StateDocument | undefined;
    source.addEventListener('state', ({ data }: MessageEvent<string>) => {
      this.#heardAtMs = Date.now();
      if (document === undefined) {
        this.#pauseMs = firstPauseMs;
        this.#refusal = undefined;
        this.#deps.connected();
      }
      document = JSON.parse(data) as StateDocument;
      this.#deps.changed(document);
    });
    source.addEventListener('change', ({ data }: MessageEvent<string>) => {
      this.#heardAtMs = Date.now();
      document = patched(document, JSON.parse(data)) as StateDocument;
      this.#deps.changed(document);
    });
    // The browser would try again by itself only after some failures, and at its own pace.
    source.addEventListener('error', () => this.#lost(source, Date.now()));
  }

  /** At once, not after the pause: somebody looks at the page again, or asks for it. */
  hurry(): void {
    if (this.#source === undefined) this.open();
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#asking?.abort();
    this.#source?.close();
    this.#source = undefined;
  }

  /** Looks by the time of day: a timer does not run while the machine sleeps. */
  #watch(source: EventSource): void {
    const leftMs = this.#heardAtMs + silentMs - Date.now();
    if (leftMs <= 0) this.#lost(source, this.#heardAtMs);
    else this.#timer = setTimeout(() => this.#watch(source), leftMs);
  }

  #lost(source: EventSource, atMs: number): void {
    if (source !== this.#source) return;
    // An EventSource that is answered something else than a stream gives up for good, and does not tell what it was (HTML 9.2.3).
    const isRefused = source.readyState === EventSource.CLOSED;
    this.close();
    this.#deps.disconnected(atMs, this.#refusal);
    if (isRefused) void this.#ask(atMs);
    else this.#tryAfter(jittered(this.#pauseMs));
  }

  async #ask(atMs: number): Promise<void> {
    const asking = new AbortController();
    this.#asking = asking;
    let refusal: CallError | undefined;
    try {
      refusal = await refusalOf(path, AbortSignal.any([asking.signal, AbortSignal.timeout(askMs)]));
    } catch {
      // It is away by now.
    }
    if (asking.signal.aborted) return;
    this.#refusal = refusal && { status: refusal.status, words: refusal.message };
    this.#deps.disconnected(atMs, this.#refusal);
    const { retryAfterMs } = refusal ?? {};
    this.#tryAfter(retryAfterMs === undefined ? jittered(this.#pauseMs) : retryAfterMs * (1 + Math.random() / 4));
  }

  #tryAfter(pauseMs: number): void {
    this.#timer = setTimeout(() => this.open(), pauseMs);
    this.#pauseMs = Math.min(longestPauseMs, this.#pauseMs * 1.7);
  }
}

/** Many pages that lost the same server do not come back all at once. */
function jittered(pauseMs: number): number {
  return pauseMs * (0.75 + Math.random() / 2);
}
