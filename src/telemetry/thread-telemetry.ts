import type { Clock, Timer } from '../core/clock.ts';
import { Channels } from './channels.ts';
import { Log, type LogLevel } from './log.ts';
import { RequestCounts, type RequestDelta } from './request-tally.ts';

/** What a gateway has to carry now. */
export interface Load {
  readonly responses: number;
  readonly queuedBytes: number;
}

/** What a thread tells the main thread. Plain data. */
export interface ThreadReport {
  /** The question that this answers, with everything that came before it. */
  readonly answers: number | undefined;
  readonly counts: RequestDelta | undefined;
  /** Whole lines of the log. */
  readonly lines: string;
  /** Lines that were left out since the last report. */
  readonly droppedLines: number;
  readonly load: Load;
}

/** What the main thread says to a thread. Plain data. */
export type ThreadQuestion =
  | { readonly kind: 'report'; readonly id: number }
  /** So many characters of lines were put to the log: as many more may come. */
  | { readonly kind: 'written'; readonly characters: number };

export interface ThreadTelemetryDeps {
  readonly clock: Clock;
  post(report: ThreadReport): void;
}

export interface ThreadTelemetryOptions {
  readonly level: LogLevel;
  /** Write one line for each request. */
  readonly access: boolean;
}

/** What was counted and written is reported after so long at the latest. */
const reportAfterMs = 250;
/** Lines are reported when they are about so many bytes: one message should not hold up the main thread for long. */
const batchBytes = 128 * 1024;
/** What a character takes at most. */
const mostBytesOfCharacter = 3;
/** Characters of lines that are here or on their way; what comes on top is dropped, as in the log itself (P8). */
const maxWaitingCharacters = 4 * 1024 * 1024;

/**
 * The channels, the tally and the log of a thread that answers clients. Lines are formatted here, so that the main thread
 * has nothing to do per request. They wait as bytes: strings would be moved by each collection of garbage until they are
 * reported, which costs several times what it takes to make them.
 *
 * Invariants: while there is something to report, a timer runs or it is being reported; warnings and errors do not wait.
 * What was counted is in exactly one report. Reports are in the order of what they tell, and no line is split over two.
 * Lines that wait are bounded, wherever they wait: `receive` says what was written. A thread that dies takes along what it
 * had not reported; nothing that was reported is ever taken back.
 */
export class ThreadTelemetry implements Disposable {
  readonly channels: Channels = new Channels();
  readonly tally: RequestCounts = new RequestCounts(this.channels);
  readonly #deps: ThreadTelemetryDeps;
  #load: () => Load = () => ({ responses: 0, queuedBytes: 0 });
  readonly #lines = Buffer.allocUnsafeSlow(batchBytes);
  #linesBytes = 0;
  #droppedLines = 0;
  /** Characters of lines that were reported and are not known to be written. */
  #unwritten = 0;
  #timer: Timer | undefined;

  constructor(deps: ThreadTelemetryDeps, options: ThreadTelemetryOptions) {
    this.#deps = deps;
    this.tally.whenChanged(() => this.#soon());
    new Log(
      { channels: this.channels, clock: deps.clock },
      { ...options, stream: { write: (line) => this.#add(line) } },
    );
    this.channels.notice.subscribe(({ level }) => {
      if (level === 'warn' || level === 'error') this.report();
    });
  }

  /** Reads what the gateway has to carry, for each report. */
  showLoad(load: () => Load): void {
    this.#load = load;
  }

  receive(question: ThreadQuestion): void {
    if (question.kind === 'report') this.report(question.id);
    else this.#unwritten -= question.characters;
  }

  /** Tells everything that has not been told. Also at the end of a drain. */
  report(answers?: number): void {
    this.#tell(answers, this.#lines.toString('utf8', 0, this.#linesBytes));
  }

  [Symbol.dispose](): void {
    this.report();
  }

  /** `lines`: those that wait, or, where none do, one that is too long to wait with others. */
  #tell(answers: number | undefined, lines: string): void {
    this.#timer?.clear();
    this.#timer = undefined;
    const [counts, droppedLines] = [this.tally.take(), this.#droppedLines];
    if (answers === undefined && counts === undefined && lines === '' && droppedLines === 0) return;
    this.#linesBytes = 0;
    this.#droppedLines = 0;
    this.#unwritten += lines.length;
    this.#deps.post({ answers, counts, lines, droppedLines, load: this.#load() });
  }

  #add(line: string): void {
    const bytes = mostBytesOfCharacter * line.length;
    if (this.#unwritten + this.#linesBytes + line.length > maxWaitingCharacters) this.#droppedLines++;
    else {
      if (this.#linesBytes + bytes > batchBytes) this.report();
      if (bytes > batchBytes) return this.#tell(undefined, line);
      this.#linesBytes += this.#lines.write(line, this.#linesBytes);
    }
    this.#soon();
  }

  #soon(): void {
    this.#timer ??= this.#deps.clock.after(reportAfterMs, () => this.report());
  }
}
