import { z } from 'zod';
import type { AdminRoute } from '../route.ts';
import { text } from './field.ts';

/** What one route does, for those who call it. There is one for each route of the admin API, and a route for each. */
export interface Operation {
  readonly method: AdminRoute['method'];
  /** As that of the route. */
  readonly path: string;
  /** A noun or an order: `The pulls of late`. Unique. */
  readonly summary: string;
  readonly description?: string;
  /** Of each parameter, its schema with a description; those in the path are required. */
  readonly parameters?: { readonly path?: z.ZodObject; readonly query?: z.ZodObject };
  /** The JSON that it takes. */
  readonly body?: z.ZodType;
  /** By status; those that any route may give (400, 401, 403, 413, 415, 500) are added. */
  readonly answers: Readonly<Record<number, AnswerDescription>>;
}

export interface AnswerDescription {
  readonly description: string;
  /** Of the JSON; strict, so that tests find a field that is not described. */
  readonly schema?: z.ZodType;
  /** Where it is not JSON. */
  readonly contentType?: string;
}

/** In the form of the OCI distribution API's errors. */
export const errors: z.ZodObject = z
  .strictObject({
    errors: z
      .array(
        z.strictObject({
          code: text('A code of the OCI distribution API.'),
          message: text('What is wrong, in words.'),
          detail: z.record(z.string(), z.unknown()).describe('Plain facts, if there are any.'),
        }),
      )
      .describe('One.'),
  })
  .meta({ id: 'Errors' });
