import type { PullReport, RequestFailure } from './chaos-pull.ts';
import type { Verdict } from './judge.ts';
import type { UpstreamBill } from './upstream-bill.ts';

/** A failure with what there is to know about it. */
export interface FailureEntry extends RequestFailure {
  /** Its number; a rush has none. */
  readonly pull: number | undefined;
  /** The time of its start, as ISO 8601. */
  readonly at: string;
  readonly tookMs: number;
  readonly cause: Verdict['cause'];
  readonly isPromiseBroken: boolean;
  /** The faults that were active: kind, target and number. */
  readonly active: readonly string[];
}

export interface OpenFiles {
  readonly files: number;
  readonly content: number;
  readonly sockets: number;
  readonly others: number;
}

/** Everything that came of a run. Plain data, so that it can be written down. */
export interface Ledger {
  readonly command: string;
  readonly seed: number;
  readonly startedAt: string;
  readonly tookMs: number;
  readonly endedEarly: boolean;
  readonly faultKinds: readonly string[];
  /** What was asked for and cannot be done here, with the reason. */
  readonly leftOut: readonly string[];
  readonly world: { readonly images: number; readonly totalBytes: number; readonly cacheBytes: number };
  readonly pulls: {
    readonly wanted: number;
    readonly complete: number;
    readonly left: number;
    readonly failed: number;
    readonly repeats: number;
    readonly bytes: number;
    readonly longestHeadersMs: number;
  };
  readonly rushes: {
    readonly requests: number;
    readonly complete: number;
    readonly refused: number;
  };
  readonly faults: Readonly<Record<string, number>>;
  readonly failures: readonly FailureEntry[];
  readonly wrongBytes: number;
  readonly staleTags: readonly string[];
  readonly upstream: UpstreamBill;
  /** Images that could not be pulled after everything was well again. */
  readonly wedged: readonly string[];
  readonly process: {
    readonly lives: number;
    readonly crashes: readonly string[];
    readonly peakRssBytes: number;
    readonly peakCacheBytes: number;
    readonly warm: OpenFiles | undefined;
    readonly end: OpenFiles | undefined;
    readonly leftOpen: readonly string[];
    readonly flightsLeft: readonly string[];
    readonly partialFilesLeft: readonly string[];
    /** Files in the store whose bytes are not what their name says, but for those damaged by the harness. */
    readonly damagedFiles: readonly string[];
    readonly quarantinedFiles: number;
    /** Files that were taken out of the store and are what their name says. */
    readonly soundQuarantined: readonly string[];
    readonly errorLines: Readonly<Record<string, number>>;
    readonly warnLines: Readonly<Record<string, number>>;
    readonly counters: Readonly<Record<string, number>>;
  };
}

/** What pulls come to, written while they end. */
export class PullCounts {
  complete = 0;
  left = 0;
  failed = 0;
  repeats = 0;
  bytes = 0;
  longestHeadersMs = 0;

  add(report: PullReport): void {
    this[report.result]++;
    this.repeats += report.repeats;
    this.bytes += report.bytes;
    this.longestHeadersMs = Math.max(this.longestHeadersMs, Math.round(report.headersMs));
  }

  get total(): number {
    return this.complete + this.left + this.failed;
  }

  get plain(): Omit<Ledger['pulls'], 'wanted'> {
    const { complete, left, failed, repeats, bytes, longestHeadersMs } = this;
    return { complete, left, failed, repeats, bytes, longestHeadersMs };
  }
}
