import { z } from 'zod';
import { cluster } from './cluster-fields.ts';
import { effect, status } from './effect-fields.ts';
import { flag, list, text } from './field.ts';
import { flight } from './flight-fields.ts';
import { errors, type Operation } from './operation.ts';
import { pull } from './pull-fields.ts';
import { upstream } from './upstream-fields.ts';

const setting = z
  .strictObject({
    path: text('The key: `upstreams.docker.io.tagTtl`.'),
    value: z
      .union([z.string(), z.number(), z.boolean(), z.array(z.string())])
      .describe('As it would be written; `[redacted]` for a secret. Left out: not set, and without a default.')
      .optional(),
    source: text('Who says so: `default`, `file:line:column`, a variable, a flag.'),
    description: text('What it is for.'),
  })
  .meta({ id: 'Setting' });

/** The data of an event `state`. */
export const stateEvent: z.ZodObject = z
  .strictObject({
    isWhole: flag('Whether this replaces all that is known. Otherwise what is not in it has not changed.'),
    pulls: list(pull, 'As in `/api/v1/pulls`: all, or those that are new or have changed, by `id`.').optional(),
    flights: list(flight, 'As in `/api/v1/flights`: all, or those that are new or have changed, by `id`.').optional(),
    gone: z
      .strictObject({
        pulls: list(z.string(), 'By `id`.').optional(),
        flights: list(z.string(), 'By `id`.').optional(),
      })
      .describe('What is there no more.')
      .optional(),
    upstreams: list(upstream, 'As in `/api/v1/upstreams`.').optional(),
    cluster: cluster.nullable().optional().describe('As in `/api/v1/cluster`.'),
    status: status.describe('As `/api/v1/status`.').optional(),
    effect: effect.describe('As `/api/v1/effect`; of `points` only the new ones, unless `isWhole`.').optional(),
  })
  .meta({ id: 'StateEvent' });

export const effectOperations: readonly Operation[] = [
  {
    method: 'GET',
    path: '/api/v1/status',
    summary: 'How it does, on one screen',
    answers: { 200: { description: 'The status.', schema: status } },
  },
  {
    method: 'GET',
    path: '/api/v1/effect',
    summary: 'What it saves, over time',
    answers: { 200: { description: 'The last hour, in steps.', schema: effect } },
  },
  {
    method: 'GET',
    path: '/api/v1/settings',
    summary: 'The settings in force',
    answers: {
      200: { description: 'Every setting.', schema: z.strictObject({ settings: list(setting, 'Every one.') }) },
    },
  },
  {
    method: 'GET',
    path: '/api/v1/events',
    summary: 'All of it as it changes',
    description:
      'Server-sent events. At once one event `state` with everything, then one with what has changed, at most once a second. A viewer that is slow gets whole states instead of all changes.',
    answers: {
      200: {
        description: 'Until either side ends it. The data is a `StateEvent`.',
        contentType: 'text/event-stream',
        schema: stateEvent,
      },
      503: { description: 'There are as many viewers as may be.', schema: errors },
    },
  },
];
