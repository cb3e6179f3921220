import { preheatLimits } from '../../core/preheat-limits.ts';
import { count } from '../format/amounts.ts';
import { CallError, failureWords } from '../state/admin-call.ts';

/** What the reader has typed, as it stands in the fields. */
export interface PreheatDraft {
  readonly images: string;
  readonly platforms: string;
}

export interface PreheatRequest {
  readonly images: readonly string[];
  readonly platforms: readonly string[];
}

/** What is not right, and beside which field that is said. */
export interface Problem {
  readonly field: 'images' | 'platforms' | 'none';
  readonly words: string;
}

/** Images stand one per line, platforms between commas or blanks; what is empty counts for nothing. */
export function requestOf({ images, platforms }: PreheatDraft): PreheatRequest {
  return { images: partsOf(images, /\r?\n/), platforms: partsOf(platforms, /[\s,;]+/) };
}

function partsOf(text: string, between: RegExp): string[] {
  return text
    .split(between)
    .map((part) => part.trim())
    .filter((part) => part !== '');
}

/** What can be said before the server is asked; names and platforms are the server's to judge. */
export function problemOf({ images, platforms }: PreheatRequest): Problem | undefined {
  if (images.length === 0) return { field: 'images', words: 'Name at least one image.' };
  if (images.length > preheatLimits.images) {
    return { field: 'images', words: tooMany(images.length, preheatLimits.images, 'images') };
  }
  const long = images.findIndex((image) => image.length > preheatLimits.imageCharacters);
  if (long >= 0) {
    const words = `The name on line ${long + 1} has more than ${count(preheatLimits.imageCharacters)} characters.`;
    return { field: 'images', words };
  }
  if (platforms.length > preheatLimits.platforms) {
    return { field: 'platforms', words: tooMany(platforms.length, preheatLimits.platforms, 'platforms') };
  }
  return undefined;
}

function tooMany(number: number, most: number, what: string): string {
  return `These are ${count(number)} ${what}; one preheat takes ${most} at most.`;
}

/** Why the server did not take it, beside what it is about. */
export function refusalOf(error: unknown): Problem {
  const words = failureWords(error);
  const [, field] = /^body\.(images|platforms)\b/.exec(error instanceof CallError ? (error.where ?? '') : '') ?? [];
  return { field: field === 'images' || field === 'platforms' ? field : 'none', words: sentence(words) };
}

function sentence(words: string): string {
  return words.charAt(0).toUpperCase() + words.slice(1) + (/[.!?]$/.test(words) ? '' : '.');
}
