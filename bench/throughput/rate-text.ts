import type { Case } from './cases.ts';

/** A rate for people: `12,345/s` or `1.23 GB/s`. */
export function rateText(unit: Case['unit'], rate: number): string {
  return `${rateNumber(unit, rate)}${rateUnit(unit)}`;
}

export function rateNumber(unit: Case['unit'], rate: number): string {
  return unit === 'bytes' ? (rate / 1e9).toFixed(2) : Math.round(rate).toLocaleString('en-US');
}

export function rateUnit(unit: Case['unit']): string {
  return unit === 'bytes' ? ' GB/s' : '/s';
}
