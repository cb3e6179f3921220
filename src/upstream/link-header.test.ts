import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { nextPageQuery } from './link-header.ts';

describe('the next page', () => {
  const rows: [string | string[] | undefined, string | undefined][] = [
    [undefined, undefined],
    ['', undefined],
    ['</v2/a/tags/list?n=2&last=b>; rel="next"', 'n=2&last=b'],
    ['</v2/a/tags/list?n=2&last=b>; rel=next', 'n=2&last=b'],
    ['<https://registry.example/v2/a/tags/list?last=b%2Bc&n=2>;rel="next"', 'last=b%2Bc&n=2'],
    ['<?next_page=abc>; title="a, b"; REL="prev next"', 'next_page=abc'],
    ['</first?n=1>; rel="first", </v2/x?n=2>; rel="next"', 'n=2'],
    [['</first?n=1>; rel="first"', '</v2/x?n=2>; rel="next"'], 'n=2'],
    ['</v2/x?n=2>; rel="prev"', undefined],
    ['</v2/x?n=2>', undefined],
    ['</v2/x>; rel="next"', undefined],
    ['n=2; rel="next"', undefined],
  ];
  for (const [header, expected] of rows) {
    it(`of ${JSON.stringify(header)} is ${expected}`, () => assert.equal(nextPageQuery(header), expected));
  }
});
