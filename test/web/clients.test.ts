import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Page } from 'playwright-core';
import { ways as flags } from '../../src/cli/clients.ts';
import { type ClientName, clientNames } from '../../src/clients/client-names.ts';
import { makeCertificate } from '../../src/core/testing/certificates.ts';
import { pageWays } from '../../src/web/clients/page-ways.ts';
import { command } from '../support/command.ts';
import { Gate } from '../support/gate.ts';
import { TemporaryDirectory } from '../support/loopback.ts';
import { OnepullApp } from '../support/onepull-app.ts';
import { FakeAdmin } from './fake-admin.ts';
import { busyState } from './states.ts';
import { assertAccessible, assertFits, skip, Viewer } from './viewer.ts';

let viewer: Viewer;
before(async () => {
  if (skip === false) viewer = await Viewer.launch();
});
after(async () => {
  if (skip === false) await viewer[Symbol.asyncDispose]();
});

/** None of them is asked: nobody pulls here. */
const upstreams = {
  'docker.io': { url: 'http://127.0.0.1:9/', default: true },
  'ghcr.io': { endpoints: ['https://ghcr.io', 'http://127.0.0.1:9'] },
  'registry.example:5000': { url: 'http://registry.example:5000' },
};

const titles: Readonly<Record<ClientName, string>> = {
  containerd: 'containerd, Kubernetes',
  docker: 'Docker',
  podman: 'Podman, skopeo',
  crio: 'CRI-O',
  k3s: 'k3s',
};

const choose = (page: Page, client: ClientName) => page.getByText(titles[client], { exact: true }).click();
const addressField = (page: Page) => page.getByLabel('Address of this cache');

/** What is said to whoever configures a client, by the page or by the command. */
interface Said {
  readonly files: readonly { readonly path: string; readonly content: string }[];
  readonly next: readonly string[];
  readonly notes: readonly string[];
}

async function shownFor(page: Page, client: ClientName): Promise<Said> {
  await choose(page, client);
  const paths = await page.locator('.file figcaption code').allTextContents();
  const contents = await page.locator('.file pre').allTextContents();
  return {
    files: paths.map((path, index) => ({ path, content: contents[index] ?? '' })),
    next: await page.locator('.next li').allTextContents(),
    notes: await page.locator('.notes li').allTextContents(),
  };
}

/** As the page would say it: where the command names a flag, the page names a field. */
async function printedFor(onepull: OnepullApp, client: ClientName, ...more: readonly string[]): Promise<Said> {
  const { code, stdout, stderr } = await command(['clients', client, '--admin', onepull.admin.host, '--json', ...more]);
  assert.equal(code, 0, stderr);
  const { files, next, notes } = JSON.parse(stdout) as Said;
  const asPage = (note: string) => note.replace(flags.ca, pageWays.ca).replace(flags.address, pageWays.address);
  return { files, next, notes: notes.map(asPage) };
}

async function assertSame(page: Page, onepull: OnepullApp, ...more: readonly string[]): Promise<void> {
  for (const client of clientNames) {
    assert.deepEqual(await shownFor(page, client), await printedFor(onepull, client, ...more), client);
  }
}

test('for each client the page shows what the command prints, also for an address that is told', { skip }, async () => {
  await using onepull = await OnepullApp.start({ upstreams });
  const page = await viewer.open(onepull.adminUrl, 'clients');
  await page.locator('.file').first().waitFor();
  assert.equal(await page.getByLabel('File at clients with the authority').count(), 0);
  await assertSame(page, onepull);
  await addressField(page).fill('cache.example:80');
  await assertSame(page, onepull, '--address', 'cache.example:80');
  await page.context().close();
  assert.deepEqual(viewer.complaints(), []);
});

test('with TLS, too, with an authority that everybody trusts and with one of its own', { skip }, async () => {
  await using folder = await TemporaryDirectory.make();
  const [cert, key] = [join(folder.path, 'tls.crt'), join(folder.path, 'tls.key')];
  const made = makeCertificate();
  await writeFile(cert, made.cert);
  await writeFile(key, made.key);
  await using onepull = await OnepullApp.start({ upstreams, server: { tls: { cert, key } } });
  const page = await viewer.open(onepull.adminUrl, 'clients');
  await page.locator('.file').first().waitFor();
  await assertSame(page, onepull);
  await page.getByLabel('File at clients with the authority').fill('/etc/ssl/own "ca".pem');
  await assertSame(page, onepull, '--ca', '/etc/ssl/own "ca".pem');
  await page.context().close();
  assert.deepEqual(viewer.complaints(), []);
});

test('what a client cannot do here, the page says in the words of the command', { skip }, async () => {
  await using onepull = await OnepullApp.start({
    upstreams: { 'registry.example:5000': { url: 'http://127.0.0.1:9' } },
  });
  const page = await viewer.open(onepull.adminUrl, 'clients');
  await page.locator('.file').first().waitFor();
  await choose(page, 'docker');
  const [why, hint] = await page.locator('.no-advice p').allTextContents();
  assert.equal(await page.locator('.file').count(), 0);
  const refused = await command(['clients', 'docker', '--admin', onepull.admin.host]);
  assert.equal(refused.stderr, `onepull: ${why}\n    hint: ${hint}`);
  // The default registry needs no name in a mirror's path, which could not hold its port.
  assert.deepEqual(await shownFor(page, 'crio'), await printedFor(onepull, 'crio'));
  await page.context().close();
});

async function withFake(body: (fake: FakeAdmin) => Promise<void>): Promise<void> {
  await using fake = await FakeAdmin.start(busyState());
  await body(fake);
}

test('what is waited for is said, and so is what failed, with a way to try again', { skip }, () =>
  withFake(async (fake) => {
    const gate = new Gate();
    fake.settingsGate = gate;
    fake.settingsRefusal = 'the node is about to end';
    const page = await viewer.open(fake.url, 'clients');
    await page.getByText('Asking onepull for its settings').waitFor();
    await gate.reached;
    assert.equal(await page.locator('.file').count(), 0);
    gate.release();
    await page.getByText('its settings cannot be read: the node is about to end.').waitFor();
    await assertAccessible(page, 'without settings');
    fake.settingsRefusal = undefined;
    await page.getByRole('button', { name: 'Try again' }).click();
    await page.getByText('/etc/containerd/certs.d/docker.io/hosts.toml', { exact: true }).waitFor();
    assert.equal(gate.arrivals, 2);
    viewer.complaints(); // The browser logs the 503.
    await page.context().close();
  }),
);

test('an onepull that was started anew is asked for its settings again', { skip }, () =>
  withFake(async (fake) => {
    const { status, upstreams: before } = busyState();
    const nothing = { ...status, cache: { ...status.cache, images: 0, blobs: 0 } };
    await using empty = await FakeAdmin.start({ ...busyState(), pulls: [], flights: [], status: nothing });
    const pages = [await viewer.open(fake.url, 'clients'), await viewer.open(empty.url, 'now')];
    const file = (page: Page, name: string) =>
      page.getByText(`/etc/containerd/certs.d/${name}/hosts.toml`, { exact: true });
    for (const page of pages) await file(page, 'docker.io').waitFor();
    const upstreams = before.slice(0, 1).map((upstream) => ({ ...upstream, name: 'new.example' }));
    const startedAtMs = status.startedAtMs + 1000;
    fake.tell({ upstreams, status: { ...status, startedAtMs } });
    empty.tell({ upstreams, status: { ...nothing, startedAtMs } });
    for (const page of pages) {
      await file(page, 'new.example').waitFor();
      assert.equal(await file(page, 'docker.io').count(), 0);
      await page.context().close();
    }
    assert.deepEqual(viewer.complaints(), []);
  }),
);

test('while an address is typed that is none yet, the last one stays, and the field says so', { skip }, () =>
  withFake(async (fake) => {
    const page = await viewer.open(fake.url, 'clients', { width: 360, height: 740 });
    const shown = page.locator('.file pre').first();
    await shown.waitFor();
    await addressField(page).fill('cache.lan:80');
    const files = await shown.textContent();
    const top = (await shown.boundingBox())?.y;
    await addressField(page).fill('http://cache.lan');
    await page.getByText('Not an address (host:port)').waitFor();
    assert.equal(await addressField(page).getAttribute('aria-invalid'), 'true');
    assert.match(files ?? '', /http:\/\/cache\.lan:80/);
    assert.equal(await shown.textContent(), files);
    assert.equal((await shown.boundingBox())?.y, top, 'nothing moves');
    await assertAccessible(page, 'with what is no address');
    await addressField(page).fill('');
    await page.getByText('is a guess').waitFor();
    await page.context().close();
  }),
);

for (const colorScheme of ['light', 'dark'] as const) {
  test(`each client's configuration fits a phone and is accessible: ${colorScheme}`, { skip }, () =>
    withFake(async (fake) => {
      fake.tell({ status: { ...busyState().status, tls: true } });
      const page = await viewer.open(fake.url, 'clients', { width: 360, height: 740, colorScheme });
      await page.locator('.file').first().waitFor();
      const places = async () => {
        const choices = await page.locator('.choice label').all();
        return await Promise.all(choices.map((choice) => choice.boundingBox()));
      };
      const before = await places();
      for (const client of clientNames) {
        await choose(page, client);
        assert.deepEqual(await places(), before, 'to choose moves no choice');
        await assertFits(page, client);
        await assertAccessible(page, `${client}, ${colorScheme}`);
      }
      await page.context().close();
      assert.deepEqual(viewer.complaints(), []);
    }),
  );
}
