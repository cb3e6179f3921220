import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildImage, type Content, type Image } from '../../src/cli/demo/image.ts';
import type { Download } from '../support/client.ts';
import * as faults from '../support/faults.ts';
import { untilUp } from '../support/loopback.ts';
import type { Match } from '../support/scripted-registry.ts';
import { errorIn, inWorld, told, type World } from './world.ts';

const waiters = 32;
/** More than a flight or a request is held for. */
const retryAfter = '97';
const image = buildImage({ seed: 'refusals', layerSizes: [300_000] });

interface Refusal {
  readonly status: number;
  readonly told: string;
  /** What upstream may be asked for all waiters together. */
  readonly requests: number;
}

const refusals: readonly Refusal[] = [
  { status: 401, told: '401 UNAUTHORIZED', requests: 1 },
  { status: 403, told: '403 DENIED', requests: 1 },
  { status: 429, told: '429 TOOMANYREQUESTS', requests: 1 },
  { status: 500, told: '500 UNAVAILABLE', requests: 5 },
  { status: 503, told: '503 UNAVAILABLE', requests: 1 }, // its Retry-After is longer than anybody is held
];
const unknownBlob: Refusal = { status: 404, told: '404 BLOB_UNKNOWN', requests: 1 };
const unknownManifest: Refusal = { status: 404, told: '404 MANIFEST_UNKNOWN', requests: 1 };

function faultOf({ status }: Refusal): faults.Fault {
  return faults.status(status, status === 429 || status === 503 ? { 'retry-after': retryAfter } : {});
}

type Ask = (world: World, repository: string) => Promise<Download[]>;

const askManifest: Ask = (world, repository) =>
  Promise.all(world.crowd(waiters).map((client) => client.manifest(repository, 'v1')));
const askBlob: Ask = (world, repository) =>
  Promise.all(world.crowd(waiters).map((client) => client.blob(repository, layerOf(repository).digest)));

/** Each repository has an image of its own: those who want the same blob of several share what comes of it. */
function imageOf(repository: string): Image {
  return buildImage({ seed: repository, layerSizes: [300_000] });
}

function layerOf(repository: string): Content {
  return imageOf(repository).layers[0] as Content;
}

/** Linked by its manifest, so that the blob itself is asked for. */
const askLinkedBlob: Ask = async (world, repository) => {
  assert.equal((await world.client.manifest(repository, 'v1')).status, 200);
  return askBlob(world, repository);
};

const places: readonly { name: string; match: Match; ask: Ask; refusals: readonly Refusal[] }[] = [
  { name: 'manifest', match: { kind: 'manifest' }, ask: askManifest, refusals: [...refusals, unknownManifest] },
  {
    name: 'blob',
    match: { kind: 'blob', method: 'GET' },
    ask: askLinkedBlob,
    refusals: [...refusals, unknownBlob],
  },
  {
    name: 'HEAD of a blob',
    match: { kind: 'blob', method: 'HEAD' },
    ask: askBlob,
    refusals: [...refusals, unknownBlob],
  },
];

for (const place of places) {
  test(`a refused ${place.name} reaches all ${waiters} waiters as what it is, after as few requests as that takes`, () =>
    inWorld({}, async (world) => {
      const checks = place.refusals.map(async (refusal) => {
        const repository = `org/app-${refusal.status}`;
        world.registry.content.add(repository, imageOf(repository), 'v1');
        world.registry.always({ ...place.match, repository }, faultOf(refusal));
        assertTold(await place.ask(world, repository), refusal);
        const asked = world.registry.tally.count({ ...place.match, repository });
        assert.equal(asked, refusal.requests, `${refusal.status}: ${asked} requests`);
      });
      await Promise.all(checks);
    }));
}

test('a refused token reaches all waiters as what it is', async () => {
  const tokenRefusals = refusals.map((refusal) => ({ ...refusal, requests: refusal.status === 500 ? 5 : 1 }));
  await inWorld({ registry: { auth: { kind: 'token' } } }, async (world) => {
    const { registry } = world;
    for (const refusal of tokenRefusals) registry.content.add(`org/app-${refusal.status}`, image, 'v1');
    registry.script = ({ kind, query }) => {
      const refusal = tokenRefusals.find(({ status }) => query.get('scope')?.includes(`-${status}:`));
      return kind === 'token' && refusal !== undefined ? faultOf(refusal) : undefined;
    };
    const checks = tokenRefusals.map(async (refusal) => {
      assertTold(await askManifest(world, `org/app-${refusal.status}`), refusal);
    });
    await Promise.all(checks);
    const mostRequests = tokenRefusals.reduce((sum, { requests }) => sum + requests, 0);
    assert.ok(registry.tally.count({ kind: 'token' }) <= mostRequests);
    registry.behave();
    await untilUp(async () => (await world.client.manifest('org/app-401', 'v1')).status === 200, 'the manifest');
  });
});

test('a refusal is remembered for a moment and forgotten within seconds', () =>
  inWorld({}, async (world) => {
    const { registry, client } = world;
    registry.content.add('org/app', image, 'v1');
    const heal = registry.always({ kind: 'manifest' }, faults.status(403));
    const first = await client.manifest('org/app', 'v1');
    const second = await client.manifest('org/app', 'v1');
    assert.deepEqual([told(first), told(second)], ['403 DENIED', '403 DENIED']);
    assert.equal(registry.tally.count({ kind: 'manifest' }), 1);
    heal();
    await untilUp(async () => (await client.manifest('org/app', 'v1')).status === 200, 'the manifest');
    assert.equal(registry.tally.count({ kind: 'manifest' }), 2);
  }));

test('a rate limit that ends soon is waited for; one on a known tag is not noticed', () =>
  inWorld({ upstream: { tagTtl: '0s' } }, async ({ registry, client }) => {
    registry.content.add('org/app', image, 'v1');
    registry.next({ kind: 'manifest' }, faults.rateLimited(1));
    assert.equal((await client.manifest('org/app', 'v1')).status, 200);
    registry.always({ kind: 'manifest' }, faults.rateLimited(3600));
    const stale = await client.manifest('org/app', 'v1');
    assert.deepEqual([stale.status, stale.digest], [200, image.manifest.digest]);
  }));

test('an HTML page with 429 or 503, as load balancers write it, is told as what it is', () =>
  inWorld({}, async ({ registry, client }) => {
    registry.content.add('org/limited', image, 'v1');
    registry.content.add('org/down', image, 'v1');
    registry.always({ kind: 'manifest', repository: 'org/limited' }, faults.both(faults.html(429), wait(97)));
    registry.always({ kind: 'manifest', repository: 'org/down' }, faults.both(faults.html(503), wait(97)));
    const limited = await client.manifest('org/limited', 'v1');
    assert.deepEqual([told(limited), limited.headers['retry-after']], ['429 TOOMANYREQUESTS', '97']);
    const down = await client.manifest('org/down', 'v1');
    assert.deepEqual([told(down), down.headers['retry-after']], ['503 UNAVAILABLE', '97']);
    assert.doesNotMatch(down.body.toString(), /<h1>/);
  }));

function wait(seconds: number): faults.Fault {
  return faults.withHeader('retry-after', String(seconds));
}

function assertTold(answers: readonly Download[], refusal: Refusal): void {
  assert.equal(answers.length, waiters);
  for (const answer of answers) {
    assert.equal(told(answer), refusal.told);
    const expected = refusal.status === 429 || refusal.status === 503 ? retryAfter : undefined;
    assert.equal(errorIn(answer).retryAfter, expected, `Retry-After of ${refusal.status}`);
  }
  assert.equal(new Set(answers.map((answer) => errorIn(answer).message)).size, 1, 'all waiters hear the same');
}
