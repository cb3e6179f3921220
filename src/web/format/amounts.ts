import { formatSize } from '../../core/units.ts';

const whole = new Intl.NumberFormat('en-US');

/** `1,024` */
export function count(value: number): string {
  return whole.format(value);
}

/** `1 layer`, `12 layers` */
export function counted(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}

/** `12.1 MiB`; a no-break space keeps the unit with its number. */
export function size(bytes: number): string {
  return formatSize(Math.round(bytes)).replace(' ', '\u00a0');
}

export function rate(bytesPerSecond: number): string {
  return `${size(bytesPerSecond)}/s`;
}

/** Never 100 % before all of it is there, nor 0 % when something is. */
export function percent(part: number, all: number): string {
  if (all <= 0) return part > 0 ? '100\u00a0%' : '0\u00a0%';
  const value = (100 * part) / all;
  if (value > 0 && value < 1) return '<\u00a01\u00a0%';
  if (value > 99 && value < 100) return '>\u00a099\u00a0%';
  return `${Math.round(value)}\u00a0%`;
}
