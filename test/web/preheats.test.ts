import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Page } from 'playwright-core';
import { buildImage, type Content } from '../../src/cli/demo/image.ts';
import type { PreheatSnapshot } from '../../src/pull/preheat/preheat-snapshot.ts';
import * as faults from '../support/faults.ts';
import { OnepullApp } from '../support/onepull-app.ts';
import { ScriptedRegistry } from '../support/scripted-registry.ts';
import { FakeAdmin } from './fake-admin.ts';
import { busyState, cachedImage, preheat, preheatImage, preheats } from './states.ts';
import { assertAccessible, assertFits, type PageOptions, skip, Viewer } from './viewer.ts';

const mebibyte = 1024 * 1024;
const [image, other, refused] = ['app', 'other', 'refused'].map((name) =>
  buildImage({ seed: `preheat ${name}`, layerSizes: [8 * mebibyte] }),
) as [ReturnType<typeof buildImage>, ReturnType<typeof buildImage>, ReturnType<typeof buildImage>];
const layerOf = ({ layers }: typeof image) => layers[0] as Content;

let viewer: Viewer;
before(async () => {
  if (skip === false) viewer = await Viewer.launch();
});
after(async () => {
  if (skip === false) await viewer[Symbol.asyncDispose]();
});

interface Shown {
  readonly fake: FakeAdmin;
  readonly page: Page;
}

async function withFake(
  shown: readonly PreheatSnapshot[],
  options: PageOptions,
  body: (shown: Shown) => Promise<void>,
): Promise<void> {
  await using fake = await FakeAdmin.start({ ...busyState(), preheats: shown });
  fake.images = [cachedImage(1)];
  const page = await viewer.open(fake.url, 'cache', options);
  await page.getByRole('region', { name: 'Preheats' }).waitFor();
  await body({ fake, page });
  await page.context().close();
}

const card = (page: Page, name: string) => page.getByRole('article', { name: `Preheat of ${name}` });
const dialog = (page: Page) => page.getByRole('dialog', { name: 'Preheat images' });

/** Opens the dialog and types. */
async function type(page: Page, images: string, platforms = ''): Promise<void> {
  await page.getByRole('button', { name: 'Preheat images' }).click();
  await dialog(page).getByLabel('Images').fill(images);
  await dialog(page).getByLabel('Platforms').fill(platforms);
}

const send = (page: Page) => dialog(page).getByRole('button', { name: 'Preheat', exact: true }).click();

for (const colorScheme of ['light', 'dark'] as const) {
  for (const width of [1280, 360]) {
    test(`preheats and their dialogs are accessible and fit: ${colorScheme}, ${width} px`, { skip }, () =>
      withFake(preheats(), { colorScheme, width }, async ({ fake, page }) => {
        await page.getByRole('button', { name: 'Show 1 more preheat' }).click();
        await card(page, '2 images').getByRole('button', { name: '2 images of this preheat' }).click();
        await page.getByText('1 of 2 images here, 1 cancelled').waitFor();
        await assertAccessible(page, 'the list');
        await assertFits(page, 'the list');
        fake.refusal = {
          status: 400,
          message: `image ${'NO:name'.repeat(40)}: it is not right`,
          where: 'body.images.0',
        };
        await type(page, `docker.io/library/${'long-'.repeat(60)}:1`);
        await send(page);
        await page.getByText('NO:name').waitFor();
        await assertAccessible(page, 'the dialog');
        await assertFits(page, 'the dialog');
        await page.keyboard.press('Escape');
        await page.getByRole('button', { name: 'Cancel the preheat of 5 images' }).click();
        await page.getByRole('dialog', { name: 'Cancel this preheat?' }).waitFor();
        await assertAccessible(page, 'the question');
        await assertFits(page, 'the question');
        viewer.complaints(); // The browser logs the 400.
      }),
    );
  }
}

test('each image of a preheat says how far it is, for what it waits, and why it failed', { skip }, () =>
  withFake(preheats(), {}, async ({ page }) => {
    const running = card(page, '5 images');
    const bar = (name: string) => running.getByRole('progressbar', { name });
    assert.equal(await bar('storefront').getAttribute('aria-valuenow'), '40');
    assert.equal(await bar('storefront').getAttribute('aria-valuetext'), 'pulling, 40\u00a0%');
    assert.equal(await bar('redis').getAttribute('aria-valuenow'), null, 'its size is not known yet');
    await running.getByText('waiting for another attempt: upstream docker.io is limiting requests').waitFor();
    await running.getByText('failed: upstream ghcr.io answered 403: denied').waitFor();
    await running.getByText('32.0\u00a0MiB of 80.0\u00a0MiB').waitFor();
    await running.getByText('1 of 5 images here, 1 failed').waitFor();
    await card(page, 'ghcr.io/org/none:1').getByText('failed: upstream ghcr.io answered 403: denied').waitFor();
  }),
);

test('a preheat that ends moves nothing, and is told to screen readers in whatever view', { skip }, () =>
  withFake([], { width: 360 }, async ({ fake, page }) => {
    await page.getByText('None of late.').waitFor();
    const name = 'docker.io/library/nginx:1.29';
    const running = preheat('one', 'running', [preheatImage(name, 'pulling', 0.5)]);
    fake.tell({ preheats: [running] });
    await card(page, name).getByRole('button', { name: 'Cancel' }).waitFor();
    const below = page.getByRole('heading', { name: 'Images' });
    const top = (await below.boundingBox())?.y;
    fake.tell({ preheats: [preheat('one', 'done', [preheatImage(name, 'done', 1)])] });
    await card(page, name).getByRole('button', { name: 'again' }).waitFor();
    assert.equal((await below.boundingBox())?.y, top);
    const told = page.getByRole('status').filter({ hasText: `Preheat of ${name}: done` });
    await told.waitFor({ state: 'attached' });
    await viewer.show(page, 'upstreams');
    const none = preheatImage('r.example/none:1', 'failed', 0, { error: 'no such tag' });
    fake.tell({ preheats: [preheat('two', 'failed', [preheatImage(name, 'done', 1), none]), running] });
    await page
      .getByRole('status')
      .filter({ hasText: 'Preheat of 2 images: 1 of 2 images here, 1 failed. r.example/none:1: no such tag' })
      .waitFor({ state: 'attached' });
  }),
);

test('what is wrong is said beside its field, which gets the focus; what was typed is kept', { skip }, () =>
  withFake([], {}, async ({ fake, page }) => {
    const focused = page.locator(':focus');
    const described = async (label: string) => {
      const ids = await dialog(page).getByLabel(label).getAttribute('aria-describedby');
      return await page.locator(`[id="${ids?.split(' ')[1]}"]`).textContent();
    };
    await type(page, ' \n');
    await send(page);
    await page.getByText('Name at least one image.').waitFor();
    assert.equal(await described('Images'), 'Name at least one image.');
    assert.equal(await focused.evaluate('document.activeElement.tagName'), 'TEXTAREA');
    await dialog(page)
      .getByLabel('Images')
      .fill(Array.from({ length: 101 }, (_, n) => `app:${n}`).join('\n'));
    await send(page);
    await page.getByText('These are 101 images; one preheat takes 100 at most.').waitFor();
    assert.deepEqual(fake.changes, [], 'the server was not asked');

    await dialog(page).getByLabel('Images').fill('nginx\nredis:8');
    await dialog(page).getByLabel('Platforms').fill('linux/amd64, linux');
    fake.refusal = { status: 400, message: 'this is no platform: "linux"', where: 'body.platforms.1' };
    await send(page);
    await page.getByText('This is no platform: "linux".').waitFor();
    assert.deepEqual([await described('Images'), await described('Platforms')], ['', 'This is no platform: "linux".']);
    assert.equal(await dialog(page).getByLabel('Platforms').getAttribute('aria-invalid'), 'true');
    fake.refusal = { status: 503, message: '8 preheats are running already' };
    await send(page);
    await page.getByText('8 preheats are running already.').waitFor();
    assert.deepEqual([await described('Images'), await described('Platforms')], ['', '']);

    await page.keyboard.press('Escape');
    await dialog(page).waitFor({ state: 'detached' });
    await page.getByRole('button', { name: 'Preheat images' }).click();
    assert.equal(await dialog(page).getByLabel('Images').inputValue(), 'nginx\nredis:8');
    fake.refusal = undefined;
    await dialog(page).getByLabel('Platforms').fill('linux/amd64');
    await send(page);
    await page.getByText('Preheat of 2 images started.').waitFor();
    const asked = { images: ['nginx', 'redis:8'], platforms: ['linux/amd64'] };
    assert.equal(fake.changes.at(-1), `POST /api/v1/preheats ${JSON.stringify(asked)}`);
    await card(page, '2 images').getByText('waiting for its turn').first().waitFor();
    viewer.complaints(); // The browser logs what was refused.
  }),
);

test('by keyboard alone a preheat is cancelled, after a question, and tried again with what it was of', { skip }, () =>
  withFake(preheats(), {}, async ({ fake, page }) => {
    const focused = page.locator(':focus');
    const cancel = page.getByRole('button', { name: 'Cancel the preheat of 5 images' });
    await cancel.focus();
    await page.keyboard.press('Enter');
    await page.getByRole('dialog', { name: 'Cancel this preheat?' }).waitFor();
    await page.keyboard.press('Escape');
    assert.equal(await focused.getAttribute('aria-label'), 'Cancel the preheat of 5 images');
    assert.deepEqual(fake.changes, []);
    await page.keyboard.press('Enter');
    await page.getByRole('button', { name: 'Cancel preheat' }).focus();
    await page.keyboard.press('Enter');
    await page.getByText('The preheat of 5 images was cancelled.').waitFor();
    await cancel.waitFor({ state: 'detached' });
    assert.equal(await focused.getAttribute('aria-label'), 'Preheat of 5 images', 'who stood on it is not lost');
    assert.deepEqual(fake.changes, ['DELETE /api/v1/preheats/runs {}']);
    await page.getByRole('button', { name: 'Preheat 5 images again' }).focus();
    await page.keyboard.press('Enter');
    assert.match(await dialog(page).getByLabel('Images').inputValue(), /^docker.io\/library\/postgres:18\nghcr\.io/);
    assert.equal(await dialog(page).getByLabel('Platforms').inputValue(), 'linux/amd64, linux/arm64');
  }),
);

test('of a real instance: a bar moves as bytes come, one is cancelled, one fails, and what came is in the cache', {
  skip,
}, async () => {
  await using registry = await ScriptedRegistry.start();
  for (const [name, content] of [
    ['org/app', image],
    ['org/other', other],
    ['org/refused', refused],
  ] as const) {
    registry.content.add(name, content, 'v1');
  }
  registry.always({ kind: 'blob', reference: layerOf(refused).digest }, faults.status(403));
  const [quarter, most] = [2, 6].map((mebibytes) => registry.hold(layerOf(image).digest, mebibytes * mebibyte));
  const still = registry.hold(layerOf(other).digest, mebibyte);
  const token = 'a-token-for-tests';
  const upstreams = { 'demo.example': { url: registry.url, default: true } };
  await using onepull = await OnepullApp.start({ adminToken: token, upstreams });
  const page = await viewer.open(onepull.adminUrl, 'cache');

  await type(page, 'NO:name');
  await send(page);
  await page.getByLabel('Token', { exact: true }).fill(token);
  await page.getByRole('button', { name: 'Go on' }).click();
  await dialog(page).getByRole('alert').getByText('Image "NO:name": ').waitFor();
  await dialog(page).getByLabel('Images').fill('org/app:v1');
  await send(page);
  const name = 'demo.example/org/app:v1';
  const barAt = (percent: number) =>
    page.locator(`[role=progressbar][aria-label="Preheat of ${name}"][aria-valuenow="${percent}"]`);
  await barAt(25).waitFor();
  await card(page, name).getByText('pulling, 25\u00a0%').waitFor();
  quarter?.release();
  await barAt(75).waitFor();

  await type(page, 'org/other:v1\norg/refused:v1', 'linux/amd64');
  await send(page);
  const both = card(page, '2 images');
  await both.getByText(/^failed: .*403/).waitFor();
  await both.getByRole('progressbar', { name: 'org/other' }).waitFor();
  await page.getByRole('button', { name: 'Cancel the preheat of 2 images' }).click();
  await page.getByRole('button', { name: 'Cancel preheat' }).click();
  await both.getByText('0 of 2 images here, 1 failed, 1 cancelled').waitFor();
  assert.match((await both.getByText(/^failed: /).textContent()) ?? '', /^failed: .*403/);

  most?.release();
  await barAt(100).waitFor();
  await card(page, name).getByText('done', { exact: true }).waitFor();
  const row = page.getByRole('row', { name });
  await row.getByText('8.0\u00a0MiB').waitFor();
  await row.getByText('here').waitFor({ state: 'detached' });
  await type(page, 'org/refused:v1');
  await send(page);
  await card(page, 'demo.example/org/refused:v1')
    .getByText(/^failed: .*403/)
    .waitFor();
  still.release();
  await page.context().close();
  viewer.complaints(); // The browser logs what was refused.
  await onepull.assertIdle();
});
