import { AppError } from '../../core/errors.ts';
import { resultCodeOf, sqliteResult } from './sqlite-result.ts';

const noDescriptorsForMs = 1000;

/**
 * The failure of a file operation, or of SQLite, as an `AppError`: STORAGE_FULL where space or quota ran out, OVERLOADED where the process
 * or the system has no descriptor left, else STORAGE_FAILED. Its message names no path: it may go to a client.
 */
export function storageError(error: unknown, doing: string): AppError {
  if (error instanceof AppError) return error;
  const message = `cannot ${doing}: ${reasonOf(error)}`;
  if (resultCodeOf(error) === sqliteResult.full) return new AppError('STORAGE_FULL', message, { cause: error });
  switch (errnoOf(error)) {
    case 'ENOSPC':
    case 'EDQUOT':
      return new AppError('STORAGE_FULL', message, { cause: error });
    case 'EMFILE':
    case 'ENFILE':
      return new AppError('OVERLOADED', message, { cause: error, retryAfterMs: noDescriptorsForMs });
    default:
      return new AppError('STORAGE_FAILED', message, { cause: error });
  }
}

/** For a notice: the failure of a file or of the catalog as an `AppError`; what nobody foresaw stays what it is. */
export function foreseen(error: unknown, doing: string): unknown {
  const isOfSystem = errnoOf(error) !== undefined || resultCodeOf(error) !== undefined;
  return isOfSystem ? storageError(error, doing) : error;
}

/** The system's code of an error (`ENOENT`), or undefined. */
export function errnoOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

/** Whether the process, or the system, may open no more files. */
export function areDescriptorsFew(error: unknown): boolean {
  const code = errnoOf(error instanceof AppError ? error.cause : error);
  return code === 'EMFILE' || code === 'ENFILE';
}

/** Whether the file is simply not there. */
export function isMissing(error: unknown): boolean {
  return errnoOf(error) === 'ENOENT';
}

/** Why, in one line for people: without the call and the path that Node appends. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const [, reason] = /^[A-Z0-9]+: ([^,\n]+)/.exec(error.message) ?? [];
  return reason ?? error.message.split('\n', 1)[0] ?? error.name;
}
