import { mkdir, stat } from 'node:fs/promises';
import { get, type IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Page } from 'playwright-core';
import { buildImage, type Image } from '../../src/cli/demo/image.ts';
import * as faults from '../support/faults.ts';
import { OnepullApp } from '../support/onepull-app.ts';
import { RedisServer } from '../support/redis-server.ts';
import { ScriptedRegistry } from '../support/scripted-registry.ts';
import { Viewer } from './viewer.ts';

/**
 * `npm run screenshots`: the pictures in docs/screenshots, of four real nodes in a real burst. What they show is what happened:
 * upstreams with slow lines, crowds of clients each with an address of its own, one layer that upstream refuses. Takes about two
 * minutes, because the history over time needs some.
 */
const folder = process.argv[2] ?? join(import.meta.dirname, '../../docs/screenshots');
const mebibyte = 1024 * 1024;
const nodeCount = 4;
const largestBytes = 200_000;

interface Offer {
  readonly repository: string;
  readonly tag: string;
  readonly image: Image;
}

function offer(repository: string, tag: string, ...mebibytes: readonly number[]): Offer {
  return {
    repository,
    tag,
    image: buildImage({
      seed: `${repository}:${tag}`,
      layerSizes: mebibytes.map((size) => Math.round(size * mebibyte)),
    }),
  };
}

const earlier = [
  offer('quay.io/acme/base', '12', 0.9),
  offer('quay.io/acme/runner', '2.4', 1.2, 0.5),
  offer('quay.io/acme/builder', '8', 2, 1.1),
  offer('quay.io/acme/agent', '3.1', 1.6, 0.8),
];
const web = offer('library/nginx', '1.29', 11, 4, 1.5, 0.2);
const database = offer('library/postgres', '18', 14, 5, 0.6);
const shop = offer('ghcr.io/acme/storefront', '2026.11.23', 8, 3, 1);
const cron = offer('quay.io/acme/cron', '1.8', 1.4, 0.6);
const batch = offer('ghcr.io/acme/batch', '4', 12, 2);
const reports = offer('ghcr.io/acme/reports', '7', 2, 0.4);

async function main(): Promise<void> {
  await mkdir(folder, { recursive: true });
  await using quay = await ScriptedRegistry.start();
  await using hub = await ScriptedRegistry.start({ bytesPerSecond: 0.4 * mebibyte, latencyMs: 30 });
  await using github = await ScriptedRegistry.start({ bytesPerSecond: 0.15 * mebibyte, latencyMs: 60 });
  for (const { repository, tag, image } of [...earlier, cron]) quay.content.add(withoutHost(repository), image, tag);
  for (const { repository, tag, image } of [web, database]) hub.content.add(repository, image, tag);
  for (const { repository, tag, image } of [shop, reports, batch])
    github.content.add(withoutHost(repository), image, tag);
  const refused = reports.image.layers[0];
  if (refused !== undefined) github.always({ kind: 'blob', reference: refused.digest }, faults.status(403));
  await using redis = await RedisServer.start();
  await using nodes = new AsyncDisposableStack();
  const origins: { url: string; adminUrl: string }[] = [];
  for (let index = 0; index < nodeCount; index++) {
    const node = await OnepullApp.start({
      upstreams: {
        'docker.io': { url: hub.url, default: true },
        'ghcr.io': { url: github.url },
        'quay.io': { url: quay.url },
      },
      cluster: {
        engine: redis.url,
        timeout: '3s',
        nodeId: `edge-${index + 1}`,
        zone: index < nodeCount / 2 ? 'eu-1a' : 'eu-1b',
        peer: { listen: '127.0.0.1:0', secret: 'a secret of pictures only' },
      },
    });
    origins.push(nodes.use(node));
  }
  const [first, ...others] = origins;
  if (first === undefined) return;
  await using viewer = await Viewer.launch();
  for (const wave of [earlier.slice(0, 2), earlier.slice(0, 3), earlier, earlier.slice(1)]) {
    await Promise.all(wave.map((one) => crowd(first.url, one, 30)));
    await delay(7000);
  }
  const bursts = [
    crowd(first.url, web, 64),
    crowd(first.url, database, 24),
    crowd(first.url, shop, 12),
    crowd(first.url, reports, 5),
    ...others.map((node) => crowd(node.url, web, 4)),
  ];
  await preheat(first.adminUrl, [cron, batch]);
  await takeAll(viewer, first.adminUrl);
  // The nodes go, and the clients with them.
  await nodes.disposeAsync();
  await Promise.all(bursts);
}

/** It is under way when the cache is looked at. */
async function preheat(origin: string, offers: readonly Offer[]): Promise<void> {
  const images = offers.map(({ repository, tag }) => `${repository}:${tag}`);
  const headers = { 'content-type': 'application/json' };
  await fetch(`${origin}/api/v1/preheats`, { method: 'POST', headers, body: JSON.stringify({ images }) });
}

function withoutHost(repository: string): string {
  return repository.slice(repository.indexOf('/') + 1);
}

async function takeAll(viewer: Viewer, origin: string): Promise<void> {
  const pages: { page: Page; name: string }[] = [];
  for (const colorScheme of ['light', 'dark'] as const) {
    pages.push({
      page: await viewer.open(origin, 'now', { colorScheme, width: 1200, height: 860 }),
      name: colorScheme,
    });
    pages.push({
      page: await viewer.open(origin, 'now', { colorScheme, width: 390, height: 844 }),
      name: `phone-${colorScheme}`,
    });
  }
  const layer = web.image.layers[0]?.digest.slice('sha256:'.length, 'sha256:'.length + 12);
  for (const { page } of pages) {
    await page.getByText('failed', { exact: true }).first().waitFor();
    // By then each bar tells something.
    const bar = page.locator(`.layer [aria-label$="${layer}"]`);
    while (Number(await bar.getAttribute('aria-valuenow')) < 15) await delay(200);
  }
  for (const { page, name } of pages) await take(page, `now-${name}`);
  for (const view of ['cluster', 'upstreams', 'cache', 'effect']) {
    for (const { page, name } of pages.filter((one) => !one.name.startsWith('phone'))) {
      await viewer.show(page, view);
      await page.locator('main :is(.panel, .nothing)').first().waitFor();
      if (view === 'cluster') await page.locator('.feed').first().waitFor();
      if (view === 'cache') await page.locator('tbody tr').first().waitFor();
      if (view === 'effect') await page.getByText('5 min', { exact: true }).click();
      await take(page, `${view}-${name}`);
    }
  }
}

async function take(page: Page, name: string): Promise<void> {
  const path = join(folder, `${name}.png`);
  await page.screenshot({ path, animations: 'disabled' });
  const { size } = await stat(path);
  console.log(`${path}  ${Math.ceil(size / 1000)} KB`);
  if (size > largestBytes) throw new Error(`${path} is larger than ${largestBytes / 1000} KB`);
}

/** Clients with an address each. Whatever they are refused, or cut off from, is theirs to bear. */
async function crowd(origin: string, { repository, tag, image }: Offer, clients: number): Promise<void> {
  const one = async (address: string) => {
    await fetchFrom(address, `${origin}/v2/${repository}/manifests/${tag}`);
    const blobs = [image.config, ...image.layers];
    await Promise.all(blobs.map(({ digest }) => fetchFrom(address, `${origin}/v2/${repository}/blobs/${digest}`)));
  };
  await Promise.all(Array.from({ length: clients }, (_, n) => one(`127.0.10.${n + 1}`)));
}

async function fetchFrom(localAddress: string, url: string): Promise<void> {
  try {
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      get(url, { localAddress, agent: false }, resolve).once('error', reject);
    });
    for await (const _ of response);
  } catch {
    // The pictures show it.
  }
}

await main();
