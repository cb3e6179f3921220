import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { command, PseudoTerminal } from '../support/command.ts';
import { ScriptedAdmin } from '../support/scripted-admin.ts';
import { answers, layer, pull, upstream } from './answers.ts';

describe('onepull status', { concurrency: 2 }, () => {
  test('shows what is pulled and who waits, the effect, the cache, the upstreams and the cluster', async () => {
    await using admin = await ScriptedAdmin.start(answers());
    const { code, stdout, stderr } = await command(['status', '--admin', admin.host]);
    assert.deepEqual([code, stderr], [0, '']);
    const name = 'docker.io/library/nginx:1.29'.padEnd(73);
    assert.equal(
      stdout,
      `onepull 0.1.0  ready  at 0.0.0.0:5000, up 3 days

Pulling 1 image at 6.0 MiB/s for 500 waiting responses:
  ${name}  pulling      43% of 100.0 MiB  500 waiting
    for 10.0.3.17, 10.0.3.18

effect     saved 90.0 GiB (90 %): served 100.0 GiB, from upstream 10.0 GiB
           123,456 requests (98.7 % hits, 4,321 joined another), 789 to upstream
cache      12.0 GiB of 50.0 GiB (24 %): 120 images, 1 blob
           100.0 GiB free on the disk
upstreams  docker.io  registry-1.docker.io  sound  21 ms  76 of 100 left
cluster    none: this node is alone`,
    );
  });

  test('an instance that is not ready says why, and the exit code is 1', async () => {
    const status = { state: 'not ready', reasons: ['shutting down'], warnings: ['the disk is full'] };
    await using admin = await ScriptedAdmin.start(answers({ status, pulls: [] }));
    const { code, stdout } = await command(['status', '--admin', admin.host]);
    assert.equal(code, 1);
    assert.match(
      stdout,
      /^onepull 0\.1\.0 {2}not ready {2}.*\n {2}shutting down\n {2}the disk is full\n\nNothing is being/,
    );
  });

  test('an upstream that is not as it should be has its reasons below it', async () => {
    await using admin = await ScriptedAdmin.start(answers());
    const reason = 'upstream docker.io cannot be reached: the connection was refused';
    const endpoint = {
      standing: 'shut',
      breaker: { state: 'open', reason },
      health: { errorRatio: 0.214 },
      pauses: [{ what: 'manifests', leftMs: 41_200 }],
      rateLimit: undefined,
    };
    admin.says('GET /api/v1/upstreams', { upstreams: [upstream(endpoint)] });
    const { stdout } = await command(['status', '--admin', admin.host]);
    assert.match(
      stdout,
      new RegExp(
        `shut +-\n +asks for no manifests for 41\\.2 s\n +22 % of requests fail\n +${reason.replaceAll('.', '\\.')}\n`,
      ),
    );
  });

  test('what nobody waits for any more is not being pulled', async () => {
    const left = pull({ state: 'incomplete', waiters: 0, layers: [layer({ state: 'missing', waiters: 0 })] });
    await using admin = await ScriptedAdmin.start(
      answers({ pulls: [left, pull({ id: '2', state: 'done', layers: [] })] }),
    );
    assert.match((await command(['status', '--admin', admin.host])).stdout, /\nNothing is being pulled\.\n/);
  });

  test('--json has the answers as the instance gave them, of pulls those under way', async () => {
    await using admin = await ScriptedAdmin.start(
      answers({ pulls: [pull({ id: '2', state: 'done', layers: [] }), pull()] }),
    );
    const { code, stdout } = await command(['status', '--admin', admin.host, '--json']);
    assert.equal(code, 0);
    const shown = JSON.parse(stdout);
    assert.deepEqual(Object.keys(shown), ['status', 'pulls', 'upstreams', 'cluster']);
    assert.equal(shown.status.node, '26.10.0', 'fields that no command reads are there');
    assert.deepEqual(
      shown.pulls.map(({ id }: { id: string }) => id),
      ['1'],
    );
  });

  test('a terminal of 80 columns and 24 rows holds it: in colours, unless NO_COLOR is set', async () => {
    const many = Array.from({ length: 40 }, (_, index) =>
      pull({
        id: String(index),
        image: `registry.example/${'long-name/'.repeat(12)}app-${index}:1.0`,
        clients: ['10.0.0.1'],
      }),
    );
    await using admin = await ScriptedAdmin.start(answers({ pulls: many }));
    for (const [environment, isPainted] of [
      [{}, true],
      [{ NO_COLOR: '1' }, false],
    ] as const) {
      await using terminal = new PseudoTerminal(['status', '--admin', admin.host], { environment });
      assert.deepEqual(await terminal.exited, { code: 0, signal: null });
      assert.equal(terminal.output.includes('\u001b['), isPainted);
      const lines = terminal.text.split('\n');
      assert.ok(lines.length <= 24, `${lines.length} lines`);
      for (const line of lines) assert.ok(line.length <= 80, line);
      assert.match(terminal.text, / …\S*\/app-0:1\.0 {2}pulling[\s\S]*and 3\d more/);
    }
  });
});
