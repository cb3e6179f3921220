import assert from 'node:assert/strict';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { buildImage, buildIndex } from '../../src/cli/demo/image.ts';
import { Layout } from '../../src/store/fs/layout.ts';
import { PullClient } from '../support/client.ts';
import type { OnepullApp } from '../support/onepull-app.ts';
import { pull } from '../support/pull.ts';
import { inScene } from './scene.ts';

const image = buildImage({ seed: 'catalog', layerSizes: [5_000, 300_000] });
const platforms = ['amd64', 'arm64'].map((architecture) => ({ os: 'linux', architecture }));
const index = buildIndex({ seed: 'catalog', layerSizes: [60_000], platforms });

/** Stops it, takes its catalog away and starts it again. */
async function loseCatalog(onepull: OnepullApp): Promise<void> {
  await onepull.stop();
  const { catalog, root } = new Layout(onepull.dataFolder);
  for (const suffix of ['', '-wal', '-shm']) await rm(`${catalog}${suffix}`, { force: true });
  assert.ok(!(await readdir(root)).some((name) => join(root, name).startsWith(catalog)));
  await onepull.startAgain();
}

for (const upstream of ['there', 'away']) {
  test(`with its catalog lost and upstream ${upstream}, images are served by tag without fetching a byte again`, () =>
    inScene({ upstream: { tagTtl: '0s' } }, async ({ registry, onepull }) => {
      registry.content.add('org/app', image, 'v1', 'latest');
      registry.content.add('org/multi', index, 'v1');
      await pull(onepull.url, 'org/app', 'v1');
      await pull(onepull.url, 'org/app', 'latest');
      await pull(onepull.url, 'org/multi', 'v1', { platform: 'all' });
      await onepull.assertIdle();
      await loseCatalog(onepull);
      registry.tally.reset();
      if (upstream === 'away') await registry.goAway();
      assert.equal((await pull(onepull.url, 'org/app', 'v1')).manifest, image.manifest.digest);
      assert.equal((await pull(onepull.url, 'org/app', 'latest')).manifest, image.manifest.digest);
      assert.equal((await pull(onepull.url, 'org/multi', 'v1', { platform: 'all' })).totalBytes, index.totalBytes);
      assert.equal(registry.tally.bytesSent(), 0);
      assert.equal(registry.tally.count({ kind: 'blob' }), 0);
    }));
}

test('privacy survives the loss of the catalog: another repository has to be confirmed by upstream', () =>
  inScene({}, async ({ registry, onepull }) => {
    registry.content.add('org/private', image, 'v1');
    registry.content.add('org/public', index, 'v1');
    await pull(onepull.url, 'org/private', 'v1');
    await onepull.assertIdle();
    await loseCatalog(onepull);
    await using client = new PullClient(onepull.url);
    const digest = image.layers[1]?.digest ?? '';
    assert.equal((await client.blob('org/public', digest)).status, 404);
    assert.equal((await client.blob('org/private', digest)).digest, digest);
  }));
