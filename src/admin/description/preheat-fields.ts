import { z } from 'zod';
import { preheatLimits } from '../../core/preheat-limits.ts';
import { bytes, choice, count, digest, epochMs, list, text } from './field.ts';

const states = ['waiting', 'pulling', 'done', 'failed', 'cancelled'] as const;

const layer = z.strictObject({
  digest: digest('The blob.'),
  mediaType: text('Its type, as the manifest says.'),
  sizeBytes: bytes('Its size, as the manifest says.'),
  filledBytes: bytes('How much of it is here.'),
  state: choice(
    ['waiting', 'pulling', 'verifying', 'done', 'failed', 'cancelled'],
    '`waiting` (for its turn, or as a flight does), `pulling`, `verifying`, `done`, `failed` or `cancelled`.',
  ),
  waitingFor: text('While `state` is `waiting`: for what, in words, where it is known.').optional(),
  error: text('Why it failed, in words.').optional(),
});

const image = z.strictObject({
  image: text('`registry/repository:tag` or `registry/repository@digest`.'),
  state: choice(states, '`waiting`, `pulling`, `done`, `failed` or `cancelled`.'),
  manifest: digest('What the name means, once that is known.').optional(),
  platforms: list(z.string(), 'The platforms that are pulled, where the image is an index.'),
  waitingFor: text('While `state` is `pulling` and nothing of it comes: for what it waits, in words.').optional(),
  error: text('Why it failed, in words.').optional(),
  warning: text(
    'What is to be known although it did not fail: upstream could not be asked where the tag points, so it is what that last was.',
  ).optional(),
  sizeBytes: bytes('The sum over the layers.'),
  filledBytes: bytes('The sum over the layers.'),
  layers: list(layer, 'Configurations and layers of all platforms that are pulled, once they are known.'),
});

const summary = {
  id: text('Names the preheat.'),
  state: choice(
    ['running', 'done', 'failed', 'cancelled'],
    '`running`, `done` (every image was looked for at the end, and is here whole), `cancelled`, or `failed` where an image failed: the others are here all the same.',
  ),
  platforms: list(z.string(), 'Those that were asked for. Empty: all that an image has.'),
  startedAtMs: epochMs('When it was started.'),
  endedAtMs: epochMs('When it ended. Left out while it runs.').optional(),
  sizeBytes: bytes('The sum over the images, as far as their layers are known.'),
  filledBytes: bytes('The sum over the images.'),
  imageCounts: z
    .strictObject({
      waiting: count('Images that wait for their turn.'),
      pulling: count('Images that are being pulled.'),
      done: count('Images that are here.'),
      failed: count('Images that failed.'),
      cancelled: count('Images that were given up.'),
    })
    .describe('How many images are in which state.'),
};

export const preheatSummary: z.ZodObject = z.strictObject(summary).meta({ id: 'PreheatSummary' });

export const preheat: z.ZodObject = z
  .strictObject({ ...summary, images: list(image, 'In the order in which they were asked for.') })
  .meta({ id: 'Preheat' });

/** As it stands in the state that events tell. */
export const preheatEntry: z.ZodObject = preheat.extend({
  images: z
    .record(z.string(), image.omit({ layers: true, platforms: true }))
    .describe('By their position, from 0, without `layers` and `platforms`.'),
});

export const preheatRequest = z
  .strictObject({
    images: z
      .array(z.string().min(1).max(preheatLimits.imageCharacters))
      .min(1)
      .max(preheatLimits.images)
      .describe('1 to 100 names, as clients write them; without a tag: `latest`.'),
    platforms: z
      .array(z.string().min(1).max(preheatLimits.platformCharacters))
      .max(preheatLimits.platforms)
      .default([])
      .describe('`linux/amd64`, `linux/arm/v7`: what to pull of an index. Left out or empty: all that it lists.'),
  })
  .meta({ id: 'PreheatRequest' });
