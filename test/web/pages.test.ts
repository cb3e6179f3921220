import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { StateParts } from '../../src/admin/state-document.ts';
import { FakeAdmin } from './fake-admin.ts';
import { busyState, cachedImage, crowdedState, effect, layer, pull, status } from './states.ts';
import { assertAccessible, assertFits, skip, Viewer, views } from './viewer.ts';

let viewer: Viewer;
before(async () => {
  if (skip === false) viewer = await Viewer.launch();
});
after(async () => {
  if (skip === false) await viewer[Symbol.asyncDispose]();
});

async function withFake(state: StateParts, body: (fake: FakeAdmin) => Promise<void>): Promise<void> {
  await using fake = await FakeAdmin.start(state);
  fake.images = Array.from({ length: 120 }, (_, n) => cachedImage(n));
  await body(fake);
}

/** Whatever a view shows of `busyState` last: then it is whole. */
const landmarks: Readonly<Record<(typeof views)[number], string>> = {
  now: '#recently',
  effect: '.u-legend >> nth=1',
  upstreams: '#unasked',
  cache: 'text=Show more images',
  cluster: '#nodes',
  clients: '.file',
};

for (const colorScheme of ['light', 'dark'] as const) {
  test(`no view has a serious obstacle, complains or asks another host: ${colorScheme}`, { skip }, () =>
    withFake(busyState(), async (fake) => {
      const page = await viewer.open(fake.url, 'now', { colorScheme });
      for (const view of views) {
        await viewer.show(page, view);
        await page.locator(landmarks[view]).first().waitFor();
        await assertAccessible(page, `${view}, ${colorScheme}`);
      }
      assert.deepEqual(viewer.complaints(), []);
      await page.context().close();
    }),
  );
}

test('on a phone nothing is wider than the window', { skip }, () =>
  withFake(busyState(), async (fake) => {
    const page = await viewer.open(fake.url, 'now', { width: 360, height: 740 });
    for (const view of views) {
      await viewer.show(page, view);
      await page.locator(landmarks[view]).first().waitFor();
      await assertFits(page, view);
    }
    await assertAccessible(page, 'on a phone');
    await page.context().close();
  }),
);

test('an empty cache says what to do next, with the real address', { skip }, () =>
  withFake({ ...busyState(), pulls: [], flights: [], ...emptyStatus('10.0.0.7:5000') }, async (fake) => {
    fake.images = [];
    const page = await viewer.open(fake.url, 'now');
    await page.getByText('Nothing was pulled through it yet').waitFor();
    await page.getByText('[host."http://10.0.0.7:5000"]').first().waitFor();
    await assertAccessible(page, 'an empty cache');
    await page.getByText('k3s', { exact: true }).click();
    await page.getByText('"docker.io": { endpoint: ["http://10.0.0.7:5000"] }').waitFor();
    await page.getByLabel('Address of this cache').fill('cache.lan:80');
    await page.getByText('"docker.io": { endpoint: ["http://cache.lan:80"] }').waitFor();
    await page.context().close();
  }),
);

test('by keyboard alone: past the views to the content, into a dialog and out of it again', { skip }, () =>
  withFake(busyState(), async (fake) => {
    const page = await viewer.open(fake.url, 'cache');
    const focused = page.locator(':focus');
    await page.keyboard.press('Tab');
    assert.equal(await focused.textContent(), 'Skip to the content');
    await page.keyboard.press('Enter');
    assert.equal(await focused.getAttribute('id'), 'main');
    const purge = page.getByRole('button', { name: 'Purge docker.io/library/service-002:1.2' });
    await purge.focus();
    await page.keyboard.press('Enter');
    await page.getByRole('dialog').waitFor();
    assert.equal(await page.locator('dialog :focus').count(), 1);
    await assertAccessible(page, 'with a dialog');
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    assert.equal(await focused.getAttribute('aria-label'), 'Purge docker.io/library/service-002:1.2');
    assert.deepEqual(fake.changes, []);
    await page.context().close();
  }),
);

test('a change asks for the admin token when it needs one, again when it is wrong, and not twice', { skip }, () =>
  withFake(busyState(), async (fake) => {
    fake.token = 'right';
    const page = await viewer.open(fake.url, 'cache');
    await page.getByRole('button', { name: 'Pin docker.io/library/service-001:1.1' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Pin' }).click();
    for (const token of ['wrong', 'right']) {
      await page.getByLabel('Token', { exact: true }).fill(token);
      await page.getByRole('button', { name: 'Go on' }).click();
      if (token === 'wrong') await page.getByText('The token that was given is not the right one.').waitFor();
    }
    await page.getByText('docker.io/library/service-001:1.1 is pinned.').waitFor();
    await page.getByRole('button', { name: 'Purge docker.io/library/service-004:1.4' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Purge' }).click();
    await page.getByText('docker.io/library/service-004:1.4 was purged').waitFor();
    assert.deepEqual(fake.changes, [
      'PUT /api/v1/pins docker.io/library/service-001:1.1',
      'DELETE /api/v1/images docker.io/library/service-004:1.4',
    ]);
    const kept = await page.evaluate<string>('JSON.stringify({ ...localStorage })');
    assert.doesNotMatch(kept, /right/, 'the token is for this tab alone');
    viewer.complaints(); // The browser logs every 401.
    await page.context().close();
  }),
);

test('a server that is away is said calmly, what was shown stays, and it goes on by itself', { skip }, async () => {
  const state = busyState();
  const fake = await FakeAdmin.start(state);
  const { port } = fake;
  const page = await viewer.open(fake.url, 'now');
  await page.getByRole('article', { name: 'docker.io/library/nginx:1.29' }).waitFor();
  await fake[Symbol.asyncDispose]();
  await page.getByText(/^not connected for/).waitFor();
  assert.equal(await page.getByRole('article', { name: 'docker.io/library/nginx:1.29' }).isVisible(), true);
  await assertAccessible(page, 'not connected');
  const started = pull('docker.io/library/later:1', 'pulling', [layer('later', 0.1, 'pulling')]);
  await using again = await FakeAdmin.start({ ...state, pulls: [started] }, port);
  await page.getByRole('article', { name: started.image }).waitFor();
  await page.locator('.connection-live').waitFor();
  assert.equal(await page.getByRole('article').count(), 1, 'what an earlier connection said is gone');
  assert.ok(again.port);
  viewer.complaints(); // The browser logs every connection that fails.
  await page.context().close();
});

test('a connection on which nothing is heard any more is given up, and another one made', { skip }, () =>
  withFake(busyState(), async (fake) => {
    const page = await viewer.open(fake.url, 'now', { prepare: (page) => page.clock.install() });
    fake.isSilent = true;
    await page.clock.runFor(25_000);
    await page.locator('.connection-live').waitFor();
    assert.equal(fake.streams, 2);
    fake.isSilent = false;
    const later = pull('docker.io/library/later:1', 'pulling', [layer('later', 0.1, 'pulling')]);
    fake.tell({ pulls: [later] });
    await page.getByRole('article', { name: later.image }).waitFor();
    assert.deepEqual(viewer.complaints(), []);
    await page.context().close();
  }),
);

test('of very many pulls some are shown, the others counted, and none moves another', { skip }, () =>
  withFake({ ...busyState(), ...crowdedState(500) }, async (fake) => {
    const page = await viewer.open(fake.url, 'now');
    await page.getByText('and 460 more').waitFor();
    assert.equal(await page.getByRole('article').count(), 40);
    const [first] = crowdedState(1).pulls ?? [];
    assert.ok(first);
    const bar = page.getByRole('progressbar', { name: first.image });
    const top = (await bar.boundingBox())?.y;
    const [moved] = first.layers;
    assert.ok(moved);
    const layers = first.layers.map((one) => (one === moved ? { ...one, filledBytes: one.sizeBytes } : one));
    fake.tell({
      pulls: [{ ...first, layers, filledBytes: first.sizeBytes, lastAskedAtMs: Date.now() }],
    });
    await page.locator(`[role=progressbar][aria-label="${first.image}"][aria-valuenow="100"]`).waitFor();
    assert.equal((await bar.boundingBox())?.y, top);
    await page.getByRole('button', { name: 'Show 40 more pulls' }).click();
    await page.getByText('and 420 more').waitFor();
    await page.getByLabel('Filter by name').fill('crowd-499');
    await page.getByRole('article', { name: 'docker.io/library/crowd-499:1' }).waitFor();
    assert.equal(await page.getByRole('article').count(), 1);
    await page.context().close();
  }),
);

test(
  'what is said to be in progress is one number everywhere, also while what has just ended still stands there',
  { skip },
  () =>
    withFake(busyState(), async (fake) => {
      const page = await viewer.open(fake.url, 'now', { prepare: (page) => page.clock.install() });
      const image = 'docker.io/library/nginx:1.29';
      const figures = () =>
        Promise.all(
          ['nav .badge', '.figures dd', '#in-progress .tally'].map((place) =>
            page.locator(place).first().textContent(),
          ),
        );
      await page.getByRole('article', { name: image }).waitFor();
      assert.deepEqual(await figures(), ['2', '2', '2']);
      await page.clock.pauseAt(Date.now() + 1000);
      fake.tell({ pulls: [pull(image, 'done', [layer('one', 1, 'done')])] });
      while ((await page.locator('nav .badge').first().textContent()) !== '1') await page.clock.runFor(50);
      assert.equal(await page.getByRole('article', { name: image }).count(), 1);
      assert.deepEqual(await figures(), ['1', '1', '1']);
      await page.context().close();
    }),
);

test(
  'on a phone the head of the page is one line while it is connected, and the present view is in sight',
  { skip },
  () =>
    withFake(busyState(), async (fake) => {
      const page = await viewer.open(fake.url, 'clients', { width: 360, height: 740 });
      const top = async (what: string) =>
        (await page.locator(what).boundingBox()) ?? { x: 0, y: 0, width: 0, height: 0 };
      const [brand, theme] = [await top('.brand'), await top('.theme')];
      assert.ok(theme.y < brand.y + brand.height, 'beside each other');
      assert.ok(theme.x + theme.width <= 360 - 15, `the choice of colours ends at ${theme.x + theme.width}`);
      await page.locator('nav [aria-current]').filter({ hasText: 'Clients' }).waitFor();
      // Right of that it fades away.
      await page.waitForFunction(`(() => {
      const { left, right } = document.querySelector('nav [aria-current]').getBoundingClientRect();
      return left >= 0 && right <= 0.88 * innerWidth;
    })()`);
      await page.context().close();
    }),
);

test('a failure is told to screen readers once, and a bar says its state in words', { skip }, () =>
  withFake(busyState(), async (fake) => {
    const page = await viewer.open(fake.url, 'now');
    const image = 'docker.io/library/nginx:1.29';
    const bar = page.getByRole('progressbar', { name: image });
    assert.equal(await bar.getAttribute('aria-valuetext'), 'pulling, 43\u00a0% of 56.0\u00a0MiB');
    const failed = pull(image, 'failed', [layer('one', 0.4, 'failed', { error: 'upstream docker.io answered 403' })]);
    fake.tell({ pulls: [failed] });
    await page
      .getByRole('status')
      .filter({ hasText: `Pull of ${image} failed: upstream docker.io answered 403` })
      .waitFor({ state: 'attached' });
    await page.context().close();
  }),
);

test('the colours are those of the system, or those that the reader chose, also next time', { skip }, () =>
  withFake(busyState(), async (fake) => {
    const page = await viewer.open(fake.url, 'now', { colorScheme: 'dark' });
    const theme = () => page.locator('html').getAttribute('data-theme');
    assert.equal(await theme(), 'dark');
    await page.getByLabel('Colours').selectOption('light');
    assert.equal(await theme(), 'light');
    await page.reload();
    await page.locator('.connection-live').waitFor();
    assert.equal(await theme(), 'light');
    await page.context().close();
  }),
);

test('who wants no motion gets none', { skip }, () =>
  withFake(busyState(), async (fake) => {
    const page = await viewer.open(fake.url, 'now', { reducedMotion: 'reduce' });
    const durations = await page.evaluate<string[]>(
      "[...document.querySelectorAll('.bar-fill')].map((bar) => getComputedStyle(bar).transitionDuration)",
    );
    assert.deepEqual([...new Set(durations)], ['0s']);
    await page.context().close();
  }),
);

function emptyStatus(listen: string): Pick<StateParts, 'status' | 'effect'> {
  const none = { p50: undefined, p90: undefined, p99: undefined };
  const cache = { sizeBytes: 0, maxBytes: 50 * 2 ** 30, diskFreeBytes: undefined, images: 0, blobs: 0, strayBytes: 0 };
  return {
    status: status({ listen, cache }),
    effect: { ...effect(0), firstByteMs: none, pullMs: none, upstreams: [] },
  };
}
