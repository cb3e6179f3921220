import { z } from 'zod';
import { cluster } from './cluster-fields.ts';
import { list, text } from './field.ts';
import { flight } from './flight-fields.ts';
import type { Operation } from './operation.ts';
import { pull } from './pull-fields.ts';
import { upstream } from './upstream-fields.ts';

export const stateOperations: readonly Operation[] = [
  {
    method: 'GET',
    path: '/api/v1/version',
    summary: 'The running version',
    answers: {
      200: {
        description: 'What runs.',
        schema: z.strictObject({
          version: text('The version of onepull.'),
          node: text('The version of Node.js that it runs on.'),
        }),
      },
    },
  },
  {
    method: 'GET',
    path: '/api/v1/flights',
    summary: 'The transfers of blobs',
    description: 'Those in progress, then those that ended lately, the newest first, as they were when they ended.',
    answers: {
      200: {
        description: 'The transfers.',
        schema: z.strictObject({ flights: list(flight, 'Each transfer of a blob.') }),
      },
    },
  },
  {
    method: 'GET',
    path: '/api/v1/pulls',
    summary: 'The images that were asked for last',
    description: 'The latest first. After a restart the list is empty.',
    answers: {
      200: { description: 'The images.', schema: z.strictObject({ pulls: list(pull, 'Each image.') }) },
    },
  },
  {
    method: 'GET',
    path: '/api/v1/upstreams',
    summary: 'The upstreams and how their endpoints do',
    answers: {
      200: {
        description: 'In the configured order.',
        schema: z.strictObject({ upstreams: list(upstream, 'Each configured registry.') }),
      },
    },
  },
  {
    method: 'GET',
    path: '/api/v1/cluster',
    summary: 'This node among those that share an engine',
    answers: {
      200: { description: '`null` where it is alone.', schema: z.strictObject({ cluster: cluster.nullable() }) },
    },
  },
];
