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
  const { data, error } = schema.safeParse(value);
  if (error === undefined) return data as Output;
  const [issue] = error.issues;
  const where = [what, ...(issue?.path ?? [])].map(String).join('.');
  throw malformed(where, issue?.message ?? 'it is not valid');
}

function malformed(where: string, problem: string): AppError {
  return new AppError('REQUEST_MALFORMED', `${where}: ${problem}`, { details: { where } });
}
