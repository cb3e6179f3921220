import { z } from 'zod';
import { bytesPerSecond, choice, count, durationMs, epochMs, list, ratio, text } from './field.ts';

const breaker = z
  .strictObject({
    state: choice(
      ['closed', 'open', 'half-open'],
      '`closed`: in use. `open`: it failed, and is out of use as long as another endpoint is sound; where none is it is asked all the same, once for each request. `half-open`: a probe is finding out whether it is back.',
    ),
    reason: text('What opened it, or what the last probe failed of, in words.').optional(),
    openedAtMs: epochMs('Since when it fails.').optional(),
    probeAtMs: epochMs('When the next probe is due.').optional(),
  })
  .describe('Whether it is in use.');

const health = z
  .strictObject({
    latencyMs: durationMs(
      "How long its answers' headers take; as all of these figures, what is older counts less.",
    ).optional(),
    bytesPerSecond: bytesPerSecond('How fast one body comes while its reader takes it.').optional(),
    errorRatio: ratio('The share of requests that failed by its fault, 0 to 1.'),
    lastError: z
      .strictObject({
        code: text('An error code of [ERRORS.md](ERRORS.md).'),
        message: text('The same in words.'),
        atMs: epochMs('When that was.'),
      })
      .describe('The last failure that was its fault.')
      .optional(),
  })
  .describe('What its answers were like lately.');

const endpoint = z
  .strictObject({
    name: text('The host.'),
    preference: z.int().min(1).describe('Its place in the configured order, from 1.'),
    standing: choice(
      ['sound', 'degraded', 'resting', 'failing', 'shut'],
      'As a source of blobs: `sound`; `degraded`, because it fails often or is several times slower than another; `resting`, because it asked for it; `failing`, where it failed and no other is sound, so that it is asked all the same; `shut`, because it failed and another is sound. The less sound are asked after the others.',
    ),
    breaker,
    health,
    pauses: list(
      z.strictObject({
        what: choice(
          ['manifests', 'blobs', 'everything'],
          'What it is not asked for: `manifests`, `blobs` or `everything`.',
        ),
        leftMs: durationMs('For how long still.'),
      }),
      'The rests that it asked for (429, or 503 with `Retry-After`).',
    ),
    bodies: z
      .strictObject({
        limit: count(
          'Bodies that may come from it at once; learnt from its answers, at most what `connections` allows.',
        ),
        inFlight: count('Bodies that come now.'),
        queued: count('Requests that wait for their turn.'),
      })
      .describe('The bodies of blobs that come from it.'),
    rateLimit: z
      .strictObject({
        limit: count('The limit on us, as it last told.').optional(),
        remaining: count('What it said is left of it.').optional(),
        toldAtMs: epochMs('When it said so.'),
      })
      .describe('What it told of a limit on us.')
      .optional(),
  })
  .meta({ id: 'Endpoint' });

/** As `UpstreamSnapshot`. */
export const upstream: z.ZodObject = z
  .strictObject({
    name: text('The registry, as clients name it.'),
    endpoints: list(endpoint, 'Its addresses, in the configured order.'),
  })
  .meta({ id: 'Upstream' });
