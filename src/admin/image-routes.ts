import type { ImagesPage, ImagesQuery, PurgeSnapshot } from '../pull/image-snapshot.ts';
import { imageQuery, imagesQuery } from './description/image-fields.ts';
import { parseQuery } from './request-schema.ts';
import { type AdminRequest, type AdminRoute, jsonAnswer } from './route.ts';

/** Each rejects with an AppError that says why not. */
export interface ImageDeps {
  list(query: ImagesQuery, signal: AbortSignal): Promise<ImagesPage>;
  purge(image: string): Promise<PurgeSnapshot>;
  setPinned(image: string, isPinned: boolean): { readonly image: string; readonly isPinned: boolean };
}

/** The images of the cache: which there are, which are to stay, and which are to go. */
export function imageRoutes(images: ImageDeps): AdminRoute[] {
  const pin =
    (isPinned: boolean) =>
    ({ query }: AdminRequest) =>
      jsonAnswer(200, images.setPinned(parseQuery(imageQuery, query).image, isPinned));
  return [
    {
      method: 'GET',
      path: '/api/v1/images',
      async handler({ query, signal }) {
        const { search, sort: order, limit, after } = parseQuery(imagesQuery, query);
        return jsonAnswer(200, await images.list({ order, search, limit, after }, signal));
      },
    },
    {
      method: 'DELETE',
      path: '/api/v1/images',
      handler: async ({ query }) => jsonAnswer(200, await images.purge(parseQuery(imageQuery, query).image)),
    },
    { method: 'PUT', path: '/api/v1/pins', handler: pin(true) },
    { method: 'DELETE', path: '/api/v1/pins', handler: pin(false) },
  ];
}
