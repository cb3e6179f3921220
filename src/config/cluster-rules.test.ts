import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { clusterSummary } from '../cli/cluster-summary.ts';
import { TestAuthority } from '../core/testing/certificates.ts';
import { clusterNotices } from './cluster-notices.ts';
import { type LoadedConfig, loadConfig } from './load.ts';
import { problemText } from './problems.ts';
import type { Config } from './schema.ts';

const secret = 'a secret of tests only';

async function loaded(context: TestContext, cluster: object): Promise<LoadedConfig> {
  const folder = await mkdtemp(join(tmpdir(), 'onepull-cluster-rules-'));
  context.after(() => rm(folder, { recursive: true }));
  const file = join(folder, 'onepull.yaml');
  await writeFile(file, JSON.stringify({ cluster }));
  return loadConfig({ file });
}

async function problems(context: TestContext, cluster: object): Promise<string> {
  const result = await loaded(context, cluster);
  assert.equal(result.kind, 'problems', JSON.stringify(cluster));
  return result.problems.map(problemText).join('\n');
}

async function right(context: TestContext, cluster: object): Promise<NonNullable<Config['cluster']>> {
  const result = await loaded(context, cluster);
  if (result.kind === 'problems') assert.fail(result.problems.map(problemText).join('\n'));
  assert.ok(result.config.cluster);
  return result.config.cluster;
}

const single = { engine: 'redis://10.0.0.5', peer: { secret } };

test('what does not go together is a problem with a hint', async (context) => {
  for (const [cluster, expected] of [
    [{ engine: 'redis://10.0.0.5' }, /cluster\.peer: lets anybody read.*\n.*hint: give a secret/],
    [{ ...single, tls: { ca: '/ca.pem' } }, /cluster\.tls: is given, but the engine is not asked over TLS.*\n.*rediss/],
    [{ ...single, sentinelPasswordFile: '/x' }, /cluster\.sentinelPasswordFile: is given, but .* no Sentinels/],
    [{ ...single, prefix: 'one{pull}' }, /cluster\.prefix: has spaces or braces/],
    [
      { engine: 'redis://10.0.0.5', peer: { secret: 'short' } },
      /cluster\.peer\.secret: is shorter than 16.*\n.*openssl rand/,
    ],
    [
      { engine: 'redis://10.0.0.5', peer: { secret, tls: { ca: '/ca.pem' } } },
      /cluster\.peer\.tls: has ca without cert/,
    ],
    [
      {
        engine: 'redis://10.0.0.5',
        peer: { secret, advertise: 'http://10.0.0.7:5002', tls: { cert: '/c', key: '/k' } },
      },
      /cluster\.peer\.advertise: says http where this node speaks HTTPS.*\n.*https:\/\/10\.0\.0\.7:5002/,
    ],
    [
      { ...single, peer: { secret, advertise: 'http://0.0.0.0:5002' } },
      /advertise: is no address that other nodes can/,
    ],
    [{ ...single, peer: { secretFile: '/nowhere' } }, /cluster\.peer\.secretFile: the file \/nowhere does not exist/],
  ] as const) {
    assert.match(await problems(context, cluster), expected);
  }
});

test('a file with too short a secret is a problem, and is not repeated', async (context) => {
  const folder = await mkdtemp(join(tmpdir(), 'onepull-secret-'));
  context.after(() => rm(folder, { recursive: true }));
  const secretFile = join(folder, 'secret');
  await writeFile(secretFile, 'hunter2\n');
  const told = await problems(context, { engine: 'redis://10.0.0.5', peer: { secretFile } });
  assert.match(told, /secretFile: the file \S+ holds less than 16 characters/);
  assert.doesNotMatch(told, /hunter2/);
});

test('without an engine nothing else counts', async (context) => {
  const result = await loaded(context, { peer: { listen: '0.0.0.0:5002' }, prefix: '{' });
  assert.ok(result.kind === 'config' && result.config.cluster === undefined);
});

test('what would run is said without secrets', async (context) => {
  const authority = new TestAuthority();
  const { cert, key } = authority.issue();
  const folder = await mkdtemp(join(tmpdir(), 'onepull-peer-'));
  context.after(() => rm(folder, { recursive: true }));
  const files = { ca: authority.cert, cert, key };
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
  const tls = Object.fromEntries(Object.keys(files).map((name) => [name, join(folder, name)]));
  const engine = 'rediss+sentinel://onepull:hunter2@s1,s2/main';
  const peer = { secret, tls, advertise: 'https://10.0.0.7:5002' };
  const cluster = await right(context, { engine, nodeId: 'edge-1', zone: 'eu-1a', prefix: 'edge', peer });
  const said = clusterSummary(cluster).join('\n');
  assert.match(said, /node +edge-1, zone eu-1a/);
  assert.match(
    said,
    /engine +sentinel s1:26379,s2:26379\/main, TLS, as onepull, with a password, keys begin with edge/,
  );
  assert.match(said, /peers +0\.0\.0\.0:5002, others are told https:\/\/10\.0\.0\.7:5002, HTTPS, who asks shows/);
  assert.match(said, /a certificate of \S+\/ca and that it knows the secret, each blob to 4 nodes at once/);
  assert.doesNotMatch(said, /hunter2|tests only/);
  assert.match(clusterSummary(undefined).join(), /alone/);
});

test('an operator is told where others would be sent, and what travels in plain text', async (context) => {
  const cluster = await right(context, { engine: 'redis://:hunter2@10.0.0.5', peer: { secret } });
  const several = clusterNotices(cluster, () => ['10.0.0.7', '192.168.0.7']).join('\n');
  assert.match(several, /this machine has 10\.0\.0\.7, 192\.168\.0\.7: others are told 10\.0\.0\.7/);
  assert.match(several, /its password travels unencrypted/);
  assert.match(clusterNotices(cluster, () => []).join('\n'), /no address that other machines can reach/);
  assert.equal(clusterNotices(cluster, () => ['10.0.0.7']).length, 1);
  const told = await right(context, {
    engine: 'rediss://:x@10.0.0.5',
    peer: { secret, advertise: 'http://edge-1:5002' },
  });
  assert.deepEqual(
    clusterNotices(told, () => ['a', 'b']),
    [],
  );
  const here = await right(context, { engine: 'redis://:x@127.0.0.1', peer: { listen: '127.0.0.1:5002' } });
  assert.deepEqual(clusterNotices(here), []);
});
