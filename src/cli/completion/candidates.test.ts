import assert from 'node:assert/strict';
import { test } from 'node:test';
import { program } from '../program.ts';
import { completionOf } from './candidates.ts';

const tree = program(async () => {});

function values(...words: string[]): readonly string[] {
  const completion = completionOf(tree, words);
  assert.equal(completion.kind, 'candidates', words.join(' '));
  return completion.kind === 'candidates' ? completion.candidates.map(({ value }) => value) : [];
}

test('commands are completed, those in a command too; hidden ones are not', () => {
  assert.deepEqual(values('pu'), ['purge']);
  assert.ok(values('').includes('status') && !values('').includes('complete'));
  assert.deepEqual(values('cluster', ''), ['status']);
  assert.deepEqual(values('help', 'ser'), ['serve']);
});

test('flags of the command are completed, and not again once they were given', () => {
  assert.deepEqual(values('images', '--s'), ['--search', '--sort']);
  assert.deepEqual(values('images', '--sort', 'size', '--s'), ['--search']);
  assert.deepEqual(values('cluster', 'status', '--ad'), ['--admin']);
  assert.deepEqual(
    values('preheat', 'a:1', '--platform', 'linux/amd64', '--pl'),
    ['--platform'],
    'it may be given again',
  );
  assert.deepEqual(values('serve', '--li'), ['--listen']);
});

test('values that can be listed are listed; files and folders are left to the shell', () => {
  assert.deepEqual(values('images', '--sort', ''), ['used', 'size', 'age', 'name']);
  assert.deepEqual(values('clients', 'c'), ['containerd', 'crio']);
  assert.deepEqual(values('clients', '--address', 'a:1', 'k'), ['k3s']);
  assert.deepEqual(values('completion', 'z'), ['zsh']);
  assert.deepEqual(values('status', '--admin', ''), []);
  assert.equal(completionOf(tree, ['serve', '--config', '/e']).kind, 'files');
  assert.equal(completionOf(tree, ['serve', '--storage', '']).kind, 'folders');
});

test('what is full, unknown or not to be known has no candidates', () => {
  assert.deepEqual(values('clients', 'k3s', ''), []);
  assert.deepEqual(values('nonsense', ''), []);
  assert.deepEqual(values('preheat', ''), []);
  assert.deepEqual(values('status', ''), []);
});

test('images are asked of the instance that the flags name', () => {
  const completion = completionOf(tree, ['purge', '--admin', 'a:1', '--token-file=/t', 'docker.io/x:1', 'docker.io/']);
  assert.deepEqual(completion, { kind: 'images', flags: { admin: 'a:1', tokenFile: '/t' } });
  assert.equal(completionOf(tree, ['unpin', '--', '-odd']).kind, 'images');
});
