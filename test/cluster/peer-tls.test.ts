import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdir, rename, symlink, writeFile } from 'node:fs/promises';
import { get } from 'node:https';
import { join } from 'node:path';
import { test } from 'node:test';
import { buildImage } from '../../src/cli/demo/image.ts';
import { TestAuthority } from '../../src/core/testing/certificates.ts';
import { blobPath } from '../../src/peers/peer-protocol.ts';
import { TemporaryDirectory } from '../support/loopback.ts';
import { needs } from '../support/need.ts';
import type { OnepullApp } from '../support/onepull-app.ts';
import type { LogLine } from '../support/onepull-process.ts';
import { pull } from '../support/pull.ts';
import { type ClusterOptions, clusterOf, inCluster, secret, untilAllAreHeard } from './cluster-scene.ts';

const skip = needs('redis-server', 'openssl');
const images = ['first', 'second', 'third'].map((seed) =>
  buildImage({ seed: `tls ${seed}`, layerSizes: [3_000, 300_000] }),
);
const [first, second, third] = images;
assert.ok(first && second && third);

/** A folder for each node, with an authority's certificate in it, and one of the node's own which another may have signed. */
class Certificates implements AsyncDisposable {
  readonly #folder: TemporaryDirectory;
  #versions = 0;

  constructor(folder: TemporaryDirectory) {
    this.#folder = folder;
  }

  settings(node: number) {
    const path = (name: string) => join(this.#folder.path, `node-${node}`, name);
    return { ca: path('ca.pem'), cert: path('cert.pem'), key: path('key.pem') };
  }

  async write(node: number, trusted: TestAuthority, signer = trusted): Promise<void> {
    const version = join(this.#folder.path, `version-${++this.#versions}`);
    await mkdir(version);
    const { cert, key } = signer.issue(`node-${node}`);
    const files = { 'ca.pem': trusted.cert, 'cert.pem': cert, 'key.pem': key };
    for (const [name, text] of Object.entries(files)) await writeFile(join(version, name), text);
    // All at once, as Kubernetes does it.
    await symlink(version, join(this.#folder.path, 'next'));
    await rename(join(this.#folder.path, 'next'), join(this.#folder.path, `node-${node}`));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#folder[Symbol.asyncDispose]();
  }
}

async function certificatesFor(...signers: readonly [TestAuthority, TestAuthority?][]): Promise<Certificates> {
  const certificates = new Certificates(await TemporaryDirectory.make());
  for (const [node, [trusted, signer]] of signers.entries()) await certificates.write(node, trusted, signer);
  return certificates;
}

const peerOf = (more: object): ReturnType<NonNullable<ClusterOptions['configuration']>> => ({
  cluster: { peer: { listen: '127.0.0.1:0', ...more } },
});

function logged({ log }: OnepullApp, fields: LogLine): LogLine | undefined {
  return log.find((line) => Object.entries(fields).every(([name, value]) => line[name] === value));
}

/** Where its peers ask it. */
async function peerPort(node: OnepullApp): Promise<string> {
  const { cluster } = await clusterOf(node);
  return new URL(cluster.members.find(({ node: { id } }) => id === cluster.node)?.node.address ?? '').port;
}

const refused = ({ admin }: OnepullApp, reason: string) => admin.metric('onepull_peer_refused_total', { reason });
const sentBy = ({ admin }: OnepullApp) => admin.metric('onepull_peer_sent_bytes_total');

test('nodes that show each other certificates of one authority share, without a secret', { skip }, async () => {
  const authority = new TestAuthority();
  await using certificates = await certificatesFor([authority], [authority], [authority]);
  const configuration = (node: number) => peerOf({ tls: certificates.settings(node) });
  await inCluster({ nodes: 3, configuration }, async ({ registry, nodes }) => {
    registry.content.add('org/app', first, 'v1');
    await untilAllAreHeard(nodes);
    await Promise.all(nodes.map(({ url }) => pull(url, 'org/app', 'v1')));
    assert.equal(registry.tally.bytesSent(), first.totalBytes);
    const [node] = nodes;
    assert.ok(node);
    const { cluster } = await clusterOf(node);
    assert.ok(cluster.members.every(({ node: { address } }) => address.startsWith('https://')));
    for (const each of nodes) assert.equal(await refused(each, 'certificate'), 0);
  });
});

test('a node with a certificate of another authority gets nothing of its peers, nor does who has none, which is said', {
  skip,
}, async () => {
  const [authority, stranger] = [new TestAuthority(), new TestAuthority()];
  // The stranger knows whom to trust: it is the others that do not know it.
  await using certificates = await certificatesFor([authority], [authority, stranger]);
  const configuration = (node: number) => peerOf({ tls: certificates.settings(node) });
  await inCluster({ nodes: 2, configuration }, async ({ registry, nodes }) => {
    registry.content.add('org/app', first, 'v1');
    await untilAllAreHeard(nodes);
    const [known, other] = nodes;
    assert.ok(known && other);
    await pull(known.url, 'org/app', 'v1');
    await pull(other.url, 'org/app', 'v1');
    assert.equal(await sentBy(known), 0);
    const times = await refused(known, 'certificate');
    assert.ok(times > 0);
    const bare = get(`https://127.0.0.1:${await peerPort(known)}${blobPath(first.manifest.digest)}`, {
      ca: authority.cert,
    });
    await assert.rejects(once(bare, 'response'), /certificate required|ECONNRESET|hang up/);
    await known.admin.until(
      () => refused(known, 'certificate'),
      (now) => now > times,
    );
    assert.equal(logged(known, { event: 'peer-refused', reason: 'certificate' })?.level, 'warn');
  });
});

test('plain HTTP to a listener that speaks TLS, and TLS to a plain one, bring nothing and are said', {
  skip,
}, async () => {
  const authority = new TestAuthority();
  await using certificates = await certificatesFor([authority], [authority]);
  const configuration = (node: number) => peerOf(node === 0 ? { tls: certificates.settings(node) } : { secret });
  await inCluster({ nodes: 2, configuration }, async ({ registry, nodes }) => {
    await untilAllAreHeard(nodes);
    const [secure, plain] = nodes;
    assert.ok(secure && plain);
    await assert.rejects(fetch(`http://127.0.0.1:${await peerPort(secure)}${blobPath(first.manifest.digest)}`));
    assert.ok((await refused(secure, 'plain')) >= 1);
    assert.equal(logged(secure, { event: 'peer-refused', reason: 'plain' })?.level, 'warn');
    for (const [image, asked, asking] of [
      [first, secure, plain],
      [second, plain, secure],
    ] as const) {
      registry.content.add('org/app', image, 'v1');
      await pull(asked.url, `org/app`, image.manifest.digest);
      await pull(asking.url, `org/app`, image.manifest.digest);
    }
    assert.equal((await sentBy(secure)) + (await sentBy(plain)), 0);
  });
});

test('renewed certificates, and another authority, are used without a restart', { skip }, async () => {
  const [before, after] = [new TestAuthority(), new TestAuthority()];
  await using certificates = await certificatesFor([before], [before]);
  const configuration = (node: number) => peerOf({ tls: certificates.settings(node) });
  await inCluster({ nodes: 2, configuration }, async ({ registry, nodes }) => {
    registry.content.add('org/first', first, 'v1');
    registry.content.add('org/second', second, 'v1');
    registry.content.add('org/third', third, 'v1');
    await untilAllAreHeard(nodes);
    const pullAll = (name: string) => Promise.all(nodes.map(({ url }) => pull(url, `org/${name}`, 'v1')));
    await pullAll('first');
    assert.equal(registry.tally.bytesSent(), first.totalBytes);
    const [own, other] = nodes;
    assert.ok(own && other);
    const renewed = (node: OnepullApp) =>
      node.admin.until(
        async () => logged(node, { event: 'tls-files', level: 'info' }),
        (line) => line !== undefined,
      );
    await certificates.write(0, after);
    await renewed(own);
    // Half the way: it does not trust the other one any more.
    await pull(other.url, 'org/second', 'v1');
    await pull(own.url, 'org/second', 'v1');
    assert.ok((await refused(own, 'certificate')) > 0);
    await certificates.write(1, after);
    await renewed(other);
    registry.tally.reset();
    await pullAll('third');
    assert.equal(registry.tally.bytesSent(), third.totalBytes);
  });
});
