import assert from 'node:assert/strict';
import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { buildImage } from '../../src/cli/demo/image.ts';
import { PullClient } from '../support/client.ts';
import { DockerRegistry } from '../support/docker-registry.ts';
import { TemporaryDirectory } from '../support/loopback.ts';
import { needs } from '../support/need.ts';
import { OnepullApp } from '../support/onepull-app.ts';
import { pull } from '../support/pull.ts';
import { skopeoCopy } from '../support/skopeo.ts';
import { TokenServer } from '../support/token-server.ts';
import { leavingNothing } from './scene.ts';

const image = buildImage({ seed: 'credentials', layerSizes: [3_000, 400_000] });
const credentials = { username: 'puller', password: 'correct-horse-battery' };
const { username, password } = credentials;
const auth = Buffer.from(`${username}:${password}`).toString('base64');
const registryName = 'corp.example';
const skip = needs('docker-registry', 'htpasswd', 'skopeo');

/** How the configuration says it, and the files in `folder` that this needs. */
const forms: Readonly<Record<string, (folder: string) => Promise<unknown>>> = {
  inline: async () => credentials,
  'in a file of their own': async (folder) => {
    await writeFile(join(folder, 'password'), `${password}\n`);
    return { username, passwordFile: join(folder, 'password') };
  },
  "in docker's config.json": async (folder) => {
    const path = join(folder, 'config.json');
    await writeFile(path, JSON.stringify({ auths: { [registryName]: { auth } } }));
    return { dockerConfig: path };
  },
  "with a helper that docker's config.json names": async (folder) => {
    const path = join(folder, 'config.json');
    await writeHelper(folder);
    await writeFile(path, JSON.stringify({ credHelpers: { [registryName]: 'test' } }));
    return { dockerConfig: path };
  },
  'with a helper': async (folder) => {
    await writeHelper(folder);
    return { helper: 'test' };
  },
};

/** Answers for the one registry, as docker's helper protocol says; for every other one it fails. */
async function writeHelper(folder: string): Promise<void> {
  const answer = JSON.stringify({ ServerURL: registryName, Username: username, Secret: password });
  const path = join(folder, 'docker-credential-test');
  await writeFile(path, `#!/bin/sh\nread -r server\n[ "$1 $server" = "get ${registryName}" ] && echo '${answer}'\n`);
  await chmod(path, 0o755);
}

for (const [form, write] of Object.entries(forms)) {
  test(`skopeo copies from a registry with a password; onepull has its credentials ${form}`, { skip }, () =>
    leavingNothing(async () => {
      await using folder = await TemporaryDirectory.make();
      await using registry = await DockerRegistry.start({ auth: { kind: 'basic', ...credentials } });
      await registry.push('org/app', 'v1', image);
      await using onepull = await OnepullApp.start(
        { upstreams: { [registryName]: { url: registry.url, credentials: await write(folder.path) } } },
        { env: { PATH: `${folder.path}:${process.env.PATH}` } },
      );
      const copy = await skopeoCopy(`${onepull.host}/org/app:v1`);
      assert.equal(copy.manifest, image.manifest.digest);
      await onepull.assertIdle();
    }),
  );
}

test(
  'skopeo copies from a registry with a token server; one token serves a crowd',
  {
    skip: needs('docker-registry', 'openssl', 'skopeo'),
  },
  () =>
    leavingNothing(async () => {
      await using tokens = await TokenServer.start({ credentials });
      await using registry = await DockerRegistry.start({ tokens, pushAs: credentials });
      await registry.push('org/app', 'v1', image);
      await using onepull = await OnepullApp.start({
        upstreams: { [registryName]: { url: registry.url, credentials } },
      });
      const before = tokens.granted;
      const copies = await Promise.all(Array.from({ length: 4 }, () => skopeoCopy(`${onepull.host}/org/app:v1`)));
      for (const copy of copies) assert.equal(copy.manifest, image.manifest.digest);
      await pull(onepull.url, 'org/app', 'v1');
      assert.equal(tokens.granted - before, 1);
      await onepull.assertIdle();
    }),
);

test(
  'a token server that gives everybody tokens to pull needs no credentials',
  {
    skip: needs('docker-registry', 'openssl'),
  },
  () =>
    leavingNothing(async () => {
      await using tokens = await TokenServer.start();
      await using registry = await DockerRegistry.start({ tokens });
      await using onepull = await OnepullApp.start({ upstreams: { [registryName]: { url: registry.url } } });
      await using client = new PullClient(onepull.url);
      // It is signed in, and there is nothing: to push, one has to be known.
      assert.equal((await client.manifest('org/app', 'v1')).status, 404);
      assert.equal(tokens.granted, 1);
    }),
);

test('wrong credentials are told as 401, and so is their absence', { skip: needs('docker-registry', 'htpasswd') }, () =>
  leavingNothing(async () => {
    await using registry = await DockerRegistry.start({ auth: { kind: 'basic', ...credentials } });
    await registry.push('org/app', 'v1', image);
    const wrong = { username, password: 'wrong' };
    await using onepull = await OnepullApp.start({
      upstreams: {
        'wrong.example': { url: registry.url, default: true, credentials: wrong },
        'anonymous.example': { url: registry.url },
      },
    });
    for (const ns of ['wrong.example', 'anonymous.example']) {
      await using client = new PullClient(onepull.url, { ns });
      for (const answer of [
        await client.manifest('org/app', 'v1'),
        await client.blob('org/app', image.layers[0]?.digest ?? ''),
        await client.get('org/app/tags/list'),
      ]) {
        assert.equal(answer.status, 401);
        assert.equal(JSON.parse(answer.body.toString()).errors[0].code, 'UNAUTHORIZED');
      }
    }
  }),
);
