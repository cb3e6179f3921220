import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AppError } from '../core/errors.ts';
import { originFormOf, routeOf } from './route.ts';

const hex = 'a'.repeat(64);
const sha256 = `sha256:${hex}`;
const sha512 = `sha512:${'b'.repeat(128)}`;

const byTag = (name: string, tag: string, ns?: string) => ({
  kind: 'manifest',
  name,
  ns,
  reference: { kind: 'tag', tag },
});
const tags = (name: string) => ({ kind: 'tags', name, ns: undefined, query: '' });
const blob = (name: string, digest = sha256, ns?: string) => ({ kind: 'blob', name, ns, digest });

const routed: [target: string, route: unknown][] = [
  ['/v2/', { kind: 'ping' }],
  ['/v2', { kind: 'ping' }],
  ['/v2/?ns=docker.io', { kind: 'ping' }],
  ['http://mirror.example:5000/v2/', { kind: 'ping' }],
  ['/v2/library/alpine/manifests/3.20', byTag('library/alpine', '3.20')],
  ['/v2/alpine/manifests/latest?ns=docker.io', byTag('alpine', 'latest', 'docker.io')],
  ['/v2/alpine/manifests/latest?ns=registry.example%3A5000', byTag('alpine', 'latest', 'registry.example:5000')],
  ['/v2/alpine/manifests/latest?ns=', byTag('alpine', 'latest')],
  ['http://user:secret@mirror.example/v2/alpine/manifests/a?ns=b', byTag('alpine', 'a', 'b')],
  [
    `/v2/a/b/manifests/${sha256}`,
    { kind: 'manifest', name: 'a/b', ns: undefined, reference: { kind: 'digest', digest: sha256 } },
  ],
  [`/v2/ghcr.io/org/app/blobs/${sha256}`, blob('ghcr.io/org/app')],
  [`/v2/a/blobs/sha256%3A${hex}`, blob('a')],
  [`/v2/a/blobs/${sha512}?ns=quay.io`, blob('a', sha512, 'quay.io')],
  ['/v2/a/tags/list', tags('a')],
  ['/v2/a/tags/list?n=10&last=v1', { ...tags('a'), query: 'n=10&last=v1' }],
  [
    '/v2/a/tags/list?ns=quay.io&next_page=gAAAA%3D%3D&n=2',
    { ...tags('a'), ns: 'quay.io', query: 'next_page=gAAAA%3D%3D&n=2' },
  ],
  ['/v2/a/tags/list?%6Es=quay.io&last="<x>"', { ...tags('a'), ns: 'quay.io', query: 'last=%22%3Cx%3E%22' }],
  ['/v2/a/tags/list?n=0', { ...tags('a'), query: 'n=0' }],
  ['/v2/_catalog', { kind: 'catalog', limit: undefined, last: undefined }],
  ['/v2/_catalog?n=5&last=a%2Fb', { kind: 'catalog', limit: 5, last: 'a/b' }],
  [
    `/v2/a/referrers/${sha256}?artifactType=application/vnd.x+json`,
    {
      kind: 'referrers',
      name: 'a',
      ns: undefined,
      digest: sha256,
      query: 'artifactType=application/vnd.x%2Bjson',
      artifactType: 'application/vnd.x+json',
    },
  ],
  [
    `/v2/a/referrers/${sha256}?artifactType=a&artifactType=b`,
    {
      kind: 'referrers',
      name: 'a',
      ns: undefined,
      digest: sha256,
      query: 'artifactType=a&artifactType=b',
      artifactType: undefined,
    },
  ],
  // Repositories whose names look like endpoints.
  ['/v2/manifests/manifests/manifests', byTag('manifests', 'manifests')],
  ['/v2/a/tags/list/manifests/x', byTag('a/tags/list', 'x')],
  ['/v2/tags/list/tags/list', tags('tags/list')],
  ['/v2/a/manifests/tags/list', tags('a/manifests')],
  ['/v2/blobs/uploads/manifests/list', byTag('blobs/uploads', 'list')],
  [`/v2/blobs/blobs/${sha256}`, blob('blobs')],
  ['/v2/_catalog/manifests/x', byTag('_catalog', 'x')],
];

const refused: [target: string, code: string][] = [
  ['/', 'PATH_UNKNOWN'],
  ['', 'PATH_UNKNOWN'],
  ['*', 'PATH_UNKNOWN'],
  ['/v1/_ping', 'PATH_UNKNOWN'],
  ['/favicon.ico', 'PATH_UNKNOWN'],
  ['/v2/alpine', 'PATH_UNKNOWN'],
  ['/v2/alpine/latest', 'PATH_UNKNOWN'],
  ['/v2/alpine/tags/all', 'PATH_UNKNOWN'],
  ['/v2/manifests/latest', 'PATH_UNKNOWN'],
  ['/v2/tags/list', 'PATH_UNKNOWN'],
  ['/v2/..', 'NAME_INVALID'],
  ['/v2//', 'NAME_INVALID'],
  ['/v2//alpine/manifests/latest', 'NAME_INVALID'],
  ['/v2/alpine//manifests/latest', 'NAME_INVALID'],
  ['/v2/alpine/manifests/', 'NAME_INVALID'],
  ['/v2/alpine/tags/list/', 'NAME_INVALID'],
  ['/v2/a/../b/manifests/x', 'NAME_INVALID'],
  ['/v2/a/%2e%2e/b/manifests/x', 'NAME_INVALID'],
  ['/v2/a/%2E/b/manifests/x', 'NAME_INVALID'],
  ['/v2/./b/manifests/x', 'NAME_INVALID'],
  ['/v2/a%2fb/manifests/x', 'NAME_INVALID'],
  ['/v2/a%2Fmanifests%2Fx', 'NAME_INVALID'],
  ['/v2/a%5cb/manifests/x', 'NAME_INVALID'],
  ['/v2/a\\b/manifests/x', 'NAME_INVALID'],
  ['/v2/a%00/manifests/x', 'NAME_INVALID'],
  ['/v2/a%0d%0aX:y/manifests/x', 'NAME_INVALID'],
  ['/v2/a%7f/manifests/x', 'NAME_INVALID'],
  ['/v2/a%zz/manifests/x', 'NAME_INVALID'],
  ['/v2/a%ff/manifests/x', 'NAME_INVALID'],
  ['/v2/a/manifests/x?ns=a&ns=a', 'NAME_INVALID'],
  ['/v2/a/manifests/x?ns=%ff', 'REQUEST_MALFORMED'],
  ['/v2/a/tags/list?n=-1', 'REQUEST_MALFORMED'],
  ['/v2/a/tags/list?n=many', 'REQUEST_MALFORMED'],
  ['/v2/_catalog?n=1e9', 'REQUEST_MALFORMED'],
  ['/v2/a/manifests/.INVALID_MANIFEST_NAME', 'MANIFEST_UNKNOWN'],
  [`/v2/a/manifests/${'t'.repeat(129)}`, 'MANIFEST_UNKNOWN'],
  ['/v2/a/manifests/%252e%252e', 'MANIFEST_UNKNOWN'],
  ['/v2/a/manifests/sha256:abc', 'DIGEST_INVALID'],
  [`/v2/a/manifests/md5:${'0'.repeat(32)}`, 'DIGEST_INVALID'],
  ['/v2/a/blobs/latest', 'DIGEST_INVALID'],
  [`/v2/a/blobs/sha256:${'A'.repeat(64)}`, 'DIGEST_INVALID'],
  ['/v2/a/blobs/uploads', 'DIGEST_INVALID'],
  ['/v2/a/referrers/latest', 'DIGEST_INVALID'],
];

describe('routeOf', () => {
  for (const [target, route] of routed) {
    it(`finds the endpoint of ${target}`, () => assert.deepEqual(routeOf(target), route));
  }

  for (const [target, code] of refused) {
    it(`refuses ${JSON.stringify(target)} with ${code}`, () => {
      assert.throws(
        () => routeOf(target),
        (error) => error instanceof AppError && error.code === code,
      );
    });
  }

  it('says what it serves when a path is unknown', () => {
    assert.throws(
      () => routeOf('/nothing'),
      (error) => error instanceof AppError && String(error.details.hint).includes('/v2/<name>'),
    );
  });
});

describe('originFormOf', () => {
  it('leaves out the authority with its credentials', () => {
    assert.equal(originFormOf('http://user:secret@host/v2/a/tags/list?n=1'), '/v2/a/tags/list?n=1');
    assert.equal(originFormOf('/v2/?ns=x'), '/v2/?ns=x');
    assert.equal(originFormOf('/v2/'), '/v2/');
  });
});
