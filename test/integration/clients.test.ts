import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { buildImage } from '../../src/cli/demo/image.ts';
import { makeCertificate } from '../../src/core/testing/certificates.ts';
import { command } from '../support/command.ts';
import { Containerd } from '../support/containerd.ts';
import { TemporaryDirectory } from '../support/loopback.ts';
import { needs } from '../support/need.ts';
import type { OnepullApp } from '../support/onepull-app.ts';
import { Podman } from '../support/podman.ts';
import { skopeoCopy } from '../support/skopeo.ts';
import { inScene, type Scene } from './scene.ts';

const image = buildImage({ seed: 'clients', layerSizes: [3_000, 200_000, 1_000_000] });
const name = 'demo.example/org/app:v1';

/** What the command prints for the instance that runs. */
async function printed(onepull: OnepullApp, client: string, ...flags: string[]): Promise<string> {
  const { code, stdout, stderr } = await command(['clients', client, '--admin', onepull.admin.host, ...flags]);
  assert.equal(code, 0, stderr);
  return `${stdout}\n`;
}

/** An instance that has the image, and in the end the proof that a client pulled it through, all of it and once. */
function pulling(body: (scene: Scene) => Promise<void>, configuration: Record<string, unknown> = {}): Promise<void> {
  return inScene({ configuration }, async (scene) => {
    scene.registry.content.add('org/app', image, 'v1');
    await body(scene);
    assert.equal(scene.registry.tally.bytesSent(), image.totalBytes);
  });
}

test('skopeo pulls by what "onepull clients podman" prints', { skip: needs('skopeo') }, () =>
  pulling(async ({ onepull }) => {
    const copy = await skopeoCopy(name, { registriesConf: await printed(onepull, 'podman') });
    assert.equal(copy.manifest, image.manifest.digest);
  }),
);

test('podman pulls by what "onepull clients podman" prints, and CRI-O reads the same', { skip: needs('podman') }, () =>
  pulling(async ({ onepull }) => {
    const registriesConf = await printed(onepull, 'podman');
    assert.equal(await printed(onepull, 'crio'), registriesConf);
    await using podman = await Podman.make(registriesConf);
    await podman.pull(name);
    assert.equal(await podman.digestOf(name), image.manifest.digest);
  }),
);

test('containerd pulls by what "onepull clients containerd" writes', { skip: needs('containerd', 'ctr') }, () =>
  pulling(async ({ onepull }) => {
    await using containerd = await Containerd.start();
    assert.equal(await printed(onepull, 'containerd', '--write', containerd.hostsFolder), '\n');
    await containerd.pull(name);
    assert.equal((await containerd.images()).get(name), image.manifest.digest);
  }),
);

test('containerd pulls over TLS by the authority that --ca names', { skip: needs('containerd', 'ctr') }, async () => {
  await using folder = await TemporaryDirectory.make();
  const [cert, key] = [join(folder.path, 'tls.crt'), join(folder.path, 'tls.key')];
  const made = makeCertificate();
  await writeFile(cert, made.cert);
  await writeFile(key, made.key);
  await pulling(
    async ({ onepull }) => {
      await using containerd = await Containerd.start();
      await printed(onepull, 'containerd', '--ca', cert, '--write', containerd.hostsFolder);
      const hosts = await readFile(join(containerd.hostsFolder, 'demo.example/hosts.toml'), 'utf8');
      assert.match(hosts, /\[host\."https:\/\/127\.0\.0\.1:\d+"\]/);
      await containerd.pull(name);
      assert.equal((await containerd.images()).get(name), image.manifest.digest);
    },
    { server: { tls: { cert, key } } },
  );
});

test('containerd pulls by one file alone, as it was printed', { skip: needs('containerd', 'ctr') }, () =>
  pulling(async ({ onepull }) => {
    await using containerd = await Containerd.start();
    await containerd.configure('demo.example', await printed(onepull, 'containerd', '--registry', 'demo.example'));
    await containerd.pull(name);
    assert.equal((await containerd.images()).get(name), image.manifest.digest);
  }),
);
