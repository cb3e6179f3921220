import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { buildImage } from '../../src/cli/demo/image.ts';
import { coordinatorDefaults } from '../../src/cluster/coordinator.ts';
import { RedisCoordinator } from '../../src/cluster/redis/redis-coordinator.ts';
import { RedisEngine } from '../../src/cluster/redis/redis-engine.ts';
import { testNode } from '../../src/cluster/testing/coordinator-suite.ts';
import { systemClock } from '../../src/core/clock.ts';
import { digestOf } from '../../src/core/digest.ts';
import { engineAddress } from '../../src/core/engine-address.ts';
import { TestAuthority } from '../../src/core/testing/certificates.ts';
import { Channels } from '../../src/telemetry/channels.ts';
import { TemporaryDirectory } from '../support/loopback.ts';
import { needs } from '../support/need.ts';
import type { OnepullApp } from '../support/onepull-app.ts';
import { pull } from '../support/pull.ts';
import { RedisServer } from '../support/redis-server.ts';
import { type ClusterScene, inCluster, untilAllAreHeard } from './cluster-scene.ts';

const skip = needs('redis-server', 'redis-cli', 'openssl');
const image = buildImage({ seed: 'engine-access', layerSizes: [3_000, 400_000] });

type Settings = Readonly<Record<string, unknown>>;

/** Nodes with each of these settings, on an engine that is there already. */
function withSettings(settings: readonly Settings[], body: (scene: ClusterScene) => Promise<void>): Promise<void> {
  return inCluster(
    { nodes: settings.length, late: true, configuration: (index) => ({ cluster: settings[index] ?? {} }) },
    body,
  );
}

async function assertShared({ registry, nodes }: Pick<ClusterScene, 'registry' | 'nodes'>): Promise<void> {
  await untilAllAreHeard(nodes);
  registry.content.add('org/app', image, 'v1');
  await Promise.all(nodes.map(({ url }) => pull(url, 'org/app', 'v1')));
  assert.equal(registry.tally.bytesSent(), image.totalBytes);
}

/** What it says of the engine where an operator looks; it pulls all the same. */
async function saidBy(node: OnepullApp, registry: ClusterScene['registry']): Promise<string> {
  registry.content.add('org/app', image, 'v1');
  await pull(node.url, 'org/app', 'v1');
  const { warnings } = (await node.admin.json('/readyz')) as { warnings: string[] };
  const line = node.log.find(({ event }) => event === 'cluster-down');
  assert.equal(line?.level, 'warn');
  const said = `${warnings.join()} ${String(line?.error)}`;
  assert.match(said, /this node pulls on its own/);
  return said;
}

async function inFolder(
  files: Readonly<Record<string, string>>,
  body: (path: (name: string) => string) => Promise<void>,
): Promise<void> {
  await using folder = await TemporaryDirectory.make();
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder.path, name), text);
  await body((name) => join(folder.path, name));
}

test('an engine that speaks TLS is shared by whoever trusts its authority; another one is told why not', {
  skip,
}, () => {
  const [authority, stranger] = [new TestAuthority(), new TestAuthority()];
  return inFolder({ 'ca.pem': authority.cert, 'other.pem': stranger.cert }, async (path) => {
    await using redis = await RedisServer.start({ tls: { ...authority.issue(), ca: authority.cert } });
    const engine = `rediss://127.0.0.1:${redis.port}`;
    const trusting = { engine, tls: { ca: path('ca.pem') } };
    await withSettings([trusting, trusting], assertShared);
    const doubting = { engine, tls: { ca: path('other.pem') } };
    await withSettings([doubting, { engine: redis.url }], async ({ registry, nodes: [strict, plain] }) => {
      assert.ok(strict && plain);
      assert.match(await saidBy(strict, registry), /its certificate is not trusted: unable to verify|self.signed/);
      assert.match(await saidBy(plain, registry), /no connection|no answer/);
    });
  });
});

test('a certificate of the authority that is put right is used without a restart', { skip }, () => {
  const [authority, stranger] = [new TestAuthority(), new TestAuthority()];
  return inFolder({ 'ca.pem': stranger.cert }, async (path) => {
    await using redis = await RedisServer.start({ tls: { ...authority.issue(), ca: authority.cert } });
    const settings = { engine: `rediss://127.0.0.1:${redis.port}`, tls: { ca: path('ca.pem') } };
    await withSettings([settings], async ({ registry, nodes }) => {
      const [node] = nodes;
      assert.ok(node);
      assert.match(await saidBy(node, registry), /is not trusted/);
      await writeFile(path('ca.pem'), authority.cert);
      await untilAllAreHeard(nodes);
    });
  });
});

test('an engine that is not trusted can be left in mid-handshake', { skip }, async () => {
  const [authority, stranger] = [new TestAuthority(), new TestAuthority()];
  await using redis = await RedisServer.start({ tls: { ...authority.issue(), ca: authority.cert } });
  const address = engineAddress(`rediss://127.0.0.1:${redis.port}`);
  assert.ok(typeof address !== 'string');
  const deps = { clock: systemClock, channels: new Channels() };
  const options = { address, tls: { ca: stranger.cert }, timeoutMs: 1000, restMs: 0 };
  for (let attempt = 0; attempt < 100; attempt++) {
    // What nobody takes would end this process.
    await using engine = new RedisEngine(deps, options);
    assert.ok(engine.health.isUp);
    await delay(attempt % 10);
  }
});

test('an engine that asks for a certificate gets it', { skip }, () => {
  const authority = new TestAuthority();
  const { cert, key } = authority.issue('onepull');
  return inFolder({ 'ca.pem': authority.cert, 'cert.pem': cert, 'key.pem': key }, async (path) => {
    const tls = { ...authority.issue(), ca: authority.cert, asksClients: true };
    await using redis = await RedisServer.start({ tls });
    const engine = `rediss://127.0.0.1:${redis.port}`;
    const shown = { ca: path('ca.pem'), cert: path('cert.pem'), key: path('key.pem') };
    await withSettings(
      [
        { engine, tls: shown },
        { engine, tls: shown },
      ],
      assertShared,
    );
    await withSettings([{ engine, tls: { ca: shown.ca } }], async ({ registry, nodes: [bare] }) => {
      assert.ok(bare);
      assert.match(await saidBy(bare, registry), /certificate required|no connection/);
    });
  });
});

test('a wrong password is told in the log and by /readyz, and never shown', { skip }, () =>
  inFolder({ right: 'open sesame\n', wrong: 'hunter2\n' }, async (path) => {
    await using redis = await RedisServer.start({ lines: ['requirepass "open sesame"'] });
    const engine = redis.url;
    const right = { engine, passwordFile: path('right') };
    const wrong = { engine, passwordFile: path('wrong') };
    const inUrl = { engine: `redis://:hunter2@${redis.host}` };
    await withSettings([right, right], assertShared);
    await withSettings([wrong, inUrl, { engine }], async ({ registry, nodes }) => {
      for (const node of nodes) {
        const said = await saidBy(node, registry);
        assert.match(said, /there is no connection \(it refuses the user or the password: (WRONGPASS|NOAUTH)\)/);
        assert.doesNotMatch(said + JSON.stringify(node.log), /hunter2/);
      }
    });
  }),
);

/** The line that docs/CLUSTER.md tells operators to give their engine. */
function documentedUser(): { rule: string; commands: string[] } {
  const page = readFileSync(new URL('../../docs/CLUSTER.md', import.meta.url), 'utf8');
  const rule = /^ {4}user onepull on >PASSWORD (~onepull:\S+ .*)$/m.exec(page)?.[1] ?? '';
  return { rule, commands: rule.split(' ').filter((word) => word.startsWith('+')) };
}

test('a user that may do what docs/CLUSTER.md says, and nothing else, is enough for all that nodes do', {
  skip,
}, async () => {
  const { rule } = documentedUser();
  await using redis = await RedisServer.start({ lines: [`user onepull on >right ${rule} +select`] });
  const node = { engine: `redis://onepull:right@${redis.host}/2` };
  await withSettings([node, node], assertShared);
  assert.equal(await redis.ask('acl', 'log'), '');
  const keys = (await redis.ask('-n', '2', '--scan')).split('\n').filter((key) => key !== '');
  assert.ok(keys.length > 0 && keys.every((key) => key.startsWith('onepull:{')), keys.join());
});

test('none of these commands can be left out', { skip }, async ({ mock }) => {
  // ioredis says there that it goes on without `info`.
  mock.method(console, 'warn', () => {});
  const { rule, commands } = documentedUser();
  assert.ok(commands.length > 5);
  await using redis = await RedisServer.start();
  for (const command of commands) {
    await redis.ask(
      'acl',
      'setuser',
      'onepull',
      'reset',
      'on',
      '>right',
      ...rule.split(' '),
      command.replace('+', '-'),
    );
    await redis.ask('acl', 'log', 'reset');
    await sayEverything(`redis://onepull:right@${redis.host}`);
    assert.match(await redis.ask('acl', 'log'), /reason\n/, `${command} is denied`);
    await redis.ask('flushall');
  }
});

test('another prefix is another pattern of keys', { skip }, async () => {
  const rule = documentedUser().rule.replace('~onepull:*', '~edge:*');
  await using redis = await RedisServer.start({ lines: [`user onepull on >right ${rule}`] });
  const node = { engine: `redis://onepull:right@${redis.host}`, prefix: 'edge' };
  await withSettings([node, { ...node, prefix: 'onepull' }], async ({ registry, nodes: [right, wrong] }) => {
    assert.ok(right && wrong);
    await untilAllAreHeard([right]);
    assert.match(await saidBy(wrong, registry), /NOPERM|No permissions|no permission|can't access/i);
  });
});

/** Every call of a coordinator once, whatever becomes of it. */
async function sayEverything(url: string): Promise<void> {
  const address = engineAddress(url);
  assert.ok(typeof address !== 'string');
  const deps = { clock: systemClock, channels: new Channels() };
  const node = testNode('a');
  await using engine = new RedisEngine(deps, { address, timeoutMs: 5000, restMs: 0 });
  const coordinator = new RedisCoordinator(engine, node, { ...coordinatorDefaults, prefix: 'onepull' });
  const digest = digestOf(Buffer.from('a blob'));
  const visit = { prefixBytes: 0, sizeBytes: 10, parents: [], seeks: true, avoid: [], gone: [] };
  const pause = { upstream: 'docker.io', endpoint: 'https://hub.example', what: 'blobs', status: 429, leftMs: 1000 };
  const standing = await coordinator.visit(digest, { ...visit, token: undefined }).catch(() => undefined);
  const token = standing?.kind === 'leads' ? standing.token : 'a#1 token';
  const claim = await coordinator.claim('key', 1000).catch(() => undefined);
  const mine = claim?.kind === 'mine' ? claim.token : 'a#1 token';
  for (const call of [
    () => coordinator.beat({ children: 0, fills: [] }),
    () => coordinator.visit(digest, { ...visit, token }),
    () => coordinator.leave(digest, { token, isComplete: true }),
    () => coordinator.announce([{ digest, sizeBytes: 10 }]),
    () => coordinator.lost(digest, node.id),
    () => coordinator.claim('key', 1000),
    () => coordinator.keep('key', mine),
    () => coordinator.settle('key', mine, 'value', 1000),
    () => coordinator.drop('key', mine),
    () => coordinator.pause(pause),
    () => coordinator.pause(pause),
    () => coordinator.part(),
  ]) {
    await call().catch(() => {});
  }
}
