import assert from 'node:assert/strict';
import { test } from 'node:test';
import { command } from '../support/command.ts';
import { ScriptedAdmin } from '../support/scripted-admin.ts';
import { digest } from './answers.ts';

const startedAtMs = Date.UTC(2026, 10, 23, 17, 33, 44);

function member(id: string, silentMs: number, fills: readonly object[]) {
  const node = { id, name: id, address: `http://${id}:5002`, protocol: 1, version: '0.1.0' };
  return { node, load: { children: fills.length, fills }, silentMs };
}

function fill(filledMiB: number, changes: object) {
  return { digest, sizeBytes: 60 * 2 ** 20, filledBytes: filledMiB * 2 ** 20, leads: false, parents: [], ...changes };
}

function cluster(children: number, members: readonly object[], shares: readonly object[] = []) {
  const engine = { address: '127.0.0.1:6399', prefix: 'onepull', isUp: true, sinceMs: startedAtMs };
  return { cluster: { node: 'node-1', engine, children, shares, members } };
}

test('a node that is alone says so, and as JSON has no members, so that who reads them finds nobody', async () => {
  await using admin = await ScriptedAdmin.start({ 'GET /api/v1/cluster': { cluster: null } });
  const text = await command(['cluster', 'status', '--admin', admin.host]);
  assert.deepEqual([text.code, text.stdout], [1, 'This node is alone: no cluster.engine is configured.']);
  const { code, stdout } = await command(['cluster', 'status', '--json', '--admin', admin.host]);
  assert.equal(code, 1);
  assert.deepEqual(JSON.parse(stdout), { engine: null, children: 0, shares: [], members: [] });
});

test('one body is no bodies', async () => {
  await using admin = await ScriptedAdmin.start();
  for (const [children, said] of [
    [0, '0 bodies'],
    [1, '1 body'],
    [2, '2 bodies'],
  ] as const) {
    admin.says('GET /api/v1/cluster', cluster(children, []));
    const { stdout } = await command(['cluster', 'status', '--admin', admin.host]);
    assert.match(stdout, new RegExp(`^sends {4}${said} to other nodes$`, 'm'));
  }
});

test('how far nodes are is told with its age, who leads first; who follows is never said to be ahead', async () => {
  const told = [fill(15, { parents: ['node-3'], place: 'follows' })];
  const members = [
    member('node-1', 400, told),
    member('node-2', 120, [fill(12, { parents: ['node-3'], place: 'follows' })]),
    member('node-3', 900, [fill(16, { leads: true, place: 'leads' })]),
  ];
  // What this node does it knows better than it told.
  const shares = [fill(17, { parents: ['node-3'], place: 'follows' })];
  await using admin = await ScriptedAdmin.start({ 'GET /api/v1/cluster': cluster(0, members, shares) });
  const { code, stdout } = await command(['cluster', 'status', '--admin', admin.host]);
  assert.equal(code, 0);
  assert.deepEqual(stdout.split('\n').slice(-4), [
    digest,
    '  node-3  leads        16.0 MiB of 60.0 MiB                  900 ms ago',
    '  node-1  from node-3  17.0 MiB of 60.0 MiB                  now',
    '  node-2  from node-3  12.0 MiB of 60.0 MiB  4.0 MiB behind  120 ms ago',
  ]);
});
