import type { ErrorCode } from '../core/errors.ts';
import type {
  Channels,
  RefusedEvent,
  RequestCell,
  RequestEvent,
  RequestLabels,
  RequestTally,
  ServedBytesEvent,
} from './channels.ts';

/** In seconds. */
export const firstByteBounds: readonly number[] = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25];
export const requestBounds: readonly number[] = [0.01, 0.05, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900, 1800];

const routes: readonly RequestEvent['route'][] = ['ping', 'manifest', 'blob', 'tags', 'referrers', 'catalog', 'other'];
const methods: readonly string[] = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];
const ways: readonly RequestEvent['served'][] = [undefined, 'hit', 'joined', 'led', 'revalidated', 'stale'];

/** What was counted since the last time, as plain data for another thread. */
export interface RequestDelta {
  readonly cells: readonly CellDelta[];
  readonly errors: ReadonlyMap<ErrorCode, number>;
  readonly served: ReadonlyMap<ServedBytesEvent['from'], number>;
  readonly refused: ReadonlyMap<RefusedEvent['bound'], number>;
}

interface CellDelta {
  readonly labels: RequestLabels;
  readonly incomplete: number;
  readonly firstByte: DurationDelta;
  readonly duration: DurationDelta;
}

export interface DurationDelta {
  readonly count: number;
  readonly sumSeconds: number;
  /** How many were within each bound and not within the one before. */
  readonly within: Float64Array;
}

/** How long something took: how often, the sum, and how many within each bound. */
export class DurationCounts implements DurationDelta {
  readonly bounds: readonly number[];
  count = 0;
  sumSeconds = 0;
  /** How many were within each bound and not within the one before. */
  readonly within: Float64Array;

  /** `bounds` in seconds, growing. */
  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.within = new Float64Array(bounds.length);
  }

  add(durationMs: number): void {
    const seconds = durationMs / 1000;
    this.count++;
    this.sumSeconds += seconds;
    for (let index = 0; index < this.bounds.length; index++) {
      if (seconds > (this.bounds[index] ?? 0)) continue;
      this.within[index] = (this.within[index] ?? 0) + 1;
      return;
    }
  }

  addAll({ count, sumSeconds, within }: DurationDelta): void {
    this.count += count;
    this.sumSeconds += sumSeconds;
    for (const [index, more] of within.entries()) this.within[index] = (this.within[index] ?? 0) + more;
  }

  /** What is counted; then it counts from nothing. */
  take(): DurationDelta {
    const delta = { count: this.count, sumSeconds: this.sumSeconds, within: this.within.slice() };
    this.count = 0;
    this.sumSeconds = 0;
    this.within.fill(0);
    return delta;
  }

  /** For each bound how many were within it, those of lower bounds included. */
  cumulative(): number[] {
    let sum = 0;
    return Array.from(this.within, (within) => {
      sum += within;
      return sum;
    });
  }
}

/** Requests of one kind. Their number is that of their durations. */
export class CountedRequests implements RequestCell {
  readonly labels: RequestLabels;
  incomplete = 0;
  readonly firstByte: DurationCounts = new DurationCounts(firstByteBounds);
  readonly duration: DurationCounts = new DurationCounts(requestBounds);
  readonly #owner: CellOwner;
  #isChanged = false;

  constructor(labels: RequestLabels, owner: CellOwner) {
    this.labels = labels;
    this.#owner = owner;
  }

  add({ firstByteMs, durationMs, complete, errorCode }: Parameters<RequestCell['add']>[0]): void {
    this.duration.add(durationMs);
    if (firstByteMs !== undefined) this.firstByte.add(firstByteMs);
    if (!complete) this.incomplete++;
    if (errorCode !== undefined) this.#owner.failed(errorCode);
    this.#change();
  }

  addAll({ incomplete, firstByte, duration }: CellDelta): void {
    this.duration.addAll(duration);
    this.firstByte.addAll(firstByte);
    this.incomplete += incomplete;
    this.#change();
  }

  take(): CellDelta {
    this.#isChanged = false;
    const { labels, incomplete } = this;
    this.incomplete = 0;
    return { labels, incomplete, firstByte: this.firstByte.take(), duration: this.duration.take() };
  }

  #change(): void {
    if (this.#isChanged) return;
    this.#isChanged = true;
    this.#owner.changed(this);
  }
}

interface CellOwner {
  failed(code: ErrorCode): void;
  changed(cell: CountedRequests): void;
}

/**
 * Counts what clients were answered, sent and refused: of one thread, or of all (`addAll`).
 *
 * Invariants: there is one cell for each kind of request, and kinds are bounded: what a client chooses falls into closed
 * sets. Whatever was counted is in exactly one `take`, or still here; so takes of several threads add up to the whole, and
 * a thread that dies takes along only what nobody has taken.
 */
export class RequestCounts implements RequestTally {
  readonly #cells = new Map<number, CountedRequests>();
  readonly #errors = new Map<ErrorCode, number>();
  readonly #served = new Map<ServedBytesEvent['from'], number>();
  readonly #refused = new Map<RefusedEvent['bound'], number>();
  #changedCells: CountedRequests[] = [];
  #isChanged = false;
  #onChange: (() => void) | undefined;
  readonly #owner: CellOwner = {
    failed: (code) => increase(this.#errors, code, 1),
    changed: (cell) => {
      this.#changedCells.push(cell);
      this.#change();
    },
  };

  constructor(channels: Pick<Channels, 'servedBytes' | 'refused'>) {
    channels.servedBytes.subscribe(({ from, bytes }) => {
      increase(this.#served, from, bytes);
      this.#change();
    });
    channels.refused.subscribe(({ bound }) => {
      increase(this.#refused, bound, 1);
      this.#change();
    });
  }

  /** Called at the first change, and at the first one after each `take`. */
  whenChanged(callback: () => void): void {
    this.#onChange = callback;
  }

  cell({ route, method, status, served }: RequestLabels): CountedRequests {
    const methodIndex = methods.indexOf(method);
    const isStatus = Number.isInteger(status) && status >= 100 && status < 600;
    const kind = (routes.indexOf(route) * methods.length + methodIndex + 1) * ways.length + ways.indexOf(served);
    const key = kind * 600 + (isStatus ? status : 0);
    const known = this.#cells.get(key);
    if (known !== undefined) return known;
    const bounded = { method: methodIndex < 0 ? 'other' : method, status: isStatus ? status : 0 };
    const cell = new CountedRequests({ route, served, ...bounded }, this.#owner);
    this.#cells.set(key, cell);
    return cell;
  }

  cells(): Iterable<CountedRequests> {
    return this.#cells.values();
  }

  errors(): ReadonlyMap<ErrorCode, number> {
    return this.#errors;
  }

  /** Body bytes. */
  served(): ReadonlyMap<ServedBytesEvent['from'], number> {
    return this.#served;
  }

  refused(): ReadonlyMap<RefusedEvent['bound'], number> {
    return this.#refused;
  }

  /** Everything since the last call, which is then no longer here; undefined: nothing. */
  take(): RequestDelta | undefined {
    if (!this.#isChanged) return undefined;
    this.#isChanged = false;
    const cells = this.#changedCells.map((cell) => cell.take());
    this.#changedCells = [];
    const delta = {
      cells,
      errors: new Map(this.#errors),
      served: new Map(this.#served),
      refused: new Map(this.#refused),
    };
    for (const counts of [this.#errors, this.#served, this.#refused]) counts.clear();
    return delta;
  }

  addAll(delta: RequestDelta): void {
    for (const cell of delta.cells) this.cell(cell.labels).addAll(cell);
    for (const [code, count] of delta.errors) increase(this.#errors, code, count);
    for (const [from, bytes] of delta.served) increase(this.#served, from, bytes);
    for (const [bound, count] of delta.refused) increase(this.#refused, bound, count);
    this.#change();
  }

  #change(): void {
    if (this.#isChanged) return;
    this.#isChanged = true;
    this.#onChange?.();
  }
}

function increase<Key>(counts: Map<Key, number>, key: Key, by: number): void {
  counts.set(key, (counts.get(key) ?? 0) + by);
}
