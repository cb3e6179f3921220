import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Page } from 'playwright-core';
import { buildImage, type Content } from '../../src/cli/demo/image.ts';
import { shortDigest } from '../../src/web/format/names.ts';
import * as faults from '../support/faults.ts';
import { Gate } from '../support/gate.ts';
import { OnepullApp } from '../support/onepull-app.ts';
import { pull } from '../support/pull.ts';
import { ScriptedRegistry } from '../support/scripted-registry.ts';
import { assertAccessible, assertFits, skip, Viewer, views } from './viewer.ts';

const mebibyte = 1024 * 1024;
const clients = 12;
const image = buildImage({ seed: 'dashboard', layerSizes: [8 * mebibyte, mebibyte] });
const [large, small] = image.layers as [Content, Content];
const shownName = 'demo.example/org/app:v1';

let viewer: Viewer;
before(async () => {
  if (skip === false) viewer = await Viewer.launch();
});
after(async () => {
  if (skip === false) await viewer[Symbol.asyncDispose]();
});

interface Burst {
  readonly registry: ScriptedRegistry;
  readonly onepull: OnepullApp;
  readonly page: Page;
  /** Many clients ask for the image; resolves when all have it, rejects when one has not. */
  crowd(): Promise<unknown>;
}

/** A real onepull before a scripted upstream, and the dashboard of it. */
async function inBurst(configuration: Record<string, unknown>, body: (burst: Burst) => Promise<void>): Promise<void> {
  await using registry = await ScriptedRegistry.start();
  registry.content.add('org/app', image, 'v1');
  await using onepull = await OnepullApp.start({
    // What is held stands still for as long as it takes to look at it.
    pull: { minProgress: '0', stallTimeout: '10m' },
    ...configuration,
    upstreams: { 'demo.example': { url: registry.url, default: true } },
  });
  const page = await viewer.open(onepull.adminUrl, 'now');
  const crowd = () =>
    Promise.all(Array.from({ length: clients }, () => pull(onepull.url, 'org/app', 'v1', { expected: image.layers })));
  try {
    await body({ registry, onepull, page, crowd });
  } finally {
    // What a test that failed leaves open would complain in the next ones.
    await page.context().close();
    viewer.complaints();
  }
  await onepull.assertIdle();
}

const layerRow = (page: Page, { digest }: Content) => page.locator('.layer').filter({ hasText: shortDigest(digest) });
const barAt = (page: Page, { digest }: Content, percent: number) =>
  page.locator(`.layer [role=progressbar][aria-label$="${shortDigest(digest)}"][aria-valuenow="${percent}"]`);

test(
  'a burst shows while it runs: what waits and for what, how far each layer is, who shares it; then what it saved',
  { skip },
  () =>
    inBurst({}, async ({ registry, page, crowd }) => {
      const answer = new Gate();
      registry.next({ kind: 'blob', method: 'GET', reference: large.digest }, faults.slowHeaders(answer));
      const quarter = registry.hold(large.digest, 2 * mebibyte);
      const most = registry.hold(large.digest, 6 * mebibyte);
      const pulls = crowd();

      await page.getByRole('article', { name: shownName }).waitFor();
      await layerRow(page, large).getByText('waiting for an answer from demo.example/org/app').waitFor();
      answer.release();
      await barAt(page, large, 25).waitFor();
      await layerRow(page, large).getByText(`${clients} waiting`).waitFor();
      await layerRow(page, large).getByText('from demo.example/org/app').waitFor();
      await page.getByText(`${clients} responses to 1 address`).waitFor();
      await page.getByText(`${clients} times, first`).waitFor();
      await layerRow(page, small).getByText('done').waitFor();
      quarter.release();
      await barAt(page, large, 75).waitFor();
      most.release();
      await pulls;
      await layerRow(page, large).getByText('done').waitFor();

      // It stays where it was for a while; then it is among those that were asked for lately.
      await page.getByRole('row', { name: new RegExp(`${shownName.replace('v1', '')}.*done`) }).waitFor();
      assert.equal(await page.getByRole('article').count(), 0);
      await viewer.show(page, 'effect');
      const saved = page.locator('.figures div').filter({ hasText: 'Saved' });
      await saved.getByText('92\u00a0% of what was served').waitFor();
      await page.getByRole('row', { name: 'demo.example' }).getByText('9.0\u00a0MiB').waitFor();
      assert.deepEqual(viewer.complaints(), []);
    }),
);

test('a pull that fails shows its cause', { skip }, () =>
  inBurst({}, async ({ registry, onepull, page, crowd }) => {
    registry.always({ kind: 'blob', reference: large.digest }, faults.status(403));
    await assert.rejects(crowd());
    const row = page.getByRole('row', { name: shownName });
    await row.getByText('failed', { exact: true }).waitFor();
    const failed = (await onepull.admin.pulls())[0]?.layers.find(({ error }) => error !== undefined);
    assert.ok(failed?.error);
    assert.match(failed.error, /403/);
    await row.getByText(failed.error).waitFor();
    await page
      .getByRole('status')
      .filter({ hasText: `Pull of ${shownName} failed: ${failed.error}` })
      .waitFor({ state: 'attached' });
    await viewer.show(page, 'upstreams');
    await page.getByRole('region', { name: 'demo.example' }).waitFor();
    assert.deepEqual(viewer.complaints(), []);
  }),
);

test(
  'an image is pinned and purged from the cache, each after it is confirmed, by those who know the token',
  { skip },
  () =>
    inBurst({ adminToken: 'a-token-for-tests' }, async ({ onepull, page, crowd }) => {
      await crowd();
      await onepull.assertIdle();
      await viewer.show(page, 'cache');
      const row = page.getByRole('row', { name: shownName });
      const dialog = page.getByRole('dialog');
      await row.getByRole('button', { name: `Pin ${shownName}` }).click();
      await dialog.getByRole('button', { name: 'Pin' }).click();
      await page.getByLabel('Token', { exact: true }).fill('a-token-for-tests');
      await page.getByRole('button', { name: 'Go on' }).click();
      await row.getByText('pinned', { exact: true }).waitFor();
      await row.getByRole('button', { name: `Unpin ${shownName}` }).click();
      await dialog.getByRole('button', { name: 'Unpin' }).click();
      await row.getByRole('button', { name: `Pin ${shownName}` }).waitFor();

      const images = async () =>
        ((await onepull.admin.json('/api/v1/images')) as { images: { image: string }[] }).images;
      await row.getByRole('button', { name: `Purge ${shownName}` }).click();
      await dialog.getByRole('button', { name: 'Cancel' }).click();
      assert.deepEqual(
        (await images()).map(({ image: name }) => name),
        [shownName],
      );
      await row.getByRole('button', { name: `Purge ${shownName}` }).click();
      await dialog.getByRole('button', { name: 'Purge' }).click();
      // A layer that is just being put to disk leaves afterwards: the page says that, too.
      await page.getByText(new RegExp(`${shownName} was purged; that freed (9\\.0|.* is still being read)`)).waitFor();
      await page.getByText('No image is in the cache.').waitFor();
      assert.deepEqual(await images(), []);
      viewer.complaints(); // The browser logs the 401 that asked for the token.
    }),
);

for (const [colorScheme, width] of [
  ['light', 1280],
  ['dark', 360],
] as const) {
  const title = `while pulls run, every view is accessible, fits and complains of nothing: ${colorScheme}, ${width} px`;
  test(title, { skip }, () =>
    inBurst({}, async ({ registry, onepull, page, crowd }) => {
      const hold = registry.hold(large.digest, 3 * mebibyte);
      const pulls = crowd();
      await hold.reached;
      const other = await viewer.open(onepull.adminUrl, 'now', { width, height: 740, colorScheme });
      await other.getByRole('article', { name: shownName }).waitFor();
      for (const view of views) {
        await viewer.show(other, view);
        await other.locator('main :is(.panel, .nothing, .pull)').first().waitFor();
        await assertAccessible(other, view);
        await assertFits(other, view);
      }
      await other.context().close();
      hold.release();
      await pulls;
      await page.getByRole('row', { name: shownName }).getByText('done').waitFor();
      assert.deepEqual(viewer.complaints(), []);
    }),
  );
}

test('an onepull that nobody uses yet says how to, with the address that it listens on', { skip }, () =>
  inBurst({}, async ({ onepull, page }) => {
    await page.getByText('Nothing was pulled through it yet').waitFor();
    await page.getByText(`[host."${onepull.url}"]`).first().waitFor();
    await page.getByText('Podman, skopeo').click();
    await page.getByText(`location = "${onepull.host}/demo.example"`).waitFor();
  }),
);
