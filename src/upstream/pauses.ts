import type { Clock } from '../core/clock.ts';

/** What a request to an endpoint is, as far as limits tell requests apart. */
export type GateWhat = 'manifest-get' | 'manifest-head' | 'blob-body' | 'blob-head' | 'other';

type PauseKey = 'manifest-get' | 'manifest-head' | 'blobs' | 'everything';

/** Which pauses hold up a request. HEADs of manifests are free where GETs are counted (Docker Hub), not the other way. */
const heldUpBy: Readonly<Record<GateWhat, readonly PauseKey[]>> = {
  'manifest-get': ['manifest-get', 'manifest-head', 'everything'],
  'manifest-head': ['manifest-head', 'everything'],
  'blob-body': ['blobs', 'everything'],
  'blob-head': ['blobs', 'everything'],
  other: ['everything'],
};

const begunBy: Readonly<Record<GateWhat, PauseKey>> = {
  'manifest-get': 'manifest-get',
  'manifest-head': 'manifest-head',
  'blob-body': 'blobs',
  'blob-head': 'blobs',
  other: 'everything',
};

const told: Readonly<Record<PauseKey, 'manifests' | 'blobs' | 'everything'>> = {
  'manifest-get': 'manifests',
  'manifest-head': 'manifests',
  blobs: 'blobs',
  everything: 'everything',
};

const imposedBy: Readonly<Record<'manifests' | 'blobs' | 'everything', PauseKey>> = {
  manifests: 'manifest-get',
  blobs: 'blobs',
  everything: 'everything',
};

/** Nobody's Retry-After is believed beyond this: then one request finds out. */
const longestMs = 3_600_000;
/** Where nothing says how long: this, doubled with each refusal in a row. */
const firstMs = 1000;
const longestGuessMs = 60_000;
/** So long is the answer to the first request after a pause waited for before another may try. */
const probeMs = 2000;
/** Refusals of one burst end within moments of each other: only what lasts this much longer is news. */
const noticeableMs = 1000;

interface Pause {
  untilMs: number;
  /** Refusals in a row. */
  strikes: number;
  /** Its place among all that began or were prolonged: of tickets from before it, no success says that it is over. */
  began: number;
  status: number;
  probe: { readonly ticket: Ticket; readonly sinceMs: number } | undefined;
}

/** One request that was let in. */
export interface Ticket {
  readonly what: GateWhat;
  /** Pauses that had begun by then. */
  readonly begun: number;
}

export interface PauseNews {
  readonly what: 'manifests' | 'blobs' | 'everything';
  readonly forMs: number;
}

/**
 * The rests that an endpoint asked for.
 *
 * Each pause is one of: resting (its time is not over), due (it is over, and nobody has asked yet), probing (one has, and
 * has no answer yet), gone (somebody who asked after it began was not refused). `refused` makes resting out of all of them;
 * time makes due out of resting; `letIn` probing out of due; `ended` due out of probing, where no answer decided; and
 * `succeeded` gone out of due and probing.
 *
 * - A pause only grows while it rests: what is told later and shorter says nothing.
 * - Of a burst that is refused at once, the first refusal is a strike; those that were on the way with it are not.
 * - Requests for tokens and lists are never held up by a probe: the probe itself may be waiting for its token.
 */
export class Pauses {
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #pauses = new Map<PauseKey, Pause>();
  #begun = 0;

  constructor(deps: { clock: Clock; random: () => number }) {
    this.#clock = deps.clock;
    this.#random = deps.random;
  }

  restMs(what: GateWhat): number {
    return Math.max(0, this.#untilMs(what) - this.#clock.monotonic());
  }

  /** The status of the answer that asked for the rest of `what` which ends last, while it lasts. */
  cause(what: GateWhat): number | undefined {
    const untilMs = this.#untilMs(what);
    if (untilMs <= this.#clock.monotonic()) return undefined;
    return this.#holding(what).find((pause) => pause.untilMs === untilMs)?.status;
  }

  /** How long another request may still have to wait for the answer of the one that was let in after a pause. */
  probeMs(what: GateWhat): number {
    if (what === 'other') return 0;
    const nowMs = this.#clock.monotonic();
    const waits = this.#holding(what).map(({ probe }) => (probe === undefined ? 0 : probe.sinceMs + probeMs - nowMs));
    return Math.max(0, ...waits);
  }

  /** Only when nothing rests. Whoever comes first after a pause is the one whose answer the others wait for. */
  letIn(what: GateWhat): Ticket {
    const ticket = { what, begun: this.#begun };
    if (what === 'other') return ticket;
    for (const pause of this.#holding(what)) pause.probe = { ticket, sinceMs: this.#clock.monotonic() };
    return ticket;
  }

  /** News, where a pause began by this or became noticeably longer. */
  refused({ what, begun }: Ticket, status: number, retryAfterMs: number | undefined): PauseNews | undefined {
    const key = begunBy[what];
    const known = this.#pauses.get(key);
    const isStrike = known === undefined || known.began <= begun;
    const strikes = (known?.strikes ?? 0) + (isStrike ? 1 : 0);
    const nowMs = this.#clock.monotonic();
    const forMs =
      retryAfterMs !== undefined && retryAfterMs >= firstMs ? retryAfterMs : isStrike ? this.#guessMs(strikes) : 0;
    const untilMs = nowMs + Math.min(forMs, longestMs);
    const isNews = isStrike || untilMs > known.untilMs + noticeableMs;
    const pause = known ?? { untilMs, strikes, began: 0, status, probe: undefined };
    if (untilMs >= pause.untilMs) pause.status = status;
    pause.untilMs = Math.max(pause.untilMs, untilMs);
    pause.strikes = strikes;
    if (isNews) pause.began = ++this.#begun;
    this.#pauses.set(key, pause);
    return isNews ? { what: told[key], forMs: pause.untilMs - nowMs } : undefined;
  }

  /** Another node was asked for a rest, which holds for all. Returns whether that is news. */
  imposed(what: PauseNews['what'], status: number, forMs: number): boolean {
    const key = imposedBy[what];
    const untilMs = this.#clock.monotonic() + Math.min(forMs, longestMs);
    const known = this.#pauses.get(key);
    if (known !== undefined && untilMs <= known.untilMs + noticeableMs) return false;
    this.#pauses.set(key, { untilMs, strikes: known?.strikes ?? 0, began: ++this.#begun, status, probe: undefined });
    return true;
  }

  succeeded({ what, begun }: Ticket): void {
    for (const key of heldUpBy[what]) {
      const pause = this.#pauses.get(key);
      if (pause !== undefined && pause.began <= begun) this.#pauses.delete(key);
    }
  }

  ended(ticket: Ticket): void {
    for (const pause of this.#holding(ticket.what)) {
      if (pause.probe?.ticket === ticket) pause.probe = undefined;
    }
  }

  /** Those that rest. */
  snapshot(): { what: GateWhat; leftMs: number }[] {
    const nowMs = this.#clock.monotonic();
    const whats: readonly GateWhat[] = ['manifest-get', 'manifest-head', 'blob-body', 'other'];
    return whats.flatMap((what) => {
      const leftMs = (this.#pauses.get(begunBy[what])?.untilMs ?? 0) - nowMs;
      return leftMs > 0 ? [{ what, leftMs }] : [];
    });
  }

  #guessMs(strikes: number): number {
    const boundMs = Math.min(longestGuessMs, firstMs * 2 ** (strikes - 1));
    return Math.round(boundMs * (0.75 + this.#random() / 2));
  }

  #untilMs(what: GateWhat): number {
    return Math.max(Number.NEGATIVE_INFINITY, ...this.#holding(what).map(({ untilMs }) => untilMs));
  }

  #holding(what: GateWhat): Pause[] {
    return heldUpBy[what].map((key) => this.#pauses.get(key)).filter((pause) => pause !== undefined);
  }
}
