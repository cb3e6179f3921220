import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { buildImage, type Content } from '../../src/cli/demo/image.ts';
import { inWorld } from '../faults/world.ts';
import { inScene } from '../integration/scene.ts';
import type { AdminApi } from '../support/admin-api.ts';
import { both, rateLimited, slowHeaders, withHeader } from '../support/faults.ts';
import { Gate } from '../support/gate.ts';

const page = readFileSync(new URL('../../docs/API.md', import.meta.url), 'utf8');
const image = buildImage({ seed: 'admin-api', layerSizes: [300_000, 200_000, 50_000] });
/** Larger than the cache is. */
const vast = buildImage({ seed: 'vast', layerSizes: [1_500_000] });
const [held, waiting, gone] = image.layers as [Content, Content, Content];

test('docs/API.md names every field of flights and pulls, and no other', () =>
  inScene({ configuration: { storage: { maxSize: '1MiB' } } }, async ({ registry, onepull: { admin }, client }) => {
    registry.content.add('org/app', image, 'v1');
    registry.content.add('org/vast', vast, 'v1');
    await client.manifest('org/vast', 'v1');
    assert.equal((await client.blob('org/vast', vast.layers[0]?.digest ?? '')).outcome, 'complete');
    await client.manifest('org/app', 'v1');
    const hold = registry.hold(held.digest, 150_000);
    const gate = new Gate();
    registry.next({ kind: 'blob', reference: waiting.digest }, slowHeaders(gate));
    const blobs = [held, waiting].map(({ digest }) => client.blob('org/app', digest));
    await Promise.all([hold.reached, gate.reached]);
    registry.content.removeBlob('org/app', gone.digest);
    assert.equal((await client.blob('org/app', gone.digest)).status, 404);
    await admin.until(
      () => admin.flights(),
      (flights) => ['pulling', 'waiting', 'failed'].every((state) => flights.some((flight) => flight.state === state)),
    );

    for (const path of ['/api/v1/flights', '/api/v1/pulls', '/api/v1/version']) await assertDocumented(admin, path);
    hold.release();
    gate.release();
    await Promise.all(blobs);
  }));

test('docs/API.md names every field of upstreams, and no other', () =>
  inWorld({ mirrors: [{}] }, async ({ registry, mirrors, client, admin }) => {
    for (const each of [registry, ...mirrors]) each.content.add('org/app', image, 'v1');
    const limits = both(withHeader('ratelimit-limit', '100;w=60'), withHeader('ratelimit-remaining', '0;w=60'));
    registry.next({ kind: 'manifest', method: 'GET' }, both(rateLimited(30), limits));
    assert.equal((await client.manifest('org/app', 'v1')).status, 200);
    assert.equal((await client.blob('org/app', held.digest)).outcome, 'complete');
    await registry.goAway();
    for (const { digest } of [waiting, gone]) await client.blob('org/app', digest);
    await assertDocumented(admin, '/api/v1/upstreams');
    await registry.comeBack();
  }));

test('docs/API.md shows what health and readiness answer', () =>
  inScene({}, async ({ onepull: { admin } }) => {
    for (const path of ['/healthz', '/readyz']) assert.deepEqual(examples(path)[0], await admin.json(path));
  }));

async function assertDocumented(admin: AdminApi, path: string): Promise<void> {
  const served = namesIn(shown((await admin.json(path)) as object));
  assert.deepEqual(documented(path), served, path);
  for (const example of examples(path)) {
    const unknown = [...namesIn(shown(example))].filter((name) => !served.has(name));
    assert.deepEqual(unknown, [], `the example of ${path}`);
  }
}

/** The items of an answer that is a list by name, else the answer itself. */
function shown(answer: object): unknown {
  const [first, ...others] = Object.values(answer);
  return others.length === 0 && Array.isArray(first) ? first : answer;
}

/** The names of all fields: `ranges[].start`. */
function namesIn(value: unknown, prefix = ''): Set<string> {
  if (Array.isArray(value)) return new Set(value.flatMap((item) => [...namesIn(item, prefix)]));
  if (typeof value !== 'object' || value === null) return new Set();
  const names = Object.entries(value).flatMap(([name, inner]) => {
    const full = `${prefix}${name}`;
    return [full, ...namesIn(inner, Array.isArray(inner) ? `${full}[].` : `${full}.`)];
  });
  return new Set(names);
}

/** The text of the page below the heading of a path. */
function section(path: string): string {
  const [, text] = page.split(`\n## \`${path}\`\n`);
  assert.ok(text, `${path} has a heading`);
  return text.split('\n## ')[0] ?? '';
}

function documented(path: string): Set<string> {
  return new Set([...section(path).matchAll(/^\| `([^`]+)`/gm)].map(([, name = '']) => name));
}

function examples(path: string): object[] {
  return [...section(path).matchAll(/```json\n(.*?)```/gs)].map(([, text = '']) => JSON.parse(text) as object);
}
