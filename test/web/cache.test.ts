import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Page } from 'playwright-core';
import { FakeAdmin } from './fake-admin.ts';
import { busyState, cachedImage } from './states.ts';
import { assertAccessible, type PageOptions, skip, Viewer } from './viewer.ts';

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
  /** Tells what the cache holds. */
  holds(counts: { readonly images: number; readonly blobs?: number }): void;
}

async function withCache(options: PageOptions, body: (shown: Shown) => Promise<void>): Promise<void> {
  const state = busyState();
  const { status } = state;
  await using fake = await FakeAdmin.start(state);
  fake.images = Array.from({ length: 120 }, (_, n) => cachedImage(n));
  const page = await viewer.open(fake.url, 'cache', options);
  await page.getByText('and 70 more').waitFor();
  const holds = (counts: { readonly images: number; readonly blobs?: number }) =>
    fake.tell({ status: { ...status, cache: { ...status.cache, ...counts } } });
  await body({ fake, page, holds });
  await page.context().close();
}

const nameOf = (n: number) => cachedImage(n).image;
const button = (page: Page, what: string, n: number) => page.getByRole('button', { name: `${what} ${nameOf(n)}` });
const dialog = (page: Page) => page.getByRole('dialog');
const focused = (page: Page) => page.locator(':focus');

test('counts are written alike: thousands are set apart, of images as of blobs', { skip }, () =>
  withCache({}, async ({ page, holds }) => {
    holds({ images: 3000, blobs: 30_000 });
    const figure = page.locator('.figures div').filter({ has: page.getByText('Images', { exact: true }) });
    await figure.getByText('3,000').waitFor();
    await figure.getByText('30,000 blobs').waitFor();
  }),
);

test(
  'a pinned image is not purged, and that is said before anything is asked for; it can be unpinned there',
  {
    skip,
  },
  () =>
    withCache({}, async ({ fake, page, holds }) => {
      fake.token = 'right';
      fake.images = fake.images.map((image) => (image.image === nameOf(3) ? { ...image, isPinned: true } : image));
      holds({ images: 42 });
      await button(page, 'Unpin', 3).waitFor();
      await button(page, 'Purge', 3).click();
      await dialog(page).getByText('It stays until it is unpinned.').waitFor();
      assert.equal(await dialog(page).getByRole('button', { name: 'Purge' }).count(), 0);
      await assertAccessible(page, 'what is said of a pinned image');
      await dialog(page).getByRole('button', { name: 'Cancel' }).click();
      assert.deepEqual(fake.changes, []);
      await button(page, 'Purge', 3).click();
      await dialog(page).getByRole('button', { name: 'Unpin' }).click();
      await page.getByLabel('Token', { exact: true }).fill('right');
      await page.getByRole('button', { name: 'Go on' }).click();
      await page.getByText(`${nameOf(3)} is not pinned any more.`).waitFor();
      assert.deepEqual(fake.changes, [`DELETE /api/v1/pins ${nameOf(3)}`]);
      await button(page, 'Purge', 3).click();
      await dialog(page).getByRole('button', { name: 'Purge' }).click();
      await page.getByText(`${nameOf(3)} was purged`).waitFor();
      viewer.complaints(); // The browser logs the 401.
    }),
);

test('by keyboard alone an image is purged: the focus goes to the token and back, and then to the list', { skip }, () =>
  withCache({}, async ({ fake, page }) => {
    fake.token = 'right';
    await button(page, 'Purge', 2).focus();
    await page.keyboard.press('Enter');
    const confirm = dialog(page).getByRole('button', { name: 'Purge' });
    await confirm.focus();
    await page.keyboard.press('Enter');
    await page.getByLabel('Token', { exact: true }).waitFor();
    await page.keyboard.press('Escape');
    await page.getByLabel('Token', { exact: true }).waitFor({ state: 'detached' });
    assert.equal(await focused(page).textContent(), 'Purge', 'who gives no token stands where they stood');
    await page.keyboard.press('Enter');
    await page.getByLabel('Token', { exact: true }).fill('right');
    await page.keyboard.press('Enter');
    await page.getByText(`${nameOf(2)} was purged`).waitFor();
    await button(page, 'Purge', 2).waitFor({ state: 'detached' });
    await dialog(page).waitFor({ state: 'detached' });
    assert.equal(await focused(page).getAttribute('aria-labelledby'), 'images');
    viewer.complaints(); // The browser logs the 401.
  }),
);

test('an image that leaves while somebody stands on its button leaves the focus in the list', { skip }, () =>
  withCache({}, async ({ fake, page, holds }) => {
    await button(page, 'Pin', 2).focus();
    fake.images = fake.images.filter(({ image }) => image !== nameOf(2));
    holds({ images: 119 });
    await button(page, 'Pin', 2).waitFor({ state: 'detached' });
    assert.equal(await focused(page).getAttribute('aria-labelledby'), 'images');
  }),
);

for (const width of [1280, 360]) {
  test(`to say what was done moves no row: ${width} px`, { skip }, () =>
    withCache({ width }, async ({ page }) => {
      const top = async () => (await button(page, 'Purge', 0).boundingBox())?.y;
      await button(page, 'Pin', 1).scrollIntoViewIfNeeded();
      const before = await top();
      await button(page, 'Pin', 1).click();
      await dialog(page).getByRole('button', { name: 'Pin' }).click();
      await page.getByText(`${nameOf(1)} is pinned.`).waitFor();
      await dialog(page).waitFor({ state: 'detached' });
      assert.equal(await top(), before);
    }),
  );
}

test(
  'what comes to the cache is shown, also how much of it is here, and shortens no list that was made longer',
  {
    skip,
  },
  () =>
    withCache({}, async ({ fake, page, holds }) => {
      await page.getByRole('button', { name: 'Show more images' }).click();
      await page.getByText('and 20 more').waitFor();
      const part = {
        ...cachedImage(0),
        image: 'docker.io/library/new:1',
        sizeBytes: 3 * 2 ** 20,
        storedBytes: 2 ** 20,
      };
      fake.images = [part, ...fake.images];
      holds({ images: 121 });
      const row = page.getByRole('row', { name: part.image });
      await row.getByText('1.0\u00a0MiB here').waitFor();
      await page.getByText('and 21 more').waitFor();
      assert.equal(await page.locator('tbody tr').count(), 100);
      fake.images = [{ ...part, storedBytes: part.sizeBytes }, ...fake.images.slice(1)];
      holds({ images: 121, blobs: 999 });
      await row.getByText('here').waitFor({ state: 'detached' });
      assert.equal(await page.locator('tbody tr').count(), 100);
    }),
);
