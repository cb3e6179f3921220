import type { Clock } from '../core/clock.ts';
import { BusyMeter, type LoopTimes } from './busy-meter.ts';
import type { LogLines } from './log.ts';
import type { RequestCounts } from './request-tally.ts';
import type { Load, ThreadQuestion, ThreadReport } from './thread-telemetry.ts';

export interface ThreadReportsDeps {
  readonly clock: Clock;
  /** The sums of all threads. */
  readonly counts: RequestCounts;
  readonly log: LogLines | undefined;
  /** Of the main thread. */
  loopTimes(): LoopTimes;
}

export interface ReportingThread {
  /** From a small set: it becomes a label. */
  readonly name: string;
  post(question: ThreadQuestion): void;
  loopTimes(): LoopTimes;
}

/** How long a reader of the metrics waits for threads: one that is stuck must not hide what the others say. */
const answerWithinMs = 500;

/**
 * The main thread's side of `ThreadTelemetry`: adds up what threads report, and asks them before somebody reads.
 *
 * Invariants: sums never go down, whatever becomes of a thread; what a thread carries counts until it is gone. `refresh` ends
 * when every thread has answered or is gone, and after `answerWithinMs` in any case.
 */
export class ThreadReports {
  readonly #deps: ThreadReportsDeps;
  readonly #main: BusyMeter;
  readonly #threads = new Set<ThreadInbox>();

  constructor(deps: ThreadReportsDeps) {
    this.#deps = deps;
    this.#main = new BusyMeter(() => deps.loopTimes());
  }

  /** A thread has begun. Disposed of when it is gone: after its last report, if it can still give one. */
  open(thread: ReportingThread): ThreadInbox {
    const inbox = new ThreadInbox(this.#deps, thread, () => this.#threads.delete(inbox));
    this.#threads.add(inbox);
    return inbox;
  }

  /** Resolves when all that happened in the threads before the call is counted, if they answer in time. */
  async refresh(): Promise<void> {
    if (this.#threads.size === 0) return;
    const late = Promise.withResolvers<void>();
    const timer = this.#deps.clock.after(answerWithinMs, () => late.resolve());
    try {
      await Promise.race([Promise.all([...this.#threads].map((thread) => thread.ask())), late.promise]);
    } finally {
      timer.clear();
    }
  }

  /** What they carried when they were last heard of. */
  load(): Load {
    let [responses, queuedBytes] = [0, 0];
    for (const { load } of this.#threads) {
      responses += load.responses;
      queuedBytes += load.queuedBytes;
    }
    return { responses, queuedBytes };
  }

  /** How busy each thread was, the main thread first, between 0 and 1, since somebody asked. */
  busy(): { readonly thread: string; readonly ratio: number }[] {
    const others = [...this.#threads].map((thread) => ({ thread: thread.name, ratio: thread.busy() }));
    return [{ thread: 'main', ratio: this.#main.ratio() }, ...others];
  }
}

export class ThreadInbox implements Disposable {
  readonly name: string;
  load: Load = { responses: 0, queuedBytes: 0 };
  readonly #deps: ThreadReportsDeps;
  readonly #thread: ReportingThread;
  readonly #meter: BusyMeter;
  readonly #gone: () => void;
  readonly #asked = new Map<number, () => void>();
  #lastId = 0;
  #isGone = false;

  constructor(deps: ThreadReportsDeps, thread: ReportingThread, gone: () => void) {
    this.#deps = deps;
    this.#thread = thread;
    this.name = thread.name;
    this.#meter = new BusyMeter(() => thread.loopTimes());
    this.#gone = gone;
  }

  receive({ answers, counts, lines, droppedLines, load }: ThreadReport): void {
    const { log, counts: sums } = this.#deps;
    this.load = load;
    if (counts !== undefined) sums.addAll(counts);
    if (droppedLines > 0) log?.countDropped(droppedLines);
    if (lines !== '') {
      log?.writeLines(lines);
      if (!this.#isGone) this.#thread.post({ kind: 'written', characters: lines.length });
    }
    if (answers === undefined) return;
    this.#asked.get(answers)?.();
    this.#asked.delete(answers);
  }

  ask(): Promise<void> {
    if (this.#isGone) return Promise.resolve();
    const id = ++this.#lastId;
    return new Promise((resolve) => {
      this.#asked.set(id, resolve);
      this.#thread.post({ kind: 'report', id });
    });
  }

  busy(): number {
    return this.#meter.ratio();
  }

  [Symbol.dispose](): void {
    this.#isGone = true;
    for (const resolve of this.#asked.values()) resolve();
    this.#asked.clear();
    this.#gone();
  }
}
