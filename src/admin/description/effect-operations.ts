import { z } from 'zod';
import { endedPreheatsShown } from '../state-document.ts';
import { cluster } from './cluster-fields.ts';
import { effect, point, status } from './effect-fields.ts';
import { list, text } from './field.ts';
import { flight } from './flight-fields.ts';
import { errors, type Operation } from './operation.ts';
import { preheatEntry } from './preheat-fields.ts';
import { layer, pull } from './pull-fields.ts';
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

/** The data of an event `state`, as `StateDocument`. */
export const stateDocument: z.ZodObject = z
  .strictObject({
    pulls: z
      .record(z.string(), pull.extend({ layers: z.record(z.string(), layer).describe('By their position, from 0.') }))
      .describe('By `id`: as in `/api/v1/pulls`, but that `layers` stand under their position, from 0.'),
    flights: z.record(z.string(), flight).describe('By `id`: as in `/api/v1/flights`.'),
    preheats: z
      .record(z.string(), preheatEntry)
      .describe(
        `By \`id\`: those that run and the last ${endedPreheatsShown} that ended, as in \`/api/v1/preheats/:id\`, but that \`images\` stand under their position, from 0, without \`layers\` and \`platforms\`.`,
      ),
    upstreams: z.record(z.string(), upstream).describe('By `name`: as in `/api/v1/upstreams`.'),
    cluster: cluster.describe('As in `/api/v1/cluster`; left out where the node is alone.').optional(),
    status: status.describe('As `/api/v1/status`.'),
    effect: effect
      .extend({ points: z.record(z.string(), point).describe('By `atMs`.') })
      .describe('As `/api/v1/effect`, but that `points` stand under their `atMs`.'),
  })
  .meta({ id: 'State' });

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
      'Server-sent events. At once one event `state` with everything, then, at most once a second, one event `change`: a JSON merge patch (RFC 7396) of what was told before. A viewer that is slow gets another `state` instead of all changes.',
    answers: {
      200: {
        description:
          'Until either side ends it. The data of `state` is a `State`, that of `change` a merge patch of it.',
        contentType: 'text/event-stream',
        schema: stateDocument,
      },
      503: {
        description: 'There are as many viewers as may be, or the state cannot be looked at now.',
        schema: errors,
      },
    },
  },
];
