import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import { parseQuery } from './request-schema.ts';

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
