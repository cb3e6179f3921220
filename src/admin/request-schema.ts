import type { z } from 'zod';
import { AppError } from '../core/errors.ts';

/** The query as the schema has it. Throws REQUEST_MALFORMED, which says what is wrong with which parameter. */
export function parseQuery<Output>(schema: z.ZodType<Output>, query: URLSearchParams): Output {
  const names = [...query.keys()];
  const repeated = names.find((name, index) => names.indexOf(name) !== index);
  if (repeated !== undefined) throw malformed(`query.${repeated}`, 'it is given more than once');
  return parsed(schema, Object.fromEntries(query), 'query');
}

/** The JSON body as the schema has it. Throws REQUEST_MALFORMED, which says what is wrong with which field. */
export function parseBody<Output>(schema: z.ZodType<Output>, body: unknown): Output {
  if (body === undefined) throw new AppError('REQUEST_MALFORMED', 'the request has no body: send JSON');
  return parsed(schema, body, 'body');
}

function parsed<Output>(schema: z.ZodType<Output>, value: unknown, what: string): Output {
  const { data, error } = schema.safeParse(value, { reportInput: true });
  if (error === undefined) return data as Output;
  const [issue] = error.issues;
  const where = [what, ...(issue?.path ?? [])].map(String).join('.');
  throw malformed(where, issue === undefined ? 'it is not valid' : problemOf(issue));
}

/** What is wrong, for whoever asks: of a validator's own words they know nothing. */
function problemOf(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      return issue.input === undefined ? 'it is missing' : `it is not ${kinds[issue.expected] ?? issue.expected}`;
    case 'too_small':
      if (issue.origin === 'number' || issue.origin === 'int') return `it is less than ${issue.minimum}`;
      return issue.minimum === 1 ? 'it is empty' : `it has fewer than ${sizeText(issue.origin, issue.minimum)}`;
    case 'too_big':
      if (issue.origin === 'number' || issue.origin === 'int') return `it is more than ${issue.maximum}`;
      return `it has more than ${sizeText(issue.origin, issue.maximum)}`;
    case 'invalid_value':
      return `it is none of ${issue.values.map(String).join(', ')}`;
    case 'unrecognized_keys':
      return `${issue.keys.map((key) => JSON.stringify(key)).join(', ')} is not known here`;
    default:
      return issue.message;
  }
}

const kinds: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'an object',
  record: 'an object',
};

function sizeText(origin: string, number: number | bigint): string {
  return `${number} ${origin === 'array' ? 'entries' : 'characters'}`;
}

function malformed(where: string, problem: string): AppError {
  return new AppError('REQUEST_MALFORMED', `${where}: ${problem}`, { details: { where } });
}
