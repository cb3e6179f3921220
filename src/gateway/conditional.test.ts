import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { digestOf } from '../core/digest.ts';
import { applicableRange, etagOf, noneMatchNames } from './conditional.ts';

const digest = digestOf(Buffer.from('one'));
const other = digestOf(Buffer.from('other'));

describe('noneMatchNames', () => {
  const cases: [header: string | undefined, matches: boolean][] = [
    [undefined, false],
    ['*', true],
    [`"${digest}"`, true],
    [`W/"${digest}"`, true],
    [`"${other}", W/"${digest}"`, true],
    [`"${other}","${digest}"`, true],
    [`"${other}"`, false],
    [digest, false],
    ['"*"', false],
    ['', false],
  ];
  for (const [header, matches] of cases) {
    it(`${matches ? 'matches' : 'does not match'} ${header}`, () => {
      assert.equal(noneMatchNames(header, digest), matches);
    });
  }
});

describe('applicableRange', () => {
  const range = 'bytes=0-1';

  it('is the range without If-Range and with the strong validator', () => {
    assert.equal(applicableRange({ range }, digest), range);
    assert.equal(applicableRange({ range, 'if-range': etagOf(digest) }, digest), range);
  });

  it('is none with another, a weak, or a date validator', () => {
    for (const validator of [etagOf(other), `W/${etagOf(digest)}`, 'Wed, 21 Oct 2015 07:28:00 GMT', '*']) {
      assert.equal(applicableRange({ range, 'if-range': validator }, digest), undefined);
    }
  });
});
