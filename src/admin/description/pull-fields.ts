import { z } from 'zod';
import { bytes, choice, count, digest, epochMs, list, text } from './field.ts';

export const layer: z.ZodObject = z
  .strictObject({
    digest: digest('The blob.'),
    mediaType: text('Its type, as the manifest says.'),
    sizeBytes: bytes('Its size, as the manifest says.'),
    state: choice(
      ['missing', 'waiting', 'pulling', 'verifying', 'done', 'failed'],
      'As of a flight, or `missing`: not here, and nobody pulls it now. `done`: it is in the store, or was passed through to its end as it could not be kept.',
    ),
    waitingFor: text('While `state` is `waiting`: for what, in words.').optional(),
    filledBytes: bytes('How much of it is here now: 0 once it has left the store.'),
    waiters: count('Responses that read it now, those from the store included.'),
    upstreamBytes: bytes('What came from upstream for it.'),
    peerBytes: bytes('What came from other nodes for it.'),
    error: text('While `state` is `failed`: why, in words.').optional(),
  })
  .meta({ id: 'Layer' });

/** As `PullSnapshot`. */
export const pull: z.ZodObject = z
  .strictObject({
    id: text('Names this entry, as long as the process runs.'),
    image: text('`registry/repository:tag`, or `registry/repository@digest` where no tag is known.'),
    manifest: digest(
      "The digest of the image's manifest (of one platform: an index has an entry for each child that was asked for).",
    ),
    state: choice(
      ['waiting', 'pulling', 'verifying', 'incomplete', 'done', 'failed'],
      '`failed` where a layer failed; else `pulling`, `waiting` or `verifying` where a layer is; else `incomplete` where one is not here, and nobody waits for it or fetches it; else `done`.',
    ),
    sizeBytes: bytes('The sum over the layers.'),
    filledBytes: bytes('The sum over the layers.'),
    waiters: count('Responses that read one of its layers now.'),
    clients: list(z.string(), 'The addresses behind them, at most 20.'),
    pulls: count('How often its manifest was fetched since `firstAskedAtMs`.'),
    upstreamRequests: count('Requests to upstream for its layers.'),
    upstreamBytes: bytes('What they brought, thrown away bytes included.'),
    peerBytes: bytes('What came from other nodes instead.'),
    firstAskedAtMs: epochMs('When its manifest was fetched first, as far as this list remembers.'),
    lastAskedAtMs: epochMs('When it was fetched last.'),
    layers: list(layer, "What the manifest lists, the image's configuration included; at most 200."),
  })
  .meta({ id: 'Pull' });
