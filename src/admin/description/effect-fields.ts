import { z } from 'zod';
import { bytes, choice, count, durationMs, epochMs, flag, list, ratio, text } from './field.ts';

const percentiles = (description: string) =>
  z
    .strictObject({
      p50: durationMs('Half took no longer.').optional(),
      p90: durationMs('Nine of ten took no longer.').optional(),
      p99: durationMs('99 of 100 took no longer.').optional(),
    })
    .describe(`${description} Estimated from a histogram; left out where there was none.`);

export const point: z.ZodObject = z
  .strictObject({
    atMs: epochMs('When the step ended.'),
    servedBytes: bytes('Body bytes sent to clients.'),
    upstreamBytes: bytes('Body bytes that came from upstreams.'),
    peerBytes: bytes('Bytes of blobs that came from other nodes.'),
    requests: count('Requests of clients.'),
    hits: count('Of these, answered from the cache, stale ones included.'),
    coalesced: count('Requests that shared the upstream work of another.'),
    failures: count('Answers with 429 or 5xx.'),
  })
  .meta({ id: 'EffectPoint' });

/** As `Effect`. */
export const effect: z.ZodObject = z
  .strictObject({
    stepMs: durationMs('How far points are apart.'),
    maxPoints: count('So many are kept.'),
    points: list(point, 'What happened in each step, the latest last. It is kept in memory.'),
    firstByteMs: percentiles("From a request's arrival to the first byte of its body, for blobs and manifests."),
    pullMs: percentiles('What a transfer took that was done.'),
    upstreams: list(
      z.strictObject({
        name: text('The registry.'),
        bytes: bytes('Body bytes that came from it since the start.'),
        requests: count('Requests to it, those for tokens and redirected ones included.'),
        errors: count('Of these, without an answer, or with 429 or 5xx.'),
      }),
      'Since the start.',
    ),
  })
  .meta({ id: 'Effect' });

const states = ['waiting', 'pulling', 'verifying', 'incomplete', 'done', 'failed'] as const;

/** As `Status`. */
export const status: z.ZodObject = z
  .strictObject({
    version: text('The version of onepull.'),
    node: text('The version of Node.js that it runs on.'),
    startedAtMs: epochMs('When it was started.'),
    state: choice(['ready', 'not ready'], '`ready` or `not ready`, as `/readyz`.'),
    reasons: list(z.string(), 'Why it is not ready, in words.'),
    warnings: list(z.string(), 'What is wrong although it is, in words.'),
    listen: text('`host:port` for clients.'),
    tls: flag('Whether clients speak HTTPS there.'),
    cache: z
      .strictObject({
        sizeBytes: bytes('What the cache holds.'),
        maxBytes: bytes('What it may hold.'),
        diskFreeBytes: bytes('What is free on its disk.').optional(),
        images: count('Images that it has, as `/api/v1/images` lists them.'),
        blobs: count('Blobs that it holds.'),
        strayBytes: bytes(
          'Of `sizeBytes` what no manifest references that is here: no image has it, nobody can name it, and it leaves first when room is needed.',
        ),
      })
      .describe('What is here.'),
    effect: z
      .strictObject({
        servedBytes: bytes('Body bytes sent to clients.'),
        upstreamBytes: bytes('Body bytes that came from upstreams.'),
        savedBytes: bytes('What upstreams did not have to send: the difference, if there is one.'),
        requests: count('Requests of clients.'),
        upstreamRequests: count('Requests to upstreams, those for tokens and redirected ones included.'),
        coalescedRequests: count('Requests that shared the upstream work of another.'),
        hitRatio: ratio(
          'The part of the answers with content that came from the cache, stale ones included; left out before the first.',
        ).optional(),
      })
      .describe('Since the start.'),
    pulls: z
      .strictObject(
        Object.fromEntries(states.map((state) => [state, count(`Images of \`/api/v1/pulls\` in this state.`)])),
      )
      .describe('How many there are in each state.'),
  })
  .meta({ id: 'Status' });
