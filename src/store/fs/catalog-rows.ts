import type { Digest } from '../../core/digest.ts';
import { AppError } from '../../core/errors.ts';
import { CatalogDamage, type Row } from './catalog-database.ts';

// Our own columns, written from the types that they are read as (the tables are STRICT): checked as far as SQLite can
// be wrong about them.

export function textOf(row: Row, column: string): string {
  const value = row[column];
  if (typeof value !== 'string') throw damage(`${column} is no text`);
  return value;
}

export function integerOf(row: Row, column: string): number {
  const value = row[column];
  if (typeof value !== 'number') throw damage(`${column} is no integer`);
  return value;
}

export function optionalTextOf(row: Row, column: string): string | undefined {
  return row[column] === null ? undefined : textOf(row, column);
}

export function optionalIntegerOf(row: Row, column: string): number | undefined {
  return row[column] === null ? undefined : integerOf(row, column);
}

export function digestIn(row: Row, column: string): Digest {
  return textOf(row, column) as Digest;
}

function damage(what: string): AppError {
  return new AppError('STORAGE_FAILED', `the catalog is damaged: ${what}`, { cause: new CatalogDamage(what) });
}
