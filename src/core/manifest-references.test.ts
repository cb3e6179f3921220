import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { digestOf } from './digest.ts';
import { manifestReferences, maxManifestBytes } from './manifest-references.ts';
import { dockerManifest, dockerManifestList, ociIndex, ociManifest } from './media-types.ts';

const digest = (name: string) => digestOf(Buffer.from(name));
const descriptor = (name: string, more: object = {}) => ({ mediaType: 'x/y', digest: digest(name), size: 7, ...more });
const encode = (document: unknown) => Buffer.from(JSON.stringify(document));

describe('what a manifest references', () => {
  it('an image manifest references its config and layers, each once', () => {
    const layers = [descriptor('a'), descriptor('b'), descriptor('a')];
    const manifest = { schemaVersion: 2, mediaType: ociManifest, config: descriptor('config'), layers };
    const found = manifestReferences(encode(manifest), ociManifest);
    assert.equal(found.mediaType, ociManifest);
    assert.deepEqual(found.children, []);
    assert.deepEqual(
      found.blobs.map((blob) => blob.digest),
      ['config', 'a', 'b'].map(digest),
    );
    assert.deepEqual(found.blobs[0], {
      digest: digest('config'),
      mediaType: 'x/y',
      sizeBytes: 7,
      provesPossession: true,
    });
  });

  it('an index references its manifests', () => {
    const manifest = { schemaVersion: 2, manifests: [descriptor('amd'), descriptor('arm')] };
    for (const mediaType of [ociIndex, dockerManifestList]) {
      const found = manifestReferences(encode(manifest), `${mediaType}; charset=utf-8`);
      assert.equal(found.mediaType, mediaType);
      assert.deepEqual(
        found.children.map((child) => child.digest),
        [digest('amd'), digest('arm')],
      );
      assert.deepEqual(found.blobs, []);
    }
  });

  it('a layer that may come from elsewhere proves nothing about the repository', () => {
    const layers = [
      descriptor('a', { urls: ['https://elsewhere.example/a'] }),
      descriptor('b', { mediaType: 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip' }),
      descriptor('c', { urls: [] }),
    ];
    const found = manifestReferences(encode({ schemaVersion: 2, layers }), dockerManifest);
    assert.deepEqual(
      found.blobs.map((blob) => blob.provesPossession),
      [false, false, true],
    );
  });

  it('the manifest says what it is where the registry does not', () => {
    const typed = encode({ schemaVersion: 2, mediaType: dockerManifest, layers: [] });
    assert.equal(manifestReferences(typed, 'application/json').mediaType, dockerManifest);
    const untyped = encode({ schemaVersion: 2, manifests: [descriptor('a')] });
    assert.equal(manifestReferences(untyped, 'text/plain').mediaType, ociIndex);
  });

  it('a manifest of an unknown type references nothing', () => {
    const found = manifestReferences(encode({ schemaVersion: 1, fsLayers: [] }), 'application/vnd.example+json');
    assert.deepEqual(found, { mediaType: 'application/vnd.example+json', children: [], blobs: [] });
  });

  it('what is no media type, or longer than one may be, is not passed on as one', () => {
    const layers = ['a/b\r\nx: y', `a/${'b'.repeat(200)}`, 'plain', ' a/b', 'application/vnd.x+gzip; v=1'].map(
      (mediaType) => descriptor(mediaType, { mediaType }),
    );
    const found = manifestReferences(encode({ schemaVersion: 2, mediaType: ociManifest, layers }), ociManifest);
    assert.deepEqual(
      found.blobs.map(({ mediaType }) => mediaType),
      [...Array.from({ length: 4 }, () => 'application/octet-stream'), 'application/vnd.x+gzip; v=1'],
    );
    const unknown = encode({ schemaVersion: 2, mediaType: 'a/b\nc', layers });
    assert.equal(manifestReferences(unknown, 'application/json').mediaType, 'application/json');
  });

  it('what it references by an algorithm that we cannot verify is left out', () => {
    const layers = [{ ...descriptor('a'), digest: `sha384:${'a'.repeat(96)}` }, descriptor('b')];
    assert.equal(manifestReferences(encode({ schemaVersion: 2, layers }), ociManifest).blobs.length, 1);
  });

  const invalid: Record<string, [unknown, string]> = {
    'an index and an image at once': [{ manifests: [], layers: [] }, ociIndex],
    'another kind than it was served as': [{ manifests: [] }, ociManifest],
    'of another type than it was served as': [{ mediaType: ociManifest, layers: [] }, dockerManifest],
    'a list': [[], ociManifest],
    'without a list of layers': [{ layers: 'none' }, ociManifest],
    'with a reference that is no object': [{ layers: ['a'] }, ociManifest],
    'with a malformed digest': [{ layers: [{ ...descriptor('a'), digest: '../../etc' }] }, ociManifest],
    'with a negative size': [{ layers: [descriptor('a', { size: -1 })] }, ociManifest],
    'with a fractional size': [{ layers: [descriptor('a', { size: 1.5 })] }, ociManifest],
  };
  for (const [what, [document, mediaType]] of Object.entries(invalid)) {
    it(`a manifest that is ${what} is refused`, () => {
      assert.throws(() => manifestReferences(encode(document), mediaType), { code: 'UPSTREAM_INVALID' });
    });
  }

  it('what is no JSON is refused', () => {
    assert.throws(() => manifestReferences(Buffer.from('<html>'), ociManifest), { code: 'UPSTREAM_INVALID' });
    assert.throws(() => manifestReferences(Buffer.from([0xff, 0xfe]), ociManifest), { code: 'UPSTREAM_INVALID' });
  });

  it('a manifest that is too large is refused before it is parsed', () => {
    const bytes = new Uint8Array(maxManifestBytes + 1);
    assert.throws(() => manifestReferences(bytes, ociManifest), { code: 'MANIFEST_TOO_LARGE' });
  });
});
