import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { command, PseudoTerminal, startCommand } from '../support/command.ts';
import { ScriptedAdmin } from '../support/scripted-admin.ts';
import { layer } from './answers.ts';

const [first, second] = ['docker.io/library/nginx:1.29', 'ghcr.io/org/app:2'];
const otherDigest = `sha256:c7cf5b1a3f0b${'1'.repeat(52)}`;

function image(name: string, state: string, layers: readonly object[], changes: object = {}) {
  return { image: name, state, layers, ...changes };
}

function preheat(state: string, images: readonly object[]) {
  return { id: 'p 1', state, images };
}

/** Answers with the states one after the other, the last one again and again. */
async function startWith(...states: readonly object[]): Promise<ScriptedAdmin> {
  const admin = await ScriptedAdmin.start();
  let next = 0;
  admin.says('POST /api/v1/preheats', states[0], 202);
  admin.scripts.set('GET /api/v1/preheats/p%201', () => {
    next = Math.min(next + 1, states.length - 1);
    return { json: states[next] };
  });
  return admin;
}

const begun = preheat('running', [image(first, 'waiting', [])]);
const half = preheat('running', [
  image(first, 'pulling', [layer(), layer({ digest: otherDigest, state: 'done', filledBytes: 104_857_600 })]),
]);
const all = preheat('done', [
  image(first, 'done', [
    layer({ state: 'done', filledBytes: 104_857_600 }),
    layer({ digest: otherDigest, state: 'done', filledBytes: 104_857_600 }),
  ]),
]);

describe('onepull preheat', { concurrency: 2 }, () => {
  test('waits until all is there, a line where something changes, and exits with 0', async () => {
    await using admin = await startWith(begun, half, half, all);
    const platforms = ['--platform', 'linux/amd64', '--platform', 'linux/arm/v7'];
    const { code, stdout, stderr } = await command(['preheat', first, ...platforms, '--admin', admin.host]);
    assert.deepEqual([code, stderr], [0, '']);
    assert.deepEqual(stdout.split('\n'), [
      `${first}  waiting`,
      `${first}  8a1e25ce7c4f  pulling  100.0 MiB`,
      `${first}  c7cf5b1a3f0b  done  100.0 MiB`,
      `${first}  pulling`,
      `${first}  8a1e25ce7c4f  done  100.0 MiB`,
      `${first}  done`,
      'The image is here.',
    ]);
    assert.deepEqual(admin.asked[0]?.body, { images: [first], platforms: ['linux/amd64', 'linux/arm/v7'] });
  });

  test('says what failed and why, and exits with 1', async () => {
    const failed = preheat('failed', [
      image(first, 'done', []),
      image(second, 'failed', [], { error: 'upstream ghcr.io\u001b[2J does not know the tag' }),
    ]);
    await using admin = await startWith(failed);
    const { code, stdout } = await command(['preheat', first, second, '--admin', admin.host]);
    assert.equal(code, 1);
    assert.match(stdout, /\n1 of 2 failed:\n {2}ghcr\.io\/org\/app:2: upstream ghcr\.io does not know the tag$/);
  });

  test('what is lost before the end is not said to be here, although every image was', async () => {
    const almost = preheat('running', [image(first, 'done', []), image(second, 'done', [])]);
    const error = 'it was here and has left the cache meanwhile';
    const lost = preheat('failed', [image(first, 'done', []), image(second, 'failed', [], { error })]);
    await using admin = await startWith(almost, almost, lost);
    const { code, stdout } = await command(['preheat', first, second, '--admin', admin.host]);
    assert.equal(code, 1);
    assert.ok(stdout.endsWith(`1 of 2 failed:\n  ${second}: ${error}`), stdout);
  });

  test('an image as it was known, because upstream could not be asked, is here, and that is said', async () => {
    const warning = 'upstream could not be asked where the tag points';
    await using admin = await startWith(preheat('done', [image(first, 'done', [], { warning })]));
    const { code, stdout } = await command(['preheat', first, '--admin', admin.host]);
    assert.deepEqual([code, stdout.split('\n').slice(-2)], [0, ['The image is here.', `${first}: ${warning}`]]);
  });

  test('of one image alone it says why in the last line', async () => {
    await using admin = await startWith(preheat('failed', [image(second, 'failed', [], { error: 'no such tag' })]));
    const { code, stdout } = await command(['preheat', second, '--admin', admin.host]);
    assert.deepEqual([code, stdout.split('\n').at(-1)], [1, 'Failed: no such tag']);
  });

  test('--json has the result alone on standard output', async () => {
    await using admin = await startWith(begun, all);
    const { code, stdout, stderr } = await command(['preheat', first, '--json', '--admin', admin.host]);
    assert.equal(code, 0);
    assert.deepEqual(JSON.parse(stdout), all);
    assert.match(stderr, /waiting/);
  });

  test('--no-wait prints the id and leaves it to the instance', async () => {
    await using admin = await startWith(begun);
    const { code, stdout } = await command(['preheat', first, '--no-wait', '--admin', admin.host]);
    assert.deepEqual([code, stdout], [0, 'p 1']);
    const json = await command(['preheat', first, '--no-wait', '--json', '--admin', admin.host]);
    assert.deepEqual([json.code, JSON.parse(json.stdout)], [0, begun]);
    assert.ok(admin.asked.every(({ method }) => method === 'POST'));
  });

  test('what is wrong about the command exits with 2, a name too; what the instance refuses with 1', async () => {
    assert.equal((await command(['preheat'])).code, 2);
    const platform = await command(['preheat', first, '--platform', 'amd64']);
    assert.equal(platform.code, 2);
    assert.match(platform.stderr, /It is not a platform, such as linux\/amd64/);
    await using admin = await ScriptedAdmin.start();
    admin.refuses('POST /api/v1/preheats', 400, 'NAME_INVALID', '"NGINX" is not the name of an image');
    const refused = await command(['preheat', 'NGINX', '--admin', admin.host]);
    assert.deepEqual([refused.code, refused.stderr], [2, 'onepull: "NGINX" is not the name of an image']);
    admin.refuses('POST /api/v1/preheats', 404, 'NAME_UNKNOWN', 'the registry a.example is not configured');
    const unknown = await command(['preheat', 'a.example/b', '--admin', admin.host]);
    assert.deepEqual([unknown.code, unknown.stderr], [1, 'onepull: the registry a.example is not configured']);
  });

  test('an instance that does not answer for a moment is asked again', async () => {
    await using admin = await startWith(begun, half, all);
    const child = startCommand(['preheat', first, '--admin', admin.host]);
    await using _ = child;
    await child.line((line) => line.endsWith('waiting'));
    await admin.shut();
    await admin.open();
    assert.deepEqual(await child.exited, { code: 0, signal: null }, child.tail);
  });

  test('an instance that was restarted has forgotten it, and says so', async () => {
    await using admin = await startWith(begun);
    const message = 'there is no such preheat: it ended long ago, or before the last restart';
    admin.refuses('GET /api/v1/preheats/p%201', 404, 'UNSUPPORTED', message);
    const { code, stderr } = await command(['preheat', first, '--admin', admin.host]);
    assert.deepEqual([code, stderr], [1, `onepull: ${message}`]);
  });

  for (const [signal, exitCode] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    test(`${signal} cancels it and exits with ${exitCode}`, async () => {
      await using admin = await startWith(half);
      admin.says('DELETE /api/v1/preheats/p%201', { id: 'p 1', state: 'cancelled', images: [] });
      await using child = startCommand(['preheat', first, '--admin', admin.host]);
      await child.line((line) => line.endsWith('pulling'));
      assert.deepEqual(await child.kill(signal), { code: exitCode, signal: null });
      assert.ok(admin.asked.some(({ method }) => method === 'DELETE'));
      assert.deepEqual(child.stderr, ['Cancelled. What is here already stays; started again, it goes on from there.']);
    });
  }

  test('that it could not be cancelled is told', async () => {
    await using admin = await startWith(half);
    admin.refuses('DELETE /api/v1/preheats/p%201', 503, 'UNKNOWN', 'the log says more');
    await using child = startCommand(['preheat', first, '--admin', admin.host]);
    await child.line((line) => line.endsWith('pulling'));
    assert.equal((await child.kill('SIGINT')).code, 130);
    assert.deepEqual(child.stderr, ['onepull: it could not be cancelled, and goes on: the log says more']);
  });

  for (const columns of [80, 200]) {
    test(`on a terminal of ${columns} columns: a bar for each layer, no wider, and the end stays`, async () => {
      const long = `registry.example/${'very/long/'.repeat(24)}name:1.29.4`;
      const layers = Array.from({ length: 60 }, (_, index) =>
        layer({ digest: `sha256:${String(index).padStart(64, '0')}`, state: index < 40 ? 'done' : 'pulling' }),
      );
      const done = layers.map((one) => ({ ...one, state: 'done', filledBytes: 104_857_600 }));
      await using admin = await startWith(
        begun,
        preheat('running', [image(long, 'pulling', layers), image(second, 'failed', [], { error: 'x'.repeat(300) })]),
        preheat('failed', [image(long, 'done', done), image(second, 'failed', [], { error: 'x'.repeat(300) })]),
      );
      await using terminal = new PseudoTerminal(['preheat', long, second, '--admin', admin.host], {
        columns,
        rows: 24,
      });
      assert.equal((await terminal.exited).code, 1);
      assert.ok(terminal.frames.length >= 3, `${terminal.frames.length} frames`);
      for (const frame of terminal.frames) {
        assert.ok(frame.length <= 24, `${frame.length} lines`);
        for (const line of frame) assert.ok(line.length < columns, line);
      }
      const [, running = []] = terminal.frames;
      assert.match(running[0] ?? '', /^…\S*name:1\.29\.4 +pulling/);
      assert.equal(running.filter((line) => line.includes('█')).length, 20, 'those that still come have bars');
      assert.ok(
        terminal.output.includes('\u001b[?25l') && terminal.output.includes('\u001b[?25h'),
        'the cursor is back',
      );
      assert.match(terminal.text, /1 of 2 failed:\n {2}ghcr\.io\/org\/app:2: x+…?$/);
    });
  }
});
