import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Page } from 'playwright-core';
import type { PullSnapshot } from '../../src/pull/pull-board.ts';
import { FakeAdmin } from './fake-admin.ts';
import { busyState, crowdedState, endpoint, layer, pull } from './states.ts';
import { assertAccessible, assertFits, type PageOptions, skip, Viewer, views } from './viewer.ts';

let viewer: Viewer;
before(async () => {
  if (skip === false) viewer = await Viewer.launch();
});
after(async () => {
  if (skip === false) await viewer[Symbol.asyncDispose]();
});

async function at(
  view: string,
  options: PageOptions,
  body: (page: Page) => Promise<void>,
  state: ReturnType<typeof busyState> = busyState(),
): Promise<void> {
  await using fake = await FakeAdmin.start(state);
  const page = await viewer.open(fake.url, view, options);
  await body(page);
  await page.context().close();
}

/** What comes into sight is drawn some frames later. */
const someFrames =
  '(async () => { for (let n = 0; n < 10; n++) await new Promise((resolve) => requestAnimationFrame(resolve)); })()';

test('an address of no view says so and is put right; the next view says nothing of it', { skip }, () =>
  at('no<such', { width: 360 }, async (page) => {
    await page.getByText('There is no view named no').waitFor();
    await page.getByRole('heading', { name: 'What is being pulled now' }).waitFor();
    assert.equal(await page.evaluate('location.hash'), '#/now');
    await assertAccessible(page, 'an address of no view');
    await viewer.show(page, 'cache');
    assert.equal(await page.getByText('There is no view').count(), 0);
    await page.evaluate(`location.hash = '#/${'gone'.repeat(60)}'`);
    await page.getByText('There is no view named gone').waitFor();
    await assertFits(page, 'a long address of no view');
    await page.goBack();
    await page.getByRole('heading', { name: 'What is in the cache' }).waitFor();
    assert.deepEqual(viewer.complaints(), []);
  }),
);

test('the title of the page names the view, also of the one that it is opened with', { skip }, () =>
  at('cache', {}, async (page) => {
    assert.equal(await page.title(), 'cache - onepull');
    await viewer.show(page, 'effect');
    assert.equal(await page.title(), 'effect - onepull');
    await viewer.show(page, 'now');
    assert.equal(await page.title(), 'onepull');
  }),
);

test('no tab moves when another view is chosen, nor when there is something to say beside its name', {
  skip,
}, async () => {
  const { upstreams, ...busy } = busyState();
  const sound = upstreams.map((one) => ({ ...one, endpoints: one.endpoints.map(({ name }) => endpoint(name)) }));
  await using fake = await FakeAdmin.start({ ...busy, upstreams: sound, pulls: [], flights: [] });
  const page = await viewer.open(fake.url, 'now');
  const places = async () =>
    await Promise.all((await page.locator('nav a').all()).map(async (tab) => await tab.boundingBox()));
  const before = await places();
  for (const view of views) {
    await viewer.show(page, view);
    assert.deepEqual(await places(), before, view);
  }
  assert.equal(await page.locator('.badge').filter({ visible: true }).count(), 0);
  fake.tell({ ...busyState(), status: busy.status });
  await page.getByRole('link', { name: 'Upstreams !' }).waitFor();
  await page.getByRole('link', { name: 'Now 2' }).waitFor();
  assert.deepEqual(await places(), before, 'with something beside the names');
  await page.context().close();
});

test('on a phone a view that is reached with the keyboard is in sight', { skip }, () =>
  at('now', { width: 360, height: 740 }, async (page) => {
    await page.getByRole('link', { name: 'Now' }).focus();
    const steps = ['Effect', 'Upstreams', 'Cache', 'Cluster', 'Clients'].map((name) => [name, 'Tab'] as const);
    const back = ['Cluster', 'Cache', 'Upstreams', 'Effect', 'Now'].map((name) => [name, 'Shift+Tab'] as const);
    for (const [name, key] of [...steps, ...back]) {
      await page.keyboard.press(key);
      await page.evaluate(someFrames);
      const [left, right] = await page.evaluate<[number, number]>(
        '(() => { const { left, right } = document.activeElement.getBoundingClientRect(); return [left, right]; })()',
      );
      assert.match((await page.locator(':focus').textContent()) ?? '', new RegExp(`^${name}`));
      // Right of that it fades away.
      assert.ok(left >= 0 && right <= 0.88 * 360, `${name}: from ${left} to ${right}`);
    }
  }),
);

test(
  'of what ended the name stands in one line, as long as there is room, beside whatever is said of it',
  { skip },
  () =>
    at(
      'now',
      {},
      async (page) => {
        /** In how many lines a name stands. */
        const lines = async (image: string) => {
          const name = `[...document.querySelectorAll('tbody .image-name')].find(({ textContent }) => textContent.startsWith('${image}'))`;
          return await page.evaluate<number>(
            `(() => { const name = ${name}; return Math.round(name.getBoundingClientRect().height / parseFloat(getComputedStyle(name).lineHeight)); })()`,
          );
        };
        assert.equal(await lines('docker.io/library/app:1'), 1);
        assert.equal(await lines('ghcr.io/acme/storefront:2026.11.23'), 1);
        await assertTableFits(page);
      },
      { ...busyState(), pulls: endedPulls() },
    ),
);

for (const width of [1280, 360]) {
  test(`a button below many pulls stays where it is when it comes into sight: ${width} px`, { skip }, () =>
    at(
      'now',
      { width },
      async (page) => {
        const more = page.getByRole('button', { name: 'Show 40 more pulls' });
        for (const left of [460, 420, 380]) {
          await page.getByText(`and ${left} more`).waitFor();
          await more.waitFor();
          const [before, after] = await page.evaluate<[number, number]>(`(async () => {
            const button = [...document.querySelectorAll('.more button')].find(({ textContent }) => textContent.endsWith('more pulls'));
            button.scrollIntoView({ block: 'end', behavior: 'instant' });
            const before = button.getBoundingClientRect().top;
            await ${someFrames};
            return [before, button.getBoundingClientRect().top];
          })()`);
          assert.equal(after, before, `with ${left} below`);
          await more.click();
        }
        await page.getByText('and 340 more').waitFor();
      },
      { ...busyState(), ...crowdedState(500) },
    ),
  );
}

test('a very long name of what ended breaks, and leaves room for what is said of it', { skip }, () => {
  const image = `registry.example/a-team-with-a-name/${'and-a-path-'.repeat(8)}app:1`;
  return at('now', {}, (page) => assertTableFits(page), { ...busyState(), pulls: [...endedPulls(), refused(image)] });
});

function endedPulls(): PullSnapshot[] {
  const done = pull('ghcr.io/acme/storefront:2026.11.23', 'done', [layer('done', 1, 'done')]);
  return [refused('docker.io/library/app:1'), done];
}

function refused(image: string): PullSnapshot {
  const error = 'upstream docker.io is limiting requests: it asked for a rest of 41 s (429)';
  return pull(image, 'failed', [layer(image, 0.1, 'failed', { error: `${error}, ${error}, ${error}` })]);
}

async function assertTableFits(page: Page): Promise<void> {
  for (const width of [1280, 1000, 760, 360]) {
    await page.setViewportSize({ width, height: 900 });
    await assertFits(page, `${width} px`);
    const [wide, room] = await page.evaluate<[number, number]>(`(() => {
      const { scrollWidth, clientWidth } = document.querySelector('#recently ~ .table-frame');
      return [scrollWidth, clientWidth];
    })()`);
    assert.ok(wide <= room, `the table takes ${wide} px of ${room}, ${width} px`);
  }
}
