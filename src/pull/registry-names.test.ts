import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { RegistryNames } from './registry-names.ts';

const names = new RegistryNames(['docker.io', 'ghcr.io', 'corp.example:5000'], 'docker.io');

/** The registry and repository that a request means, or the error's code. */
function meaning(ns: string | undefined, name: string, resolver = names): string {
  try {
    const { registry, repository } = resolver.resolve(ns, name);
    return `${registry} ${repository}`;
  } catch (error) {
    return (error as { code: string }).code;
  }
}

describe('the registry of a request', () => {
  it('is what containerd says it is, whatever the path looks like', () => {
    assert.equal(meaning('ghcr.io', 'org/app'), 'ghcr.io org/app');
    assert.equal(meaning('ghcr.io', 'app'), 'ghcr.io app');
    assert.equal(meaning('ghcr.io', 'docker.io/org/app'), 'ghcr.io docker.io/org/app');
    assert.equal(meaning('', 'org/app'), 'docker.io org/app');
  });

  it('is a first segment that is configured', () => {
    assert.equal(meaning(undefined, 'ghcr.io/org/app'), 'ghcr.io org/app');
    assert.equal(meaning(undefined, 'corp.example:5000/app'), 'corp.example:5000 app');
    assert.equal(meaning(undefined, 'docker.io/nginx'), 'docker.io library/nginx');
  });

  it('is else the default one, whose names of one segment are in library/', () => {
    assert.equal(meaning(undefined, 'nginx'), 'docker.io library/nginx');
    assert.equal(meaning(undefined, 'org/app'), 'docker.io org/app');
    assert.equal(meaning('docker.io', 'nginx'), 'docker.io library/nginx');
    const corp = new RegistryNames(['corp'], 'corp');
    assert.equal(meaning(undefined, 'nginx', corp), 'corp nginx');
    assert.equal(meaning(undefined, 'some.team/app', corp), 'corp some.team/app');
  });

  it('is never one that is not configured', () => {
    assert.equal(meaning('evil.example', 'org/app'), 'REGISTRY_UNKNOWN');
    assert.equal(meaning('169.254.169.254', 'latest/meta-data'), 'REGISTRY_UNKNOWN');
    assert.equal(meaning(undefined, 'quay.io/org/app'), 'REGISTRY_UNKNOWN');
    assert.equal(meaning(undefined, 'localhost:5000/app'), 'REGISTRY_UNKNOWN');
    assert.equal(meaning(undefined, 'org/app', new RegistryNames(['ghcr.io'], undefined)), 'REGISTRY_UNKNOWN');
    assert.equal(meaning('__proto__', 'org/app'), 'REGISTRY_UNKNOWN');
  });

  it('has no repositories outside the grammar', () => {
    for (const name of ['Org/App', 'org//app', 'org/../app', 'org/app ', '-app', 'a'.repeat(256)]) {
      assert.equal(meaning('ghcr.io', name), 'NAME_INVALID', name);
    }
  });
});
