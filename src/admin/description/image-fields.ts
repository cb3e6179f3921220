import { z } from 'zod';
import { bytes, choice, count, digest, epochMs, flag, list, text } from './field.ts';

const imageText = '`registry/repository:tag`, or `registry/repository@digest` where nothing but the digest names it.';

/** As `ImageSnapshot`. */
const image = z
  .strictObject({
    image: text(imageText),
    manifest: digest('The digest of its manifest or index. A tag that clients get in two forms has an entry for each.'),
    mediaType: text('Of the manifest: an image for one platform, or an index of several.'),
    platforms: list(z.string(), 'The platforms of which everything is here.'),
    otherPlatforms: list(
      z.strictObject({
        platform: text('The platform.'),
        sizeBytes: bytes(
          'Its manifest and all that this references. Left out where nobody asked for it yet.',
        ).optional(),
        storedBytes: bytes('How much of that is here.'),
      }),
      'The platforms that it is for, as far as that is known (of an index all that it lists), and of which something is not here.',
    ),
    sizeBytes: bytes(
      'The manifest and all that it references, each blob once. Platforms that nobody asked for are not counted.',
    ),
    storedBytes: bytes('How much of that is here. Layers that images share count for each of them.'),
    pulls: count('How often it was pulled, where it is among `/api/v1/pulls`.').optional(),
    lastUsedAtMs: epochMs('When it, or a layer of nothing else, was served last; some seconds may be missing.'),
    cachedAtMs: epochMs('Since when the repository has it here; after the loss of the catalog, since that.'),
    isPinned: flag('Whether it is never evicted: it is pinned by this name, or by its digest in this repository.'),
  })
  .meta({ id: 'Image' });

export const imagesPage: z.ZodObject = z.strictObject({
  images: list(image, 'The page.'),
  total: count('How many fit the search, on all pages.'),
  after: text('What the next page is asked for with. Left out: this is the last one.').optional(),
});

export const imageOrders = ['used', 'size', 'age', 'name'] as const;

/** The query of the list. */
export const imagesQuery = z.strictObject({
  search: z.string().max(512).describe('Part of a name, in any case.').optional(),
  sort: choice(
    imageOrders,
    '`used`: what was used last comes first; `size`: the largest; `age`: what is here for longest; `name`: by the alphabet.',
  ).default('used'),
  limit: z.coerce.number().int().min(1).max(200).default(50).describe('How many, at most 200.'),
  after: z.string().max(4096).describe('The `after` of the page before, asked for with the same `sort`.').optional(),
});

/** The query that names one image. */
export const imageQuery = z.strictObject({
  image: z
    .string()
    .min(1)
    .max(1024)
    .describe('As it is listed, or as clients write it: `nginx:1.29`, `ghcr.io/org/app@sha256:...`.'),
});

export const purged: z.ZodObject = z.strictObject({
  removed: list(z.string(), 'The names that are gone: by a digest, every tag of it.'),
  blobs: count('Manifests, configurations and layers that left with them: what no other image here has.'),
  freedBytes: bytes('What that gave back to the disk.'),
  following: list(
    z.strictObject({
      digest: digest('The blob.'),
      sizeBytes: bytes('What of it is here.'),
    }),
    'Of these blobs those that are being read, or fetched: their room comes free when that has ended.',
  ),
});

export const pinned: z.ZodObject = z.strictObject({
  image: text('The name that is pinned, or is not any more.'),
  isPinned: flag('Whether it is.'),
});
