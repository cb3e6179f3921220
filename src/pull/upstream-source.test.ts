import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { digestOf } from '../core/digest.ts';
import { parseRepositoryName, type RepositoryName } from '../core/repository-name.ts';
import type { Scope } from '../core/scope.ts';
import { upstreamSources } from './upstream-source.ts';
import type { BlobSource, Registry } from './upstreams.ts';

const digest = digestOf(Buffer.from('some'));
const repository = parseRepositoryName('org/app') as RepositoryName;

function namesOf(...endpoints: string[]): string[] {
  const standing = () => ({ restMs: 0, restReason: undefined, cost: 0, hasRoom: true });
  const open = () => Promise.reject(new Error('not asked'));
  const blobSources = (): BlobSource[] => endpoints.map((name) => ({ name, standing, open, discredit: () => {} }));
  const scope = { registry: 'hub.example', repository } as Scope;
  return upstreamSources({ blobSources } as unknown as Registry, scope, digest).map(({ name }) => name);
}

describe('the sources of a blob', () => {
  it('are called by the repository, and by the endpoint where there are several', () => {
    assert.deepEqual(namesOf('a.example'), ['hub.example/org/app']);
    const both = ['hub.example/org/app at a.example', 'hub.example/org/app at b.example'];
    assert.deepEqual(namesOf('a.example', 'b.example'), both);
  });
});
