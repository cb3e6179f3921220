import assert from 'node:assert/strict';
import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import { after, before, test } from 'node:test';
import { eventFeedDefaults } from '../../src/admin/event-feed.ts';
import { buildImage, type Content } from '../../src/cli/demo/image.ts';
import { freePort } from '../support/loopback.ts';
import { OnepullApp } from '../support/onepull-app.ts';
import { pull } from '../support/pull.ts';
import { ScriptedRegistry } from '../support/scripted-registry.ts';
import { assertAccessible, assertFits, skip, Viewer } from './viewer.ts';

const mebibyte = 1024 * 1024;
const image = buildImage({ seed: 'connection', layerSizes: [4 * mebibyte] });
const [layer] = image.layers as [Content];
const former = 'demo.example/org/former:v1';

let viewer: Viewer;
before(async () => {
  if (skip === false) viewer = await Viewer.launch();
});
after(async () => {
  if (skip === false) await viewer[Symbol.asyncDispose]();
});

interface Scene {
  readonly registry: ScriptedRegistry;
  /** Can be stopped and started again where its page looks for it. */
  readonly onepull: OnepullApp;
}

async function withOnepull(body: (scene: Scene) => Promise<void>): Promise<void> {
  await using registry = await ScriptedRegistry.start();
  for (const name of ['org/former', 'org/later']) registry.content.add(name, image, 'v1');
  await using onepull = await OnepullApp.start({
    admin: `127.0.0.1:${await freePort()}`,
    upstreams: { 'demo.example': { url: registry.url, default: true } },
    pull: { minProgress: '0', stallTimeout: '10m' },
  });
  await body({ registry, onepull });
  await onepull.assertIdle();
}

test(
  'a page whose onepull is started again says for how long it is not connected, keeps what it had, and comes back by itself',
  { skip },
  () =>
    withOnepull(async ({ registry, onepull }) => {
      const page = await viewer.open(onepull.adminUrl, 'now');
      const hold = registry.hold(layer.digest, 2 * mebibyte);
      const cut = assert.rejects(pull(onepull.url, 'org/former', 'v1'));
      const card = page.getByRole('article', { name: former });
      await card.getByText('50\u00a0%').first().waitFor();

      await onepull.stop();
      hold.release();
      await cut;
      await page.getByText(/^not connected for \d+\u00a0s$/).waitFor();
      await page.getByRole('status').filter({ hasText: 'Not connected' }).waitFor({ state: 'attached' });
      assert.equal(await card.isVisible(), true);
      assert.equal(await page.locator('main.is-stale').count(), 1);
      await assertAccessible(page, 'not connected');

      await onepull.startAgain();
      await page.locator('.connection-live').waitFor();
      await page.getByRole('status').filter({ hasText: 'Connected again.' }).waitFor({ state: 'attached' });
      // The new process was asked for nothing yet.
      await page.getByText('No image is being pulled right now.').waitFor();
      assert.equal(await page.getByText(former).count(), 0);
      assert.equal(await page.locator('main.is-stale').count(), 0);
      await viewer.show(page, 'effect');
      await page.locator('.ledger-served').getByText('0\u00a0B').waitFor();

      await viewer.show(page, 'now');
      await pull(onepull.url, 'org/later', 'v1');
      await page.getByRole('row', { name: 'demo.example/org/later:v1' }).waitFor();
      assert.equal(await page.getByText(former).count(), 0);
      viewer.complaints(); // The browser logs every connection that fails.
      await page.context().close();
    }),
);

test('who presses "Try now" is connected at once, and need not wait for the next attempt', { skip }, () =>
  withOnepull(async ({ onepull }) => {
    const page = await viewer.open(onepull.adminUrl, 'upstreams');
    // From now on no attempt follows another by itself.
    await page.evaluate('window.setTimeout = () => 0');
    await onepull.stop();
    await page.getByText(/^not connected for/).waitFor();
    await onepull.startAgain();
    await page.getByRole('button', { name: 'Try now' }).click();
    await page.locator('.connection-live').waitFor();
    viewer.complaints();
    await page.context().close();
  }),
);

test('a viewer too many is told that it is, and is let in when another one goes', { skip }, () =>
  withOnepull(async ({ onepull }) => {
    const streams = await Promise.all(
      Array.from({ length: eventFeedDefaults.maxViewers }, () => openStream(`${onepull.adminUrl}/api/v1/events`)),
    );
    const page = await viewer.open(onepull.adminUrl, 'now', { width: 360, until: '.notice' });
    const notice = page.locator('.notice').filter({ hasText: 'as many viewers as may be watch already (503)' });
    await notice.getByText('There is room again when another dashboard is closed.').waitFor();
    await page.getByText(/^not connected for/).waitFor();
    await page.getByText('Nothing is known yet.').waitFor();
    await assertAccessible(page, 'refused');
    await assertFits(page, 'refused');
    // Its other parts work all the same.
    await viewer.show(page, 'clients');

    streams.pop()?.destroy();
    const live = page.locator('.connection-live');
    // The server may not have heard yet that the other one is gone.
    for (let attempt = 0; attempt < 60 && !(await live.isVisible()); attempt++) {
      await page
        .getByRole('button', { name: 'Try now' })
        .click({ timeout: 1000 })
        .catch(() => {});
      await live.waitFor({ timeout: 1000 }).catch(() => {});
    }
    await live.waitFor();
    await notice.waitFor({ state: 'detached' });
    for (const stream of streams) stream.destroy();
    viewer.complaints(); // The browser logs the 503.
    await page.context().close();
  }),
);

/** A viewer that takes what comes. */
async function openStream(url: string): Promise<IncomingMessage> {
  const [response] = (await once(get(url, { agent: false }), 'response')) as [IncomingMessage];
  assert.equal(response.statusCode, 200);
  return response.on('error', () => {}).resume();
}
