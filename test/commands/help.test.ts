import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Command } from 'commander';
import { program } from '../../src/cli/program.ts';
import { command } from '../support/command.ts';

/** Every command that is shown, with the words that call it. */
function commands(parent: Command, before: readonly string[] = []): { words: string[]; command: Command }[] {
  const known = parent.createHelp().visibleCommands(parent);
  return known.flatMap((child) => {
    const words = [...before, child.name()];
    return [{ words, command: child }, ...commands(child, words)];
  });
}

function helpOf(shown: Command): string {
  let text = '';
  shown.configureOutput({ writeOut: (part) => (text += part), getOutHelpWidth: () => 120 });
  shown.outputHelp();
  return text;
}

const tree = commands(program(async () => {})).filter(({ words }) => words[0] !== 'help');

test('every command says what it is for and has an example that calls it', () => {
  assert.ok(tree.length >= 14, 'all of them are found');
  for (const { words, command: shown } of tree) {
    const help = helpOf(shown);
    assert.match(shown.description(), /^[A-Z].*\.$/s, words.join(' '));
    const [, examples = ''] = /\nExamples?:\n([\s\S]*)$/.exec(help) ?? [];
    assert.ok(examples.includes(`onepull ${words.join(' ')}`), `${words.join(' ')} has an example`);
  }
});

test('what an example says is understood: its flags and arguments are those of the command', () => {
  for (const { words, command: shown } of tree) {
    const flags = new Set(
      shown
        .createHelp()
        .visibleOptions(shown)
        .flatMap(({ long, short }) => [long, short]),
    );
    const [, examples = ''] = /\nExamples?:\n([\s\S]*)$/.exec(helpOf(shown)) ?? [];
    for (const example of examples.split('\n').filter((line) => line.includes(`onepull ${words.join(' ')}`))) {
      const own = example.split(/[|>]/)[0] ?? '';
      for (const flag of own.match(/(?<= )--?[a-z-]+/g) ?? []) assert.ok(flags.has(flag), `${flag} in ${example}`);
    }
  }
});

test('no line of help is wider than the terminal, and free text not wider than 100 columns', () => {
  for (const { words, command: shown } of tree) {
    for (const columns of [60, 80, 200]) {
      let text = '';
      shown.configureOutput({ writeOut: (part) => (text += part), getOutHelpWidth: () => columns });
      shown.outputHelp();
      const [, below = ''] = text.split(/^ {2}-h, --help.*\n/m);
      const free = below.split('\n').filter((line) => !line.startsWith(' '));
      for (const line of free) assert.ok(line.length <= Math.min(columns, 100), `${words.join(' ')}: ${line}`);
      // Examples are not broken, so none may be longer than the usual terminal is wide.
      if (columns !== 80) continue;
      for (const line of text.split('\n')) assert.ok(line.length <= 80, `${words.join(' ')}: ${line}`);
    }
  }
});

test('the help of what asks an instance says how ONEPULL_ADMIN and the flags relate, and that of serve what it means there', async () => {
  const helpText = async (name: string) => (await command([name, '--help'])).stdout.replace(/\s+/g, ' ');
  const [purge, serve] = await Promise.all([helpText('purge'), helpText('serve')]);
  assert.match(purge, /default: that of --config, else of ONEPULL_ADMIN, else 127\.0\.0\.1:5001/);
  assert.match(purge, /ONEPULL_ADMIN says which instance is asked where neither --admin nor --config does/);
  assert.match(serve, /ONEPULL_ADMIN is where its admin API listens/);
});

test('a command in a command has its help by both ways', async () => {
  const [one, other] = await Promise.all([
    command(['help', 'cluster', 'status']),
    command(['cluster', 'status', '--help']),
  ]);
  assert.deepEqual(one, other);
  assert.match(one.stdout, /^Usage: onepull cluster status/);
});

test('check --json gives the problems, or what would run, without secrets', async () => {
  const wrong = await command(['check', '--json'], { ONEPULL_LOG_LEVEL: 'loud' });
  assert.deepEqual([wrong.code, wrong.stderr], [2, '']);
  const { ok, problems } = JSON.parse(wrong.stdout);
  assert.deepEqual([ok, problems[0].path, problems[0].source], [false, 'log.level', 'ONEPULL_LOG_LEVEL']);
  const right = await command(['check', '--json'], { ONEPULL_ADMIN_TOKEN: 'a-secret-of-many-letters' });
  assert.equal(right.code, 0);
  assert.equal(JSON.parse(right.stdout).config.storage.maxSizeBytes, 50 * 2 ** 30);
  assert.doesNotMatch(right.stdout, /a-secret/);
});

test('a reader that goes away ends a command quietly, with the exit code of what a SIGPIPE ends', async () => {
  const { run } = await import('../support/child.ts');
  const { ScriptedAdmin } = await import('../support/scripted-admin.ts');
  const { pull, stateTold } = await import('./answers.ts');
  await using admin = await ScriptedAdmin.start();
  const image = { image: 'docker.io/library/nginx:1', sizeBytes: 1, isPinned: false };
  admin.says('GET /api/v1/images', { images: Array.from({ length: 20_000 }, () => image), total: 20_000 });
  const onepull = new URL('../../bin/onepull', import.meta.url).pathname;
  const piped = (name: string) =>
    run('sh', ['-c', `{ "${onepull}" ${name} --admin ${admin.host}; echo "exit $?" >&2; } | head -1`]);
  const { stdout, stderr } = await piped('images');
  assert.deepEqual([stdout.split(' ')[0], stderr], ['IMAGE', 'exit 141']);
  const watching = piped('watch');
  await admin.viewed;
  // A line after the first one is for nobody, once that is gone.
  const telling = setInterval(
    () => admin.event('state', stateTold({ pulls: [pull({ id: String(Math.random()) })] })),
    50,
  );
  try {
    assert.equal((await watching).stderr, 'exit 141');
  } finally {
    clearInterval(telling);
  }
});
