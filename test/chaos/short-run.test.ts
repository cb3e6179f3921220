import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Child } from '../support/child.ts';

const program = new URL('./main.ts', import.meta.url).pathname;

test('a short chaos run: no promise is broken', async (t) => {
  const seed = Number(process.env.ONEPULL_TEST_SEED ?? Date.now() % 1_000_000);
  const args = ['--seed', seed, '--pulls', 90, '--minutes', 0.12, '--clients', 8, '--images', 24];
  t.diagnostic(`ONEPULL_TEST_SEED=${seed}`);
  await using run = new Child(process.execPath, [program, ...args.map(String)]);
  const { code } = await run.exited;
  const again = `npm run chaos -- ${args.join(' ')} --json ledger.json --log onepull.log`;
  assert.equal(code, 0, `${[...run.stdout, ...run.stderr].join('\n')}\n\nAgain: ${again}`);
  assert.ok(
    run.stdout.some((line) => /pulls +\d+ complete/.test(line)),
    'there is a ledger',
  );
});
