import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildImage } from '../../src/cli/demo/image.ts';
import { inScene } from '../integration/scene.ts';
import { pull } from '../support/pull.ts';

const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 1e9));
const [pulls, purges] = [30, 30];

test(`images that are purged while they are pulled, again and again, come whole to everybody (SEED=${seed})`, () =>
  inScene({ registry: { bytesPerSecond: 100e6 } }, async ({ registry, onepull }) => {
    let state = seed >>> 0;
    const below = (n: number) => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return (state >>> 8) % n;
    };
    // All stand on one base layer; the third is a tag of the second.
    const sizes = [300_000, 120_000, 400];
    const images = [1, 2, 3].map((layers) => buildImage({ seed: 'purged', layerSizes: sizes.slice(0, layers) }));
    const tags = ['one', 'two', 'three', 'same'];
    for (const [n, image] of images.entries()) registry.content.add('org/app', image, tags[n] ?? '');
    registry.content.add('org/app', images[2] ?? assert.fail(), 'same');
    let left = pulls;
    const puller = async () => {
      while (left-- > 0) await pull(onepull.url, 'org/app', tags[below(4)] ?? 'one', { concurrency: 3 });
    };
    const purger = async () => {
      let purged = 0;
      for (let n = 0; n < purges || left > 0; n++) {
        const image = `demo.example/org/app:${tags[below(4)]}`;
        const { status } = await onepull.admin.change('DELETE', `/api/v1/images?image=${image}`);
        assert.ok(status === 200 || status === 404, `${status}`);
        if (status === 200) purged++;
      }
      assert.ok(purged > 0);
    };
    await Promise.all([puller(), puller(), puller(), puller(), purger()]);
    for (const tag of tags) await pull(onepull.url, 'org/app', tag);
    await onepull.assertIdle();
    for (const tag of tags) await onepull.admin.change('DELETE', `/api/v1/images?image=demo.example/org/app:${tag}`);
    // What was fetched while it was purged leaves within a second, unless somebody had a name for it again.
    assert.deepEqual(await onepull.admin.json('/api/v1/images'), { images: [], total: 0 });
    for (const line of onepull.log) assert.notEqual(line.level, 'error', JSON.stringify(line));
  }));
