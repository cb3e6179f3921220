import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { dockerManifest, dockerManifestList, manifestMediaTypes, ociIndex, ociManifest } from '../core/media-types.ts';
import { acceptVariant } from './accept.ts';

const everything = acceptVariant(manifestMediaTypes.join(', '));

describe('the variant of an Accept header', () => {
  it('is one for all orders, spellings and extras', () => {
    const reversed = acceptVariant(manifestMediaTypes.toReversed().join(','));
    const containerd = acceptVariant(`${manifestMediaTypes.join(', ').toUpperCase()}, application/json;q=0.1`);
    assert.deepEqual([reversed, containerd], [everything, everything]);
  });

  it('is everything for a client that names no manifest type, or any', () => {
    for (const accept of [undefined, '', '*/*', 'text/html', `${ociManifest}, */*`]) {
      assert.deepEqual(acceptVariant(accept), everything, String(accept));
    }
  });

  it('differs where upstream may answer otherwise', () => {
    const oci = acceptVariant(`${ociIndex}, ${ociManifest}`);
    const docker = acceptVariant(`${dockerManifest}, ${dockerManifestList}`);
    const single = acceptVariant(dockerManifest);
    assert.equal(new Set([oci.key, docker.key, single.key, everything.key]).size, 4);
    assert.equal(single.header, dockerManifest);
  });
});
