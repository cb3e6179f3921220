import { z } from 'zod';
import { bytes, choice, count, digest, durationMs, epochMs, flag, list, text } from './field.ts';

const fill = z
  .strictObject({
    digest: digest('The blob.'),
    sizeBytes: bytes('Its size, once it is known.').optional(),
    filledBytes: bytes('How much of it is there.'),
    leads: flag('Whether the node asks upstream for all.'),
    place: choice(
      ['asking', 'leads', 'follows', 'waits', 'alone'],
      '`asking` the engine whom to ask; `leads`: asks upstream for all; `follows`: reads from other nodes; `waits` for a leader that it cannot read from; `alone`: asks upstream without the word of the others. None while what it has is put away.',
    ).optional(),
    parents: list(z.string(), 'The ids of the nodes that it reads from.'),
  })
  .meta({ id: 'Fill' });

const member = z
  .strictObject({
    node: z
      .strictObject({
        id: text('Its name, and what tells this run from earlier ones.'),
        name: text('`cluster.nodeId`, or the name of its host.'),
        zone: text('`cluster.zone`.').optional(),
        address: text('Where other nodes reach it.'),
        protocol: z.int().min(1).describe('The newest peer protocol that it speaks.'),
        version: text('Of onepull.'),
      })
      .describe('Who it is.'),
    load: z
      .strictObject({
        children: count('Bodies that it sends to other nodes now.'),
        fills: list(fill, 'Its fills, at most 50; fields as in `shares`.'),
      })
      .describe('What it does.'),
    silentMs: durationMs('How long ago that was said.'),
  })
  .meta({ id: 'Member' });

/** As `ClusterSnapshot`. */
export const cluster: z.ZodObject = z
  .strictObject({
    node: text("This node's id: its name, and what tells this run from earlier ones."),
    engine: z
      .strictObject({
        address: text('Where it is, without credentials.'),
        prefix: text('What its keys begin with (`cluster.prefix`): nodes with another one do not share.'),
        isUp: flag('Whether the last call was answered.'),
        sinceMs: epochMs('Since when that is so.').optional(),
        error: text('Why not, in words.').optional(),
      })
      .describe('What the nodes share.'),
    children: count('Bodies that it sends to other nodes now.'),
    shares: list(fill, 'Its fills.'),
    members: list(
      member,
      'Who was there at the last beat, this node included; empty while the engine does not answer.',
    ),
  })
  .meta({ id: 'Cluster' });
