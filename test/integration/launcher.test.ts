import assert from 'node:assert/strict';
import { chmod, copyFile, mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { run } from '../support/child.ts';
import { TemporaryDirectory } from '../support/loopback.ts';
import { OnepullProcess } from '../support/onepull-process.ts';

const launcher = new URL('../../bin/onepull', import.meta.url).pathname;

/** Starts a checkout that has `folders`, on a machine whose own Node.js is too old. */
async function start(folders: readonly string[]) {
  await using folder = await TemporaryDirectory.make();
  const root = join(folder.path, 'onepull');
  for (const name of ['bin', 'src', 'path', ...folders]) await mkdir(join(root, name), { recursive: true });
  await writeFile(join(root, 'src/main.ts'), '');
  const [program, node] = [join(root, 'bin/onepull'), join(root, 'path/node')];
  await copyFile(launcher, program);
  await writeFile(node, '#!/bin/sh\nif [ "$1" = --version ]; then echo v18.20.0; else echo false; fi\n');
  await Promise.all([program, node].map((file) => chmod(file, 0o755)));
  const { code, stderr } = await run(program, [], { env: { PATH: `${join(root, 'path')}:${process.env.PATH}` } });
  return { code, stderr: stderr.replaceAll(root, 'ROOT') };
}

test('without dependencies the launcher says how to get them', async () => {
  const { code, stderr } = await start([]);
  assert.deepEqual([code, stderr], [1, "onepull: dependencies are missing: run 'npm ci' in ROOT"]);
});

test('while npm ci has not brought the pinned Node.js, the launcher says to run it', async () => {
  const { code, stderr } = await start(['node_modules']);
  assert.equal(code, 1);
  assert.match(stderr, /^onepull: needs Node\.js 24 or later; found v18\.20\.0: run 'npm ci' in ROOT to its end/);
});

test('what Node makes of the sources is kept for the next start, also by one that is killed', async () => {
  await using folder = await TemporaryDirectory.make();
  await using onepull = await OnepullProcess.start({}, { env: { NODE_COMPILE_CACHE: folder.path } });
  // The thread that keeps it answers once that is done.
  await fetch(`${onepull.adminUrl}/readyz`);
  await onepull.killHard();
  assert.ok((await readdir(folder.path, { recursive: true })).length > 100);
});
