import { z } from 'zod';
import { list, text } from './field.ts';
import { imageQuery, imagesPage, imagesQuery, pinned, purged } from './image-fields.ts';
import { errors, type Operation } from './operation.ts';
import { preheat, preheatRequest, preheatSummary } from './preheat-fields.ts';

const unknownImage = { description: 'There is no such image here, or no such registry.', schema: errors };
const unknownPreheat = { description: 'There is no such preheat; a restart forgets them.', schema: errors };
const preheatId = z.strictObject({ id: text('The `id` that it was given.') });

export const imageOperations: readonly Operation[] = [
  {
    method: 'GET',
    path: '/api/v1/images',
    summary: 'The cached images',
    parameters: { query: imagesQuery },
    answers: { 200: { description: 'A page of the list.', schema: imagesPage } },
  },
  {
    method: 'DELETE',
    path: '/api/v1/images',
    summary: 'Purge an image',
    description:
      'Its name, and what of its content no other image here has. Of this node, whatever others of a cluster have.',
    parameters: { query: imageQuery },
    answers: {
      200: { description: 'It is gone: who asks for it next asks upstream.', schema: purged },
      404: unknownImage,
      409: { description: 'It is pinned, or a part of another image.', schema: errors },
    },
  },
  {
    method: 'PUT',
    path: '/api/v1/pins',
    summary: 'Pin an image',
    description: 'Then it is never evicted: a tag whatever it points to, or a digest.',
    parameters: { query: imageQuery },
    answers: { 200: { description: 'It is pinned, for good.', schema: pinned }, 404: unknownImage },
  },
  {
    method: 'DELETE',
    path: '/api/v1/pins',
    summary: 'Unpin an image',
    parameters: { query: imageQuery },
    answers: { 200: { description: 'It may be evicted.', schema: pinned }, 404: unknownImage },
  },
  {
    method: 'GET',
    path: '/api/v1/preheats',
    summary: 'The preheats that run, and the last that ended',
    description: 'The latest first.',
    answers: {
      200: {
        description: 'The preheats, without their images.',
        schema: z.strictObject({ preheats: list(preheatSummary, 'Each preheat.') }),
      },
    },
  },
  {
    method: 'POST',
    path: '/api/v1/preheats',
    summary: 'Pull images before anybody asks for them',
    description: 'It goes on whether or not anybody looks.',
    body: preheatRequest,
    answers: {
      202: { description: 'It has begun; `Location` says where to look at it.', schema: preheat },
      503: { description: 'As many preheats run as may, or the node shuts down.', schema: errors },
    },
  },
  {
    method: 'GET',
    path: '/api/v1/preheats/:id',
    summary: 'One preheat, layer by layer',
    parameters: { path: preheatId },
    answers: { 200: { description: 'How far it is.', schema: preheat }, 404: unknownPreheat },
  },
  {
    method: 'DELETE',
    path: '/api/v1/preheats/:id',
    summary: 'Cancel a preheat',
    description: 'What is here stays; a transfer that a client wants as well goes on for it.',
    parameters: { path: preheatId },
    answers: { 200: { description: 'It asks for no more.', schema: preheat }, 404: unknownPreheat },
  },
];
