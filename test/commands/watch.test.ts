import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { describe, test } from 'node:test';
import { command, PseudoTerminal, startCommand } from '../support/command.ts';
import { ScriptedAdmin } from '../support/scripted-admin.ts';
import { flight, layer, pull, stateTold, upstream } from './answers.ts';

const image = 'docker.io/library/nginx:1.29';
const done = pull({
  state: 'done',
  filledBytes: 104_857_600,
  waiters: 0,
  layers: [layer({ state: 'done', filledBytes: 104_857_600, waiters: 0 })],
});

/** A preheat as events tell it, by how much of each image is here. */
function heated(filled: Readonly<Record<string, number>>) {
  const images = Object.entries(filled).map(([n, filledBytes]) => [n, { image: 'a.example/b:1', filledBytes }]);
  return { state: 'running', images: Object.fromEntries(images) };
}

function heatedList(...filled: readonly number[]) {
  return { state: 'running', images: filled.map((filledBytes) => ({ image: 'a.example/b:1', filledBytes })) };
}

/** Cuts whoever comes, and counts them. */
class RefusingPort implements AsyncDisposable {
  readonly #server = createServer((socket) => {
    socket.on('error', () => {}).destroy();
    this.#cut++;
    for (const look of this.#watchers.splice(0)) look();
  });
  #cut = 0;
  readonly #watchers: (() => void)[] = [];

  static async at(host: string): Promise<RefusingPort> {
    const port = new RefusingPort();
    port.#server.listen(Number(host.split(':')[1]), '127.0.0.1');
    await once(port.#server, 'listening');
    return port;
  }

  async refused(times: number): Promise<void> {
    while (this.#cut < times) await new Promise<void>((resolve) => this.#watchers.push(resolve));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#server.listening) return;
    this.#server.close();
    await once(this.#server, 'close');
  }
}

describe('onepull watch without a terminal', { concurrency: 2 }, () => {
  test('prints a line where an image changes its state or a tenth more has come, and nothing else', async () => {
    await using admin = await ScriptedAdmin.start();
    await using child = startCommand(['watch', '--admin', admin.host]);
    await admin.viewed;
    admin.event('state', stateTold());
    const next = (changes: object) => admin.event('change', { pulls: { 1: changes } });
    next({ filledBytes: 44 * 2 ** 20, waiters: 501 });
    next({ filledBytes: 51 * 2 ** 20, waiters: 500, layers: { 0: { filledBytes: 51 * 2 ** 20 } } });
    admin.event('change', { status: { cache: { blobs: 2 } } });
    next({ state: 'done', filledBytes: done.filledBytes, waiters: 0, layers: { 0: { state: 'done', waiters: 0 } } });
    admin.event('state', stateTold({ pulls: [done] }));
    const error = 'upstream docker.io cannot be reached: the connection was refused';
    const failed = { id: '2', image: 'ghcr.io/org/app:1', state: 'failed', waiters: 0 };
    admin.event('change', {
      pulls: { 1: null, 2: { ...pull(failed), layers: { 0: layer({ state: 'failed', error }) } } },
    });
    await child.line((line) => line.includes('ghcr.io'));
    assert.deepEqual(
      child.stdout.map((line) => line.replace(/^\d{4}-\d\d-\d\dT[\d:.]+Z {2}/, '')),
      [
        `${image}  pulling: 43% 43.0 MiB of 100.0 MiB, 500 responses waiting`,
        `${image}  pulling: 51% 51.0 MiB of 100.0 MiB, 500 responses waiting`,
        `${image}  done: 100.0 MiB`,
        `ghcr.io/org/app:1  failed: 43% 43.0 MiB of 100.0 MiB, ${error}`,
      ],
    );
    assert.deepEqual(await child.kill('SIGTERM'), { code: 143, signal: null });
  });

  test('--json prints what each event changed as a line: entries whole, as the rest of the API has them', async () => {
    await using admin = await ScriptedAdmin.start();
    await using child = startCommand(['watch', '--json', '--admin', admin.host]);
    await admin.viewed;
    const other = pull({ id: '2', image: 'ghcr.io/org/app:1' });
    const { status } = stateTold();
    const [first, second] = [
      { atMs: 5000, servedBytes: 1 },
      { atMs: 10_000, servedBytes: 2 },
    ];
    const effect = { stepMs: 5000, points: { 5000: first } };
    admin.event('state', { ...stateTold({ pulls: [pull(), other] }), effect });
    admin.event('change', { pulls: { 1: { state: 'done', layers: { 0: { state: 'done' } } }, 2: null } });
    admin.event('change', { effect: { points: { 5000: null, 10000: second } }, status: { state: 'not ready' } });
    admin.event('change', { upstreams: { 'docker.io': { endpoints: [] } }, unknown: 'kept' });
    admin.event('change', { preheats: { a: heated({ 0: 0, 1: 0 }), b: heated({ 0: 5 }) } });
    admin.event('change', { preheats: { a: { images: { 1: { filledBytes: 7 } } }, b: null } });
    await child.line((line) => line.includes('"preheats":["b"]'));
    assert.deepEqual(
      child.stdout.map((line) => JSON.parse(line)),
      [
        {
          isWhole: true,
          pulls: [pull(), other],
          flights: [flight()],
          upstreams: [upstream()],
          status,
          effect: { ...effect, points: [first] },
        },
        {
          isWhole: false,
          pulls: [pull({ state: 'done', layers: [layer({ state: 'done' })] })],
          gone: { pulls: ['2'], flights: [], preheats: [] },
        },
        { isWhole: false, status: { ...status, state: 'not ready' }, effect: { ...effect, points: [second] } },
        { isWhole: false, upstreams: [{ ...upstream(), endpoints: [] }], unknown: 'kept' },
        { isWhole: false, preheats: [heatedList(0, 0), heatedList(5)] },
        { isWhole: false, preheats: [heatedList(0, 7)], gone: { pulls: [], flights: [], preheats: ['b'] } },
      ],
    );
    assert.deepEqual(await child.kill('SIGINT'), { code: 130, signal: null });
  });

  test('an instance that goes away is waited for; one that was never there is not', async () => {
    await using admin = await ScriptedAdmin.start();
    await using child = startCommand(['watch', '--admin', admin.host]);
    await admin.viewed;
    admin.event('state', stateTold());
    await child.line((line) => line.includes('pulling'));
    await admin.shut();
    await child.line((line) => line.endsWith('; asking again until it is back'));
    // It asks once a second; meanwhile nothing of it is said.
    const silent = await RefusingPort.at(admin.host);
    await silent.refused(3);
    await silent[Symbol.asyncDispose]();
    await admin.open();
    await admin.viewed;
    admin.event('state', stateTold({ pulls: [done] }));
    await child.line((line) => line.includes('done: '));
    const told = child.stdout.map((line) => line.replace(/^\S+ {2}/, ''));
    assert.equal(told.filter((line) => line.endsWith('asking again until it is back')).length, 1, told.join('\n'));
    assert.deepEqual(told.slice(-2), ['it is back', `${image}  done: 100.0 MiB`]);
    await child.kill('SIGTERM');
    const never = await command(['watch', '--admin', '127.0.0.1:1']);
    assert.equal(never.code, 1);
    assert.match(
      never.stderr,
      /^onepull: no answer from the admin API at 127\.0\.0\.1:1: the connection was refused\n/,
    );
  });

  test('--json says on standard error that it is away, once, and that it is back, once', async () => {
    await using admin = await ScriptedAdmin.start();
    await using child = startCommand(['watch', '--json', '--admin', admin.host]);
    await admin.viewed;
    admin.event('state', stateTold());
    await child.line((line) => line.includes('"isWhole":true'));
    await admin.shut();
    await using silent = await RefusingPort.at(admin.host);
    await silent.refused(2);
    await silent[Symbol.asyncDispose]();
    await admin.open();
    await admin.viewed;
    admin.event('state', stateTold({ pulls: [done] }));
    await child.line((line) => line.includes('"state":"done"'));
    await child.kill('SIGTERM');
    assert.equal(child.stderr.length, 2, child.stderr.join('\n'));
    assert.match(child.stderr[0] ?? '', /^onepull: .*; asking again until it is back$/);
    assert.equal(child.stderr[1], 'onepull: it is back');
  });

  test('events of another kind are told, not shown', async () => {
    await using admin = await ScriptedAdmin.start();
    await using child = startCommand(['watch', '--admin', admin.host]);
    await admin.viewed;
    admin.event('state', { pictures: [] });
    assert.equal((await child.exited).code, 1);
    assert.match(child.stderr.join('\n'), /^onepull: the instance sends events that this version cannot read$/);
  });
});

describe('onepull watch on a terminal', { concurrency: 2 }, () => {
  for (const columns of [80, 200]) {
    test(`draws over itself on a screen of its own; no line is wider than ${columns} columns`, async () => {
      const many = Array.from({ length: 60 }, (_, index) =>
        pull({ id: String(index), image: `registry.example/${'long/'.repeat(50)}app:${index}`, firstAskedAtMs: index }),
      );
      await using admin = await ScriptedAdmin.start();
      await using terminal = new PseudoTerminal(['watch', '--admin', admin.host], { columns, rows: 24 });
      await admin.viewed;
      admin.event('state', stateTold({ pulls: many }));
      await terminal.until(
        ({ frames }) => frames.length >= 1 && /and \d+ images more/.test(frames.at(-1)?.join() ?? ''),
      );
      const gone = Object.fromEntries(many.slice(1).map(({ id }) => [id, null]));
      admin.event('change', { pulls: { ...gone, 0: { image: 'a.example/b:1', filledBytes: 50 * 2 ** 20 } } });
      await terminal.until(({ frames }) => /a\.example\/b:1 .*50%/.test(frames.at(-1)?.join() ?? ''));
      for (const frame of terminal.frames) {
        assert.ok(frame.length <= 24, `${frame.length} lines`);
        for (const line of frame) assert.ok(line.length < columns, line);
      }
      const [full = []] = terminal.frames;
      assert.equal(full.length, 24, 'the screen is used');
      assert.match(
        full.join('\n'),
        /…\S*app:0 +pulling +43% of 100\.0 MiB {2}500 waiting\n {2}8a1e25ce7c4f {2}█+░+ .*6\.0 MiB\/s/,
      );
      assert.ok(!terminal.output.includes('\u001b[2J'), 'nothing is cleared first: that flickers');
      terminal.type('q');
      assert.deepEqual(await terminal.exited, { code: 0, signal: null });
      assert.ok(terminal.output.includes('\u001b[?1049h') && terminal.output.endsWith('\u001b[?25h\u001b[?1049l'));
    });
  }

  test('each image counts once: one of which something is not here, and nobody asks for, is not said to wait', async () => {
    const states = ['pulling', 'waiting', 'done', 'done', 'done', 'incomplete', 'failed'];
    const pulls = states.map((state, index) => pull({ id: String(index), state, layers: [], waiters: 0 }));
    await using admin = await ScriptedAdmin.start();
    await using terminal = new PseudoTerminal(['watch', '--admin', admin.host]);
    await admin.viewed;
    admin.event('state', stateTold({ pulls }));
    const counts = '1 pulling, 1 waiting, 0 verifying, 3 done, 1 incomplete, 1 failed';
    await terminal.until(({ frames }) => frames.at(-1)?.join('\n').includes(counts) === true);
    terminal.type('q');
    assert.deepEqual(await terminal.exited, { code: 0, signal: null });
  });

  test('Ctrl-C ends it well, and an instance that is lost is told in place', async () => {
    await using admin = await ScriptedAdmin.start();
    await using terminal = new PseudoTerminal(['watch', '--admin', admin.host]);
    await admin.viewed;
    admin.event('state', stateTold({ pulls: [] }));
    await terminal.until(({ output }) => output.includes('Nothing was pulled yet.'));
    await admin.shut();
    await terminal.until(({ output }) => output.includes('asking again'));
    terminal.type('\u0003');
    assert.deepEqual(await terminal.exited, { code: 0, signal: null });
  });

  test('a terminal that becomes smaller is drawn anew at once', async () => {
    await using admin = await ScriptedAdmin.start();
    await using terminal = new PseudoTerminal(['watch', '--admin', admin.host], { columns: 120 });
    await admin.viewed;
    admin.event('state', stateTold());
    await terminal.until(({ frames }) => frames.length > 0);
    const before = terminal.frames.length;
    await terminal.resize(60, 20);
    await terminal.until(({ frames }) => frames.length > before);
    const last = terminal.frames.at(-1) ?? [];
    for (const line of last) assert.ok(line.length < 60, line);
    terminal.type('q');
    assert.equal((await terminal.exited).code, 0);
  });
});
