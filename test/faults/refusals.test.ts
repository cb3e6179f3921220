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
  readonly mostRequests?: number;
}

const refusals: readonly Refusal[] = [
  { status: 401, told: '401 UNAUTHORIZED', requests: 1 },
  { status: 403, told: '403 DENIED', requests: 1 },
  { status: 429, told: '429 TOOMANYREQUESTS', requests: 1 },
  { status: 500, told: '500 UNAVAILABLE', requests: 5, mostRequests: 9 }, // it may pass: as long as there is patience
  { status: 503, told: '503 UNAVAILABLE', requests: 1 }, // its Retry-After is longer than anybody is held
];
const unknownBlob: Refusal = { status: 404, told: '404 BLOB_UNKNOWN', requests: 1 };
const unknownManifest: Refusal = { status: 404, told: '404 MANIFEST_UNKNOWN', requests: 1 };

function faultOf({ status }: Refusal): faults.Fault {
  return faults.status(status, status === 429 || status === 503 ? { 'retry-after': retryAfter } : {});
}

/** What may pass is tried for as long as clients can wait: here that is not long. */
const impatient = { pull: { headerTimeout: '5s' } } as const;

function assertFew(asked: number, { requests, mostRequests = requests }: Refusal): void {
  assert.ok(asked >= requests && asked <= mostRequests, `${asked} requests`);
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
  // A world for each: what an upstream asks for by 429 or 503 it is given for all its repositories.
  for (const refusal of place.refusals) {
    test(`${refusal.status} for a ${place.name} reaches all ${waiters} waiters as what it is, after as few requests as that takes`, () =>
      inWorld(impatient, async (world) => {
        const repository = `org/app-${refusal.status}`;
        world.registry.content.add(repository, imageOf(repository), 'v1');
        world.registry.always({ ...place.match, repository }, faultOf(refusal));
        assertTold(await place.ask(world, repository), refusal);
        const asked = world.registry.tally.count({ ...place.match, repository });
        assertFew(asked, refusal);
      }));
  }
}

for (const refusal of refusals) {
  test(`${refusal.status} for a token reaches all waiters as what it is`, () =>
    inWorld({ ...impatient, registry: { auth: { kind: 'token' } } }, async (world) => {
      const { registry } = world;
      registry.content.add('org/app', image, 'v1');
      registry.script = ({ kind }) => (kind === 'token' ? faultOf(refusal) : undefined);
      assertTold(await askManifest(world, 'org/app'), refusal);
      assertFew(registry.tally.count({ kind: 'token' }), refusal);
      if (refusal.status !== 401) return;
      registry.behave();
      await untilUp(async () => (await world.client.manifest('org/app', 'v1')).status === 200, 'the manifest');
    }));
}

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

for (const [status, code] of [
  [429, '429 TOOMANYREQUESTS'],
  [503, '503 UNAVAILABLE'],
] as const) {
  test(`an HTML page with ${status}, as load balancers write it, is told as what it is`, () =>
    inWorld({}, async ({ registry, client }) => {
      registry.content.add('org/app', image, 'v1');
      registry.always({ kind: 'manifest' }, faults.both(faults.html(status), wait(97)));
      const answer = await client.manifest('org/app', 'v1');
      assert.deepEqual([told(answer), answer.headers['retry-after']], [code, '97']);
      assert.doesNotMatch(answer.body.toString(), /<h1>/);
    }));
}

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
