import type { z } from 'zod';
import { nearestWord } from './nearest-word.ts';
import { keysAt } from './outline.ts';
import { pathText } from './tree.ts';

/** One thing that is wrong with a configuration, for people. Never holds a secret. */
export interface Problem {
  /** The key, such as `upstreams.docker.io.tagTtl`; the variable or the file where the problem is no key's. */
  readonly path: string;
  readonly problem: string;
  readonly hint: string | undefined;
  /** Where it was written: `file:line:column`, a variable, a flag; undefined for what is missing everywhere. */
  readonly source: string | undefined;
}

export type Path = readonly (string | number)[];

/** What zod found, each in a sentence. `sourceOf` says where a path was written. */
export function problemsOf(error: z.ZodError, sourceOf: (path: Path) => string | undefined): Problem[] {
  return error.issues.flatMap((issue): Problem[] => {
    const path = issue.path.map((key) => (typeof key === 'number' ? key : String(key)));
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.map((key) => unknownKey(path.map(String), key, sourceOf([...path, key])));
    }
    const { problem, hint } = sentence(issue);
    return [{ path: pathText(path) || 'configuration', problem, hint, source: sourceOf(path) }];
  });
}

/** All of them, and where there are several how many; `file` is the configuration's, where it has one. */
export function problemsText(problems: readonly Problem[], file: string | undefined): string {
  const count = problems.length === 1 ? [] : [`${file ?? 'configuration'}: ${problems.length} problems`];
  return [...problems.map(problemText), ...count].map((line) => `${line}\n`).join('');
}

/** The problem on one line, and its hint on the next. */
export function problemText({ path, problem, hint, source }: Problem): string {
  const place = source === undefined || source === path ? '' : ` (${source})`;
  return `${path}: ${problem}${place}${hint === undefined ? '' : `\n    hint: ${hint}`}`;
}

export function didYouMean(word: string, known: readonly string[]): string | undefined {
  const nearest = nearestWord(word, known);
  return nearest === undefined ? undefined : `did you mean ${nearest}?`;
}

function unknownKey(section: readonly string[], key: string, source: string | undefined): Problem {
  const path = pathText([...section, key]);
  const known = keysAt(section);
  return {
    path,
    problem: 'is not a known key',
    hint: didYouMean(key, known) ?? `known here: ${known.join(', ')}`,
    source,
  };
}

function sentence(issue: z.core.$ZodIssue): { problem: string; hint: string | undefined } {
  if (issue.code === 'custom') return { problem: issue.message, hint: hintIn(issue.params) };
  if (issue.code === 'invalid_type') {
    return { problem: 'is not a section of keys', hint: 'write its keys below it and indented, or leave it out' };
  }
  return { problem: issue.message, hint: undefined };
}

function hintIn(params: Readonly<Record<string, unknown>> | undefined): string | undefined {
  return typeof params?.hint === 'string' ? params.hint : undefined;
}
