import { z } from 'zod';
import { list, text } from './field.ts';
import type { Operation } from './operation.ts';

const warnings = list(text('In words.'), 'What is wrong although requests may come.').optional();

export const readiness: z.ZodObject = z.strictObject({ status: z.literal('ready'), warnings });
export const unreadiness: z.ZodObject = z.strictObject({
  status: z.literal('not ready'),
  reasons: list(text('In words.'), 'Why requests should not come.'),
  warnings,
});

export const healthOperations: readonly Operation[] = [
  {
    method: 'GET',
    path: '/healthz',
    summary: 'Whether the process answers at all',
    description: 'For liveness probes.',
    answers: { 200: { description: 'It does.', schema: z.strictObject({ status: z.literal('alive') }) } },
  },
  {
    method: 'GET',
    path: '/readyz',
    summary: 'Whether requests may come',
    description: 'For readiness probes and load balancers.',
    answers: {
      200: { description: 'They may.', schema: readiness },
      503: { description: 'They should not.', schema: unreadiness },
    },
  },
  {
    method: 'GET',
    path: '/metrics',
    summary: 'The metrics',
    answers: { 200: { description: "In Prometheus's text format.", contentType: 'text/plain' } },
  },
];
