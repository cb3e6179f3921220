import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, rename, symlink, writeFile } from 'node:fs/promises';
import { get } from 'node:https';
import { join } from 'node:path';
import { test } from 'node:test';
import { connect, type TLSSocket } from 'node:tls';
import { buildImage } from '../../src/cli/demo/image.ts';
import { makeCertificate, type TestCertificate } from '../../src/core/testing/certificates.ts';
import { run } from '../support/child.ts';
import { TemporaryDirectory } from '../support/loopback.ts';
import { needs } from '../support/need.ts';
import { OnepullProcess } from '../support/onepull-process.ts';
import { ScriptedRegistry } from '../support/scripted-registry.ts';
import { skopeoCopy } from '../support/skopeo.ts';
import { leavingNothing } from './scene.ts';

const program = new URL('../../bin/onepull', import.meta.url).pathname;
const image = buildImage({ seed: 'tls', layerSizes: [2_000, 24 * 1024 * 1024] });
const [small, large] = image.layers;
assert.ok(small && large);

/** A certificate and its key as Kubernetes mounts them: links to a folder that is swapped as a whole. */
class MountedSecret {
  readonly folder: string;
  #version = 0;

  private constructor(folder: string) {
    this.folder = folder;
  }

  static async make(folder: string, certificate: TestCertificate): Promise<MountedSecret> {
    const secret = new MountedSecret(join(folder, 'secret'));
    await mkdir(secret.folder);
    for (const name of ['tls.crt', 'tls.key']) await symlink(join('..data', name), join(secret.folder, name));
    await secret.swap(certificate);
    return secret;
  }

  get settings() {
    return { cert: join(this.folder, 'tls.crt'), key: join(this.folder, 'tls.key') };
  }

  async swap({ cert, key }: TestCertificate): Promise<void> {
    const name = `..${++this.#version}`;
    await mkdir(join(this.folder, name));
    await writeFile(join(this.folder, name, 'tls.crt'), cert);
    await writeFile(join(this.folder, name, 'tls.key'), key);
    await symlink(name, join(this.folder, '..next'));
    await rename(join(this.folder, '..next'), join(this.folder, '..data'));
  }
}

interface Scene {
  readonly onepull: OnepullProcess;
  readonly port: number;
  readonly secret: MountedSecret;
  readonly certificate: TestCertificate;
  readonly folder: string;
}

async function inScene(threads: number, body: (scene: Scene) => Promise<void>): Promise<void> {
  await leavingNothing(async () => {
    await using folder = await TemporaryDirectory.make();
    const certificate = makeCertificate();
    const secret = await MountedSecret.make(folder.path, certificate);
    await using registry = await ScriptedRegistry.start();
    registry.content.add('org/app', image, 'v1');
    await using onepull = await OnepullProcess.start({
      server: { threads, tls: secret.settings },
      log: { level: 'debug' },
      upstreams: { 'demo.example': { url: registry.url, default: true } },
    });
    const port = Number(onepull.host.split(':').at(-1));
    await body({ onepull, port, secret, certificate, folder: folder.path });
    await onepull.admin.assertIdle();
    await onepull.terminate();
  });
}

/** A secure connection that trusts `ca` alone. */
async function secure(port: number, ca: string, session?: Buffer): Promise<TLSSocket> {
  const socket = connect({ port, host: '127.0.0.1', ca, ...(session && { session }) });
  await once(socket, 'secureConnect');
  return socket;
}

for (const threads of [0, 2]) {
  const skip = needs('skopeo', 'curl', 'openssl');

  test(`skopeo and curl pull over TLS, with ${threads} threads`, { skip }, () =>
    inScene(threads, async ({ onepull, certificate, folder }) => {
      const certFolder = join(folder, 'trusted');
      await mkdir(certFolder);
      await writeFile(join(certFolder, 'ca.crt'), certificate.cert);
      for (const _ of ['cold', 'warm']) {
        const copy = await skopeoCopy(`${onepull.host}/org/app:v1`, { certFolder });
        assert.equal(copy.manifest, image.manifest.digest);
        assert.deepEqual([...copy.files].sort(), [image.config, ...image.layers].map(({ digest }) => digest).sort());
      }
      const url = `https://${onepull.host}/v2/org/app/blobs/${small.digest}`;
      for (const version of ['--http1.1', '--http1.0', '--tls-max=1.2']) {
        const flags = version.startsWith('--tls') ? ['--tls-max', '1.2'] : [version];
        const { code, stdout } = await run('curl', [
          '-sSf',
          '--cacert',
          join(certFolder, 'ca.crt'),
          ...flags,
          url,
          '-o',
          '-',
        ]);
        assert.equal(code, 0, version);
        assert.ok(stdout.length > 0);
      }
      const stranger = await run('curl', ['-sS', url]);
      assert.equal(stranger.code, 60, 'curl trusts nobody by itself');
      const plain = await run('curl', ['-sS', url.replace('https:', 'http:')]);
      assert.equal(plain.code, 52, 'an empty reply');
      const noisy = onepull.log.filter(({ level }) => level === 'warn' || level === 'error');
      assert.deepEqual(noisy, []);
    }),
  );

  test(`a certificate is swapped while a blob is on its way, with ${threads} threads`, { skip }, () =>
    inScene(threads, async ({ onepull, port, secret, certificate }) => {
      const path = `/v2/org/app/blobs/${large.digest}`;
      const request = get({
        port,
        host: '127.0.0.1',
        path: '/v2/org/app/manifests/v1',
        ca: certificate.cert,
        agent: false,
      });
      const [manifest] = await once(request, 'response');
      await once(manifest.resume(), 'end');
      const [response] = await once(
        get({ port, host: '127.0.0.1', path, ca: certificate.cert, agent: false }),
        'response',
      );
      response.pause();
      const next = makeCertificate(30);
      await secret.swap(next);
      await onepull.logged({ event: 'certificate', level: 'info' });
      // Whichever thread takes the connection: each is told on its own.
      for (let right = 0, tries = 0; right < 8; tries++) {
        assert.ok(tries < 200, 'a thread keeps the old certificate');
        const socket = await secure(port, next.cert).catch(() => undefined);
        right = socket === undefined ? 0 : right + 1;
        socket?.destroy();
      }
      await assert.rejects(secure(port, certificate.cert), { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' });
      const metrics = await onepull.admin.text('/metrics');
      const [, expiry] = /^onepull_tls_certificate_expiry_timestamp_seconds (\S+)$/m.exec(metrics) ?? [];
      assert.ok(Math.abs(Number(expiry) - Date.now() / 1000 - 30 * 86_400) < 3600, `${expiry}`);
      const hash = createHash('sha256');
      for await (const chunk of response) hash.update(chunk);
      assert.equal(`sha256:${hash.digest('hex')}`, large.digest);
    }),
  );

  test(`a swap to what cannot be used changes nothing and is said, with ${threads} threads`, { skip }, () =>
    inScene(threads, async ({ onepull, port, secret, certificate }) => {
      await secret.swap({ cert: makeCertificate().cert, key: certificate.key });
      const { problem } = await onepull.logged({ event: 'certificate', level: 'warn' });
      assert.match(String(problem), /tls\.key is not the key of the certificate/);
      const socket = await secure(port, certificate.cert);
      socket.destroy();
    }),
  );
}

test('a session is resumed whichever thread takes the connection', () =>
  inScene(3, async ({ port, certificate }) => {
    const first = await secure(port, certificate.cert);
    const [session] = await once(first, 'session');
    first.destroy();
    for (let round = 0; round < 20; round++) {
      const socket = await secure(port, certificate.cert, session);
      assert.equal(socket.isSessionReused(), true);
      socket.destroy();
    }
  }));

test('a key of another certificate is said by check and by serve', async () => {
  await using folder = await TemporaryDirectory.make();
  const secret = await MountedSecret.make(folder.path, { cert: makeCertificate().cert, key: makeCertificate().key });
  const config = join(folder.path, 'onepull.yaml');
  await writeFile(config, JSON.stringify({ server: { tls: secret.settings } }));
  for (const command of ['check', 'serve']) {
    const { code, stderr } = await run(program, [command, '--config', config]);
    assert.equal(code, 2, command);
    assert.match(stderr, /server\.tls\.key.*tls\.key is not the key of the certificate/);
    assert.match(stderr, /name the key that .*tls\.crt was made with/);
  }
});

test('check says that a certificate has expired, and that clients speak HTTPS', async () => {
  await using folder = await TemporaryDirectory.make();
  const secret = await MountedSecret.make(folder.path, makeCertificate(-1));
  const config = join(folder.path, 'onepull.yaml');
  await writeFile(config, JSON.stringify({ server: { tls: secret.settings } }));
  const { code, stdout, stderr } = await run(program, ['check', '--config', config]);
  assert.equal(code, 0);
  assert.match(stdout, /listen {5}0\.0\.0\.0:5000, HTTPS with/);
  assert.match(stderr, /note: server\.tls\.cert: .*tls\.crt has expired/);
});
