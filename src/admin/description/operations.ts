import { z } from 'zod';
import { effectOperations } from './effect-operations.ts';
import { healthOperations } from './health-operations.ts';
import { imageOperations } from './image-operations.ts';
import type { Operation } from './operation.ts';
import { stateOperations } from './state-operations.ts';

const description: Operation = {
  method: 'GET',
  path: '/api/v1/openapi.json',
  summary: 'This description',
  answers: { 200: { description: 'OpenAPI 3.1.', schema: z.looseObject({ openapi: z.string() }) } },
};

/** Everything that the admin listener does, but for the pages of the dashboard. */
export const operations: readonly Operation[] = [
  ...healthOperations,
  ...stateOperations,
  ...effectOperations,
  ...imageOperations,
  description,
];
