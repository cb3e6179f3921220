import type { Clock } from '../core/clock.ts';
import type { ErrorCode } from '../core/errors.ts';
import { type FlightEvent, isFlightEnd, type NoticeEvent, type PassThroughEvent } from './channels.ts';
import { tenths } from './request-lines.ts';

export interface FlightLine {
  readonly level: NoticeEvent['level'];
  readonly message: string | undefined;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** What is wrong with one upstream, or with the disk, is a warning once in so long; what follows is told at `info`. */
const warnEveryMs = 10 * 60_000;

const notKeptWords: Readonly<Record<PassThroughEvent['cause'], string>> = {
  'too-large': 'it is larger than the cache may be',
  'disk-full': 'the disk is full',
  'cache-in-use': 'all that could leave the cache for it is in use',
  'disk-failed': 'the disk fails',
};

/** Faults that only a transfer sees. That an endpoint is away, refuses or limits us is said of the endpoint. */
const ownFaults: ReadonlySet<ErrorCode | undefined> = new Set<ErrorCode>([
  'CONTENT_MISMATCH',
  'PULL_DEADLINE',
  'UPSTREAM_INVALID',
  'UPSTREAM_REDIRECT_REFUSED',
]);

/**
 * What a log says of transfers. An end is `info`, what comes before it `debug`. A warning is what an operator has to see and is
 * told by nobody else: content that is wrong, and content that is not kept although it should be; each once in a while, for
 * many clients ask again and again.
 */
export class FlightLines {
  readonly #clock: Clock;
  /** Bounded: by the codes, and the upstreams of the configuration. */
  readonly #warnedAtMs = new Map<string, number>();

  constructor(deps: { clock: Clock }) {
    this.#clock = deps.clock;
  }

  line({ event, errorCode, message, ...flight }: FlightEvent): FlightLine {
    const { digest, upstream, source, endpoint, notKept, sizeBytes, filledBytes, receivedBytes, keptBytes } = flight;
    const { waiters, readers } = flight;
    const durationMs = tenths(flight.durationMs);
    const place = { digest, upstream, source, endpoint, notKept };
    const amounts = { sizeBytes, filledBytes, receivedBytes, keptBytes };
    return {
      level: this.#level(event, errorCode, flight),
      message: message ?? (event === 'passed' ? passedWords(notKept) : undefined),
      fields: { event: 'flight', change: event, ...place, ...amounts, waiters, readers, durationMs, error: errorCode },
    };
  }

  #level(
    event: FlightEvent['event'],
    errorCode: ErrorCode | undefined,
    { notKept, upstream }: Pick<FlightEvent, 'notKept' | 'upstream'>,
  ): FlightLine['level'] {
    if (!isFlightEnd(event)) return 'debug';
    if (event === 'failed' && errorCode === 'INTERNAL') return 'error';
    if (event === 'failed' && ownFaults.has(errorCode)) return this.#warning(`${errorCode} ${upstream}`);
    if (event === 'passed' && notKept !== 'too-large') return this.#warning(`${notKept}`);
    return 'info';
  }

  #warning(what: string): 'warn' | 'info' {
    const nowMs = this.#clock.monotonic();
    if (nowMs - (this.#warnedAtMs.get(what) ?? Number.NEGATIVE_INFINITY) < warnEveryMs) return 'info';
    this.#warnedAtMs.set(what, nowMs);
    return 'warn';
  }
}

function passedWords(cause: PassThroughEvent['cause'] | undefined): string {
  const why = cause === undefined ? '' : `: ${notKeptWords[cause]}`;
  return `streamed without being kept${why}`;
}
