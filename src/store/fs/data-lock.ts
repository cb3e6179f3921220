import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { AppError } from '../../core/errors.ts';
import { resultCodeOf, sqliteResult } from './sqlite-result.ts';
import { storageError } from './storage-error.ts';

/**
 * Makes this process the only user of the data directory, until it is disposed of or the process ends, however it ends:
 * the lock is the system's, held through an open exclusive transaction on an empty database (sqlite.org/lockingv3.html).
 * `lock.pid` beside it only says who. Throws STORAGE_LOCKED where another process has it.
 */
export async function lockDataDirectory(root: string): Promise<Disposable> {
  const pidFile = join(root, 'lock.pid');
  const database = openLock(join(root, 'lock.db'));
  try {
    // A journal on disk would need room on it.
    database.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE');
  } catch (cause) {
    database.close();
    if (resultCodeOf(cause) !== sqliteResult.busy) throw storageError(cause, `lock the data directory ${root}`);
    const pid = (await readFile(pidFile, 'utf8').catch(() => '')).trim();
    const holder = /^\d+$/.test(pid) ? `process ${pid}` : 'another process';
    throw new AppError('STORAGE_LOCKED', `the data directory ${root} is in use by ${holder}`, { cause });
  }
  // On a full disk nobody is told who.
  await writeFile(pidFile, `${process.pid}\n`).catch(() => {});
  return { [Symbol.dispose]: () => database.close() };
}

function openLock(path: string): DatabaseSync {
  try {
    return new DatabaseSync(path, { timeout: 0 });
  } catch (cause) {
    throw storageError(cause, `open ${path}`);
  }
}
