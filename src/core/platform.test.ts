import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isPlatform, parsePlatform, platformOf, platformText } from './platform.ts';

for (const text of ['linux/amd64', 'linux/arm/v7', 'windows/amd64', 'linux/ppc64le']) {
  test(`${text} is a platform`, () => {
    const platform = parsePlatform(text);
    assert.ok(platform);
    assert.equal(platformText(platform), text);
  });
}

for (const text of [
  '',
  'linux',
  'linux/',
  '/amd64',
  'linux/arm/v7/x',
  'Linux/amd64',
  'linux/am d64',
  `linux/${'a'.repeat(99)}`,
]) {
  test(`${JSON.stringify(text)} is none`, () => {
    assert.equal(parsePlatform(text), undefined);
  });
}

const matches: readonly [offered: string, wanted: string, is: boolean][] = [
  ['linux/amd64', 'linux/amd64', true],
  ['linux/arm64/v8', 'linux/arm64', true],
  ['linux/arm64', 'linux/arm64/v8', true],
  ['linux/arm/v6', 'linux/arm', true],
  ['linux/arm', 'linux/arm/v6', false],
  ['linux/arm', 'linux/arm/v7', true],
  ['linux/amd64', 'windows/amd64', false],
  ['linux/s390x', 'linux/s390x/v1', false],
];

for (const [offered, wanted, is] of matches) {
  test(`who wants ${wanted} ${is ? 'takes' : 'does not take'} ${offered}`, () => {
    const [one, other] = [parsePlatform(offered), parsePlatform(wanted)];
    assert.ok(one && other);
    assert.equal(isPlatform(one, other), is);
  });
}

test('a document names a platform, or none that anything runs on', () => {
  assert.deepEqual(platformOf({ os: 'linux', architecture: 'arm', variant: 'v7' }), parsePlatform('linux/arm/v7'));
  assert.deepEqual(platformOf({ os: 'linux', architecture: 'amd64', variant: '' }), parsePlatform('linux/amd64'));
  for (const document of [undefined, null, 'linux', {}, { os: 'linux' }, { os: 'unknown', architecture: 'unknown' }]) {
    assert.equal(platformOf(document), undefined);
  }
});
