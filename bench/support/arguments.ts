import { InvalidArgumentError } from 'commander';
import { parseSize } from '../../src/core/units.ts';

/** A list of counts, as `1,16,64`. */
export function counts(text: string): number[] {
  return text.split(',').map(count);
}

/** The same, up to ten million. */
export function largeCounts(text: string): number[] {
  return text.split(',').map((part) => {
    if (!/^[1-9]\d{0,7}$/.test(part)) throw new InvalidArgumentError('It is not a positive number.');
    return Number(part);
  });
}

export function count(text: string): number {
  if (!/^[1-9]\d{0,4}$/.test(text)) throw new InvalidArgumentError('It is not a positive number.');
  return Number(text);
}

/** A size, as `24MiB`, in bytes. */
export function size(text: string): number {
  const bytes = parseSize(text);
  if (bytes === undefined || bytes < 16 * 1024) throw new InvalidArgumentError('It is not a size of at least 16KiB.');
  return bytes;
}
