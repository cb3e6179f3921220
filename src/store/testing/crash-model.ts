import { dirname } from 'node:path';

/** Chance that repeats with its seed. */
export interface Chance {
  /** A whole number in [0, below). */
  below(below: number): number;
}

/** A file by its number, as an inode: names come and go. */
export type NameTarget = number | 'folder' | undefined;

/** One change of the disk. */
export type DiskStep =
  | { readonly kind: 'write'; readonly file: number; readonly position: number; readonly bytes: Uint8Array }
  | { readonly kind: 'truncate'; readonly file: number; readonly sizeBytes: number }
  | { readonly kind: 'sync'; readonly file: number }
  /** Names that change together: of a rename the old and the new one. */
  | { readonly kind: 'names'; readonly changes: readonly { readonly path: string; readonly to: NameTarget }[] }
  | { readonly kind: 'sync folder'; readonly path: string };

type NameStep = Extract<DiskStep, { kind: 'names' }>;
type DataStep = Extract<DiskStep, { kind: 'write' | 'truncate' }>;

/**
 * What is left: all that happened, when only the process died; what was synced, or that and by chance some of the rest, when
 * the machine did. With a journal, names change in the order in which they were changed, and a sync of anything is one of
 * all names before it (ext4, XFS); without, each name is on its own, as far as POSIX says.
 */
export type Survival =
  | { readonly kind: 'all'; readonly tornBytes?: number }
  | { readonly kind: 'synced' }
  | { readonly kind: 'some'; readonly random: Chance; readonly journal: boolean };

export interface CrashState {
  readonly folders: readonly string[];
  readonly files: ReadonlyMap<string, Uint8Array>;
}

interface FileData {
  synced: Uint8Array;
  pending: DataStep[];
}

/** The disk after some steps: what has to be there after a crash, and what may. */
export class CrashModel {
  readonly #files = new Map<number, FileData>();
  readonly #synced = new Map<string, NameTarget>();
  #pending: NameStep[] = [];
  /** How many of `#pending` a journal would have made safe by now. */
  #journaled = 0;
  readonly #next: DiskStep | undefined;

  /** @param next the step in the middle of which the process may have died */
  constructor(steps: readonly DiskStep[], next: DiskStep | undefined) {
    this.#next = next;
    for (const step of steps) this.#apply(step);
  }

  /** @param beside files that others look after, as they were */
  state(survival: Survival, beside: ReadonlyMap<string, Uint8Array>): CrashState {
    const names = this.#survivingNames(survival);
    const isReachable = (path: string): boolean => {
      const folder = dirname(path);
      // A folder that nobody made was there before.
      return folder === path || !this.#wasMade(folder) || (names.get(folder) === 'folder' && isReachable(folder));
    };
    const reachable = [...names].filter(([path]) => isReachable(path));
    const files = new Map<string, Uint8Array>();
    for (const [path, target] of reachable) {
      if (typeof target === 'number') files.set(path, this.#survivingData(target, survival));
    }
    for (const [path, bytes] of beside) if (isReachable(path)) files.set(path, bytes);
    return { folders: reachable.filter(([, target]) => target === 'folder').map(([path]) => path), files };
  }

  #apply(step: DiskStep): void {
    switch (step.kind) {
      case 'write':
      case 'truncate':
        this.#file(step.file).pending.push(step);
        break;
      case 'sync': {
        const file = this.#file(step.file);
        file.synced = file.pending.reduce(applyData, file.synced);
        file.pending = [];
        this.#journaled = this.#pending.length;
        break;
      }
      case 'names':
        this.#pending.push(step);
        break;
      case 'sync folder':
        this.#syncNames(step.path);
        this.#journaled = this.#pending.length;
        break;
    }
  }

  #syncNames(folder: string): void {
    this.#pending = this.#pending.flatMap((step) => {
      const left = step.changes.filter(({ path, to }) => {
        if (dirname(path) !== folder) return true;
        this.#synced.set(path, to);
        return false;
      });
      return left.length === 0 ? [] : [{ ...step, changes: left }];
    });
  }

  #survivingNames(survival: Survival): ReadonlyMap<string, NameTarget> {
    const names = new Map(this.#synced);
    if (survival.kind === 'synced') return names;
    let steps: readonly NameStep[] = this.#pending;
    if (survival.kind === 'some') {
      const { random, journal } = survival;
      const more = random.below(this.#pending.length - this.#journaled + 1);
      steps = journal ? this.#pending.slice(0, this.#journaled + more) : looseNames(this.#pending, random);
    }
    for (const { changes } of steps) for (const { path, to } of changes) names.set(path, to);
    return names;
  }

  #survivingData(number: number, survival: Survival): Uint8Array {
    const { synced, pending } = this.#file(number);
    switch (survival.kind) {
      case 'synced':
        return synced;
      case 'some':
        return pending.flatMap((step) => someOf(step, survival.random)).reduce(applyData, synced);
      case 'all': {
        const { tornBytes = 0 } = survival;
        const next = this.#next;
        const torn = next?.kind === 'write' && next.file === number && tornBytes > 0;
        const steps = torn ? [...pending, { ...next, bytes: next.bytes.subarray(0, tornBytes) }] : pending;
        return steps.reduce(applyData, synced);
      }
    }
  }

  #wasMade(folder: string): boolean {
    if (this.#synced.has(folder)) return true;
    return this.#pending.some(({ changes }) => changes.some(({ path }) => path === folder));
  }

  #file(number: number): FileData {
    const known = this.#files.get(number);
    if (known !== undefined) return known;
    const file: FileData = { synced: new Uint8Array(), pending: [] };
    this.#files.set(number, file);
    return file;
  }
}

/** Of each name by itself, how far its changes came. */
function looseNames(steps: readonly NameStep[], random: Chance): NameStep[] {
  const changes = steps.flatMap((step) => step.changes);
  const reached = new Map<string, number>();
  for (const path of new Set(changes.map((change) => change.path))) {
    reached.set(path, random.below(changes.filter((change) => change.path === path).length + 1));
  }
  const seen = new Map<string, number>();
  return changes.flatMap((change) => {
    const nth = (seen.get(change.path) ?? 0) + 1;
    seen.set(change.path, nth);
    return nth <= (reached.get(change.path) ?? 0) ? [{ kind: 'names' as const, changes: [change] }] : [];
  });
}

/** Whole, lost, torn, or only the length that it gave the file: then there are zeros. */
function someOf(step: DataStep, random: Chance): DataStep[] {
  const fate = random.below(4);
  if (fate === 0) return [];
  if (fate === 1 || step.kind === 'truncate') return [step];
  if (fate === 2) return [{ ...step, bytes: step.bytes.subarray(0, random.below(step.bytes.byteLength + 1)) }];
  return [{ ...step, position: step.position + step.bytes.byteLength, bytes: new Uint8Array() }];
}

function applyData(before: Uint8Array, step: DataStep): Uint8Array {
  if (step.kind === 'truncate') return resized(before, step.sizeBytes);
  const end = step.position + step.bytes.byteLength;
  const after = resized(before, Math.max(before.byteLength, end));
  after.set(step.bytes, step.position);
  return after;
}

function resized(bytes: Uint8Array, sizeBytes: number): Uint8Array {
  const copy = new Uint8Array(sizeBytes);
  copy.set(bytes.subarray(0, sizeBytes));
  return copy;
}
