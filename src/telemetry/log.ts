import { type DestinationStream, destination, type Logger, pino, stdTimeFunctions } from 'pino';
import { type Clock, systemClock } from '../core/clock.ts';
import { asAppError } from '../core/errors.ts';
import type { Channels, EvictionEvent, NoticeEvent, RequestEvent } from './channels.ts';
import { type EndpointLine, EndpointLines } from './endpoint-lines.ts';
import { type FlightLine, FlightLines } from './flight-lines.ts';
import { clipped, maxValueLength, RequestLines } from './request-lines.ts';

export type LogLevel = NoticeEvent['level'];

export interface LogOptions {
  readonly level: LogLevel;
  /** Write one line for each request. */
  readonly access: boolean;
  /** Where the lines go; standard output where it is left out. */
  readonly stream?: DestinationStream | undefined;
}

/** A log that takes what other threads have formatted. */
export interface LogLines {
  /** Lines that nobody took in time, of all threads. */
  readonly droppedLines: number;
  /** Whole lines, each with its end. */
  writeLines(lines: string): void;
  /** So many lines were dropped before they came here. */
  countDropped(lines: number): void;
}

const maxItems = 50;
const maxDepth = 6;
/** Bytes of lines that wait for a slow reader of standard output; what comes on top is dropped (P8). */
const maxWaitingBytes = 4 * 1024 * 1024;
const maxFlushMs = 2000;

/**
 * One JSON object per line: `time`, `level`, `event`, then what the event says. A line never holds a credential: values
 * of telling names are replaced, and URLs lose their user and their query.
 */
export class Log implements LogLines, AsyncDisposable {
  readonly #logger: Logger;
  readonly #stream: DestinationStream;
  readonly #requestLines = new RequestLines();
  #droppedLines = 0;
  #time = { ms: 0, text: '' };

  constructor(deps: { readonly channels: Channels; readonly clock?: Clock }, options: LogOptions) {
    const { channels, clock = systemClock } = deps;
    const stream = options.stream ?? this.#standardOutput();
    this.#stream = stream;
    this.#logger = pino(
      {
        level: options.level,
        base: null,
        timestamp: stdTimeFunctions.isoTime,
        messageKey: 'message',
        formatters: { level: (level) => ({ level }) },
      },
      stream,
    );
    channels.notice.subscribe((event) => this.#notice(event));
    const flights = new FlightLines({ clock });
    channels.flight.subscribe((event) => this.#flight(flights.line(event)));
    channels.eviction.subscribe((event) => this.#eviction(event));
    const endpoints = new EndpointLines({ clock });
    channels.breaker.subscribe((event) => this.#endpoint(endpoints.breaker(event)));
    channels.pause.subscribe((event) => this.#endpoint(endpoints.pause(event)));
    if (options.access) channels.request.subscribe((event) => this.#request(event));
  }

  get droppedLines(): number {
    return this.#droppedLines;
  }

  writeLines(lines: string): void {
    this.#stream.write(lines);
  }

  countDropped(lines: number): void {
    this.#droppedLines += lines;
  }

  /** Waits until every line is written; not for ever, for whoever reads standard output may have stopped. */
  [Symbol.asyncDispose](): Promise<void> {
    return new Promise((resolve) => {
      const limit = setTimeout(resolve, maxFlushMs);
      this.#logger.flush(() => {
        clearTimeout(limit);
        resolve();
      });
    });
  }

  #standardOutput(): DestinationStream {
    const stream = destination({ dest: 1, sync: false, maxLength: maxWaitingBytes });
    return stream.on('drop', (dropped: string) => this.countDropped(dropped.split('\n').length - 1));
  }

  #notice({ level, message, error, fields }: NoticeEvent): void {
    if (!this.#logger.isLevelEnabled(level)) return;
    const failure = error === undefined ? {} : { error: errorFields(error) };
    const own = fields === undefined ? {} : bounded('fields', fields);
    this.#logger[level](Object.assign({ event: 'notice' }, own, failure), withoutSecrets(message));
  }

  /** There are so many of these that the line is put together here, as pino would. */
  #request(event: RequestEvent): void {
    if (!this.#logger.isLevelEnabled('info')) return;
    this.#stream.write(this.#requestLines.line(event, this.#timeText()));
  }

  #timeText(): string {
    const nowMs = Date.now();
    if (nowMs !== this.#time.ms) this.#time = { ms: nowMs, text: new Date(nowMs).toISOString() };
    return this.#time.text;
  }

  #flight({ level, message, fields }: FlightLine): void {
    if (!this.#logger.isLevelEnabled(level)) return;
    this.#logger[level](fields, message === undefined ? undefined : withoutSecrets(message));
  }

  #endpoint(line: EndpointLine | undefined): void {
    if (line === undefined || !this.#logger.isLevelEnabled(line.level)) return;
    // An upstream's own words are among them.
    this.#logger[line.level](bounded('fields', line.fields), line.message);
  }

  #eviction(event: EvictionEvent): void {
    this.#logger.info({ event: 'eviction', ...event });
  }
}

/** Code, message and the messages of what led here; the stack only where nobody foresaw the error. */
export function errorFields(error: unknown): Readonly<Record<string, unknown>> {
  const known = asAppError(error);
  const causes: string[] = [];
  for (let cause = known.cause; cause !== undefined && causes.length < 8; ) {
    causes.push(withoutSecrets(cause instanceof Error ? cause.message : String(cause)));
    cause = cause instanceof Error ? cause.cause : undefined;
  }
  const origin = known.cause instanceof Error ? known.cause : known;
  return {
    code: known.code,
    message: withoutSecrets(known.message),
    ...(causes.length === 0 ? {} : { causes }),
    ...(known.code === 'INTERNAL' ? { stack: withoutSecrets(origin.stack ?? '', 4 * maxValueLength) } : {}),
  };
}

const secretName = /^(authorization|cookie|.*(password|passwd|secret|token|credentials?|private_?key))$/i;

function bounded(name: string, value: unknown, depth = 0): unknown {
  if (value instanceof Error) return errorFields(value);
  if (typeof value === 'string') return secretName.test(name) ? '[redacted]' : withoutSecrets(value);
  if (typeof value === 'bigint') return String(value);
  if (typeof value !== 'object' || value === null) return value;
  if (depth >= maxDepth) return '[nested too deep]';
  if (Array.isArray(value)) return value.slice(0, maxItems).map((item) => bounded(name, item, depth + 1));
  const entries = Object.entries(value).slice(0, maxItems);
  return Object.fromEntries(entries.map(([key, inner]) => [clipped(key), bounded(key, inner, depth + 1)]));
}

/** Text without what its author may have overlooked: signed URLs' queries, users in URLs, Authorization values. */
function withoutSecrets(text: string, maxLength = maxValueLength): string {
  // Clipped once more at the end: a clip before the replacing could cut a secret where it is no longer recognised.
  const clean = text
    .slice(0, 4 * maxLength)
    .replaceAll(/(https?:\/\/)[^\s/@"'<>]*@/gi, '$1')
    .replaceAll(/(https?:\/\/[^\s?#"'<>]*)[?#][^\s"'<>]*/gi, '$1')
    .replaceAll(/\b(Bearer|Basic)\s+[\w+/.~=-]{16,}/g, '$1 [redacted]');
  return clipped(clean, maxLength);
}
