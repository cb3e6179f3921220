import { AppError } from '../../core/errors.ts';

/** What a hash rejects with where its file ends before the bytes that are to be hashed. */
export function endsEarly(): AppError {
  return new AppError('STORAGE_FAILED', 'it is shorter than it was');
}

/** What a hash rejects with where the system does not give its file's bytes. */
export function unreadable(cause: unknown): AppError {
  return new AppError('STORAGE_FAILED', 'it cannot be read', { cause });
}
