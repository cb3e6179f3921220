import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import { imageQuery, imagesQuery } from './description/image-fields.ts';
import { preheatRequest } from './description/preheat-fields.ts';
import { parseBody, parseQuery } from './request-schema.ts';

const schema = z.strictObject({ image: z.string(), search: z.string().default('') });

test('a parameter that is given twice is refused: of two images only one would be purged, without a word', () => {
  assert.deepEqual(parseQuery(schema, new URLSearchParams('image=a%3Av1')), { image: 'a:v1', search: '' });
  for (const query of ['image=a&image=b', 'image=a&image=a', 'search=a&image=b&search=c']) {
    assert.throws(() => parseQuery(schema, new URLSearchParams(query)), {
      code: 'REQUEST_MALFORMED',
      message: /^query\.(image|search): it is given more than once$/,
    });
  }
});

test('what is no parameter is refused, whatever it is called', () => {
  for (const name of ['imge', '__proto__', 'constructor']) {
    const query = new URLSearchParams({ image: 'a' });
    query.append(name, 'x');
    assert.throws(() => parseQuery(schema, query), { code: 'REQUEST_MALFORMED', message: new RegExp(name) });
  }
});

test('what is wrong is said in words of the interface, not of a validator', () => {
  const image = (query: string) => () => parseQuery(imageQuery, new URLSearchParams(query));
  const images = (query: string) => () => parseQuery(imagesQuery, new URLSearchParams(query));
  const preheat = (body: unknown) => () => parseBody(preheatRequest, body);
  for (const [parse, message] of [
    [image('image='), 'query.image: it is empty'],
    [image(''), 'query.image: it is missing'],
    [image(`image=${'a'.repeat(1025)}`), 'query.image: it has more than 1024 characters'],
    [image('image=a&imge=b'), 'query: "imge" is not known here'],
    [images('sort=colour'), 'query.sort: it is none of used, size, age, name'],
    [images('limit=0'), 'query.limit: it is less than 1'],
    [images('limit=201'), 'query.limit: it is more than 200'],
    [images('limit=many'), 'query.limit: it is not a number'],
    [images('limit=1.5'), 'query.limit: it is not a whole number'],
    [preheat({}), 'body.images: it is missing'],
    [preheat({ images: 'a' }), 'body.images: it is not a list'],
    [preheat({ images: [] }), 'body.images: it is empty'],
    [preheat({ images: [5] }), 'body.images.0: it is not text'],
    [preheat({ images: Array(101).fill('a') }), 'body.images: it has more than 100 entries'],
    [preheat([]), 'body: it is not an object'],
  ] as const) {
    assert.throws(parse, { code: 'REQUEST_MALFORMED', message });
  }
});
