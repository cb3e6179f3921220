import { writeFileSync } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { DatabaseSync, type SQLInputValue, type SQLOutputValue, type StatementSync } from 'node:sqlite';
import type { Clock } from '../../core/clock.ts';
import { AppError } from '../../core/errors.ts';
import type { Channels } from '../../telemetry/channels.ts';
import { lossTriggers, migrations } from './catalog-schema.ts';
import { exists } from './file-io.ts';
import { resultCodeOf, sqliteResult } from './sqlite-result.ts';
import { reasonOf, storageError } from './storage-error.ts';

export type Row = Record<string, SQLOutputValue>;

const troubles: ReadonlySet<number | undefined> = new Set([
  sqliteResult.busy,
  sqliteResult.noMemory,
  sqliteResult.readOnly,
  sqliteResult.ioError,
  sqliteResult.corrupt,
  sqliteResult.full,
  sqliteResult.cannotOpen,
  sqliteResult.notADatabase,
]);

/** Whether the catalog failed because of where it stands, not because of what was asked of it. */
export function isCatalogTrouble(error: unknown): boolean {
  return error instanceof AppError && troubles.has(resultCodeOf(error.cause));
}

/** A prepared statement whose failures are `AppError`s. */
export class Query {
  readonly #statement: StatementSync;
  readonly #onFailure: (error: unknown) => AppError;
  readonly #onRun: () => void;

  constructor(statement: StatementSync, onFailure: (error: unknown) => AppError, onRun: () => void) {
    this.#statement = statement;
    this.#onFailure = onFailure;
    this.#onRun = onRun;
  }

  get(...parameters: SQLInputValue[]): Row | undefined {
    try {
      return this.#statement.get(...parameters);
    } catch (error) {
      throw this.#onFailure(error);
    }
  }

  all(...parameters: SQLInputValue[]): Row[] {
    try {
      return this.#statement.all(...parameters);
    } catch (error) {
      throw this.#onFailure(error);
    }
  }

  /** Runs it; returns how many rows it changed. */
  run(...parameters: SQLInputValue[]): number {
    let changes: number;
    try {
      changes = Number(this.#statement.run(...parameters).changes);
    } catch (error) {
      throw this.#onFailure(error);
    }
    this.#onRun();
    return changes;
  }
}

/**
 * The catalog's connection. WAL with synchronous=NORMAL: a killed process loses nothing, a crash of the machine at most
 * the last transactions, which the disk makes good. Nobody else has it open (`lockDataDirectory`), so its lock is exclusive:
 * then SQLite needs no file of shared memory, and a full disk keeps nobody from reading (sqlite.org/wal.html). Damage that shows up in use is noted beside the file, so that the
 * next start sets the catalog aside; nothing in it is worth a wrong answer. `onLoss` is called once for each transaction that
 * made untrue what may have been told of it, right after it; triggers see to it, so that no statement can forget.
 */
export class CatalogDatabase implements Disposable {
  readonly #db: DatabaseSync;
  readonly #onFailure: (error: unknown) => void;
  readonly #onLoss: () => void;
  #depth = 0;
  #isLoss = false;

  /** Opens and migrates. Throws the error of node:sqlite as it is. */
  constructor(path: string, onFailure: (error: unknown) => void, onLoss: () => void) {
    this.#onFailure = onFailure;
    this.#onLoss = onLoss;
    this.#db = new DatabaseSync(path, { timeout: 5000 });
    try {
      this.#db.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL');
      // Temporary tables stay in memory: a file elsewhere would be one more disk that may be full.
      this.#db.exec('PRAGMA synchronous = NORMAL; PRAGMA cache_size = -16384; PRAGMA temp_store = MEMORY');
      this.#migrate();
      this.#assertWhole();
      this.#watchLosses();
    } catch (error) {
      this.#db.close();
      throw error;
    }
  }

  prepare(sql: string): Query {
    try {
      return new Query(this.#db.prepare(sql), this.#failed, this.#tellLoss);
    } catch (error) {
      throw this.#failure(damageOf(error));
    }
  }

  /** All of `work` or nothing of it. `work` is synchronous; transactions in it join this one. */
  transaction<T>(work: () => T): T {
    if (this.#depth > 0) return work();
    this.#depth++;
    try {
      this.#db.exec('BEGIN IMMEDIATE');
      const result = work();
      this.#db.exec('COMMIT');
      return result;
    } catch (error) {
      this.#rollBack();
      this.#isLoss = false;
      throw error instanceof AppError ? error : this.#failure(error);
    } finally {
      this.#depth--;
      this.#tellLoss();
    }
  }

  /** SQLite itself rolls back after some failures, and cannot after others: what is left then ends with the connection. */
  #rollBack(): void {
    try {
      if (this.#db.isTransaction) this.#db.exec('ROLLBACK');
    } catch (error) {
      this.#onFailure(error);
    }
  }

  readonly #tellLoss = (): void => {
    if (!this.#isLoss || this.#depth > 0) return;
    this.#isLoss = false;
    this.#onLoss();
  };

  readonly #failed = (error: unknown): AppError => this.#failure(error);

  #failure(error: unknown): AppError {
    this.#onFailure(error);
    return storageError(error, 'use the catalog');
  }

  [Symbol.dispose](): void {
    if (this.#db.isOpen) this.#db.close();
  }

  /** Not all of it, which would take as long as it is large: what nothing works without. */
  #assertWhole(): void {
    if (this.#db.prepare('SELECT 1 FROM totals').all().length !== 1) throw new CatalogDamage('it has no totals');
  }

  #watchLosses(): void {
    this.#db.function('note_loss', () => {
      this.#isLoss = true;
      return null;
    });
    try {
      this.#db.exec(lossTriggers);
    } catch (error) {
      throw damageOf(error);
    }
  }

  #migrate(): void {
    const version = Number(this.#db.prepare('PRAGMA user_version').get()?.user_version);
    // One of a later release is set aside like one that is damaged: we cannot tell what its rows mean.
    if (version > migrations.length) throw new UnknownSchema(version);
    for (let next = version; next < migrations.length; next++) {
      this.#db.exec(`BEGIN IMMEDIATE; ${migrations[next]}; PRAGMA user_version = ${next + 1}; COMMIT`);
    }
  }
}

/** It holds what cannot be, although SQLite has nothing to say against it. */
export class CatalogDamage extends Error {
  readonly errcode: number = sqliteResult.corrupt;
}

/** Our statements fit our tables: where SQLite says that they do not, these are not there. */
function damageOf(error: unknown): unknown {
  return resultCodeOf(error) === sqliteResult.error ? new CatalogDamage(reasonOf(error)) : error;
}

class UnknownSchema extends Error {
  constructor(version: number) {
    super(`its schema, version ${version}, is newer than this release`);
  }
}

export interface CatalogFileDeps {
  readonly clock: Clock;
  readonly channels: Channels;
  /** Told of each failure that is no fault of what was asked. */
  readonly onTrouble: (error: unknown) => void;
  /** Told when something that may have been told to others is not so any more. */
  readonly onLoss: () => void;
}

/**
 * Opens the catalog at `path`. What cannot be read is renamed to `<path>.corrupt-<time>`, and an empty one begun. Rejects
 * with STORAGE_FULL where there is no room for one.
 */
export async function openCatalogDatabase(deps: CatalogFileDeps, path: string): Promise<CatalogDatabase> {
  const suspect = `${path}.suspect`;
  const onFailure = failureWatch(deps, suspect);
  if (await exists(suspect)) {
    await setAside(deps, path, 'it was found damaged in use');
  }
  try {
    return new CatalogDatabase(path, onFailure, deps.onLoss);
  } catch (error) {
    if (!isCorruption(error) && !(await isOnlySaidReadOnly(error, path))) throw storageError(error, 'open the catalog');
    await setAside(deps, path, reasonOf(error));
  }
  try {
    return new CatalogDatabase(path, onFailure, deps.onLoss);
  } catch (error) {
    throw storageError(error, 'begin a catalog');
  }
}

/**
 * A file's own header can say that it is of a format which may only be read (sqlite.org/fileformat2.html, "file format version
 * numbers"). We never write such a one: where the system lets us write it, it is damaged.
 */
async function isOnlySaidReadOnly(error: unknown, path: string): Promise<boolean> {
  if (resultCodeOf(error) !== sqliteResult.readOnly) return false;
  try {
    await using _ = await open(path, 'r+');
    return true;
  } catch {
    return false;
  }
}

/**
 * An empty catalog that is gone with the process. What is at `path` goes: it would be behind at the next start, which
 * rebuilds it from disk.
 */
export async function memoryCatalogDatabase(deps: CatalogFileDeps, path: string): Promise<CatalogDatabase> {
  for (const suffix of ['', '-wal', '-shm', '-journal']) await rm(`${path}${suffix}`, { force: true });
  return new CatalogDatabase(':memory:', failureWatch(deps, `${path}.suspect`), deps.onLoss);
}

/** Tells of the catalog's failures, and notes damage at `suspect`. */
function failureWatch({ channels, onTrouble }: CatalogFileDeps, suspect: string): (error: unknown) => void {
  let noted = false;
  return (error) => {
    if (troubles.has(resultCodeOf(error))) onTrouble(error);
    if (noted || !isCorruption(error)) return;
    noted = true;
    const message = 'the catalog is damaged; it is rebuilt from disk at the next start';
    channels.notice.publish({ level: 'error', message, error: storageError(error, 'use the catalog') });
    try {
      writeFileSync(suspect, '');
    } catch {
      // Then the next start finds out by itself.
    }
  };
}

async function setAside(
  { clock, channels }: Pick<CatalogFileDeps, 'clock' | 'channels'>,
  path: string,
  reason: string,
): Promise<void> {
  const aside = `${path}.corrupt-${new Date(clock.now()).toISOString().replaceAll(':', '')}`;
  for (const suffix of ['', '-wal', '-shm', '.suspect']) {
    if (await exists(`${path}${suffix}`)) await rename(`${path}${suffix}`, `${aside}${suffix}`);
  }
  const message = `the catalog cannot be used (${reason}); it is kept as ${aside} and rebuilt from disk`;
  channels.notice.publish({ level: 'error', message });
}

/** Whether the store failed because of what the catalog holds; that is noted beside it then. */
export function isCatalogDamage(error: unknown): boolean {
  if (error instanceof SuppressedError) return isCatalogDamage(error.error) || isCatalogDamage(error.suppressed);
  return error instanceof AppError && isCorruption(error.cause);
}

function isCorruption(error: unknown): boolean {
  const code = resultCodeOf(error);
  return code === sqliteResult.corrupt || code === sqliteResult.notADatabase || error instanceof UnknownSchema;
}
