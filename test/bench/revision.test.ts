import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { RevisionCheckout } from '../../bench/support/revision.ts';
import { TemporaryDirectory } from '../support/loopback.ts';

/** A repository with two commits, of `one` and `two`, and something in node_modules. */
async function repository(): Promise<{ root: string; git: (...args: string[]) => string } & AsyncDisposable> {
  const folder = await TemporaryDirectory.make();
  const root = folder.path;
  const identity = ['-c', 'user.name=test', '-c', 'user.email=test@example.org', '-c', 'commit.gpgsign=false'];
  const git = (...args: string[]) => execFileSync('git', [...identity, ...args], { cwd: root, encoding: 'utf8' });
  git('init', '-q');
  writeFileSync(join(root, '.gitignore'), 'node_modules\n');
  writeFileSync(join(root, 'package-lock.json'), '{}');
  mkdirSync(join(root, 'node_modules'));
  writeFileSync(join(root, 'node_modules', 'there'), '');
  for (const text of ['one', 'two']) {
    writeFileSync(join(root, 'file'), text);
    git('add', '.');
    git('commit', '-qm', text);
  }
  return { root, git, [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose]() };
}

test('another revision stands beside this one with the same dependencies, and leaves nothing behind', async () => {
  await using repo = await repository();
  const checkout = await RevisionCheckout.make('HEAD~1', repo.root);
  assert.equal(readFileSync(join(checkout.path, 'file'), 'utf8'), 'one');
  assert.ok(existsSync(join(checkout.path, 'node_modules', 'there')));
  assert.equal(checkout.commit, repo.git('rev-parse', 'HEAD~1').trim());
  checkout[Symbol.dispose]();
  checkout[Symbol.dispose]();
  assert.ok(!existsSync(checkout.path));
  assert.equal(repo.git('worktree', 'list').trim().split('\n').length, 1);
  assert.ok(existsSync(join(repo.root, 'node_modules', 'there')), 'what was linked to is still there');
  assert.equal(readFileSync(join(repo.root, 'file'), 'utf8'), 'two');
});

test('a revision that is none is told as such', async () => {
  await using repo = await repository();
  await assert.rejects(RevisionCheckout.make('HEAD~9', repo.root), /git rev-parse/);
  await assert.rejects(RevisionCheckout.make('--all', repo.root), /git rev-parse/);
});
