import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildImage, type Image } from '../../src/cli/demo/image.ts';
import { digestOf } from '../../src/core/digest.ts';
import { ociManifest } from '../../src/core/media-types.ts';
import * as faults from '../support/faults.ts';
import { untilUp } from '../support/loopback.ts';
import { errorIn, inWorld, isKept, told, type World } from './world.ts';

interface WrongManifest {
  readonly name: string;
  readonly by: 'tag' | 'digest';
  readonly fault: faults.Fault;
  /** What upstream sends instead. */
  readonly bytes?: Uint8Array;
  readonly told: string;
  readonly message: RegExp;
}

const image = buildImage({ seed: 'manifests', layerSizes: [1000] });
const other = buildImage({ seed: 'other', layerSizes: [1000] }).manifest.bytes;
const noJson = Buffer.from('{"schemaVersion": 2, "layers": [');
const oversize = Buffer.alloc(4 * 2 ** 20 + 1, ' ');
const negative = Buffer.from(
  JSON.stringify({ schemaVersion: 2, mediaType: ociManifest, layers: [{ digest: image.config.digest, size: -1 }] }),
);

function sends(bytes: Uint8Array, isNamed = false): faults.Fault {
  return isNamed ? faults.replaced(bytes) : faults.both(faults.replaced(bytes), faults.noDigestHeader());
}

const wrongManifests: readonly WrongManifest[] = [
  {
    name: 'another manifest than the digest names',
    by: 'digest',
    fault: sends(other),
    bytes: other,
    told: '502 DIGEST_INVALID',
    message: /hashes to sha256:/,
  },
  {
    name: 'another manifest than its Docker-Content-Digest names',
    by: 'tag',
    fault: sends(other, true),
    bytes: other,
    told: '502 DIGEST_INVALID',
    message: /hashes to sha256:/,
  },
  {
    name: 'a web page with status 200',
    by: 'tag',
    fault: faults.html(200),
    told: '502 UNAVAILABLE',
    message: /web page/,
  },
  {
    name: 'a web page with status 200 for a digest',
    by: 'digest',
    fault: faults.html(200),
    told: '502 UNAVAILABLE',
    message: /web page/,
  },
  {
    name: 'a manifest of more than 4 MiB',
    by: 'tag',
    fault: sends(oversize),
    bytes: oversize,
    told: '502 MANIFEST_INVALID',
    message: /more than 4194304 bytes/,
  },
  {
    name: 'a manifest of more than 4 MiB, of which no length is told',
    by: 'tag',
    fault: faults.both(sends(oversize), faults.chunked()),
    bytes: oversize,
    told: '502 MANIFEST_INVALID',
    message: /more than 4194304 bytes/,
  },
  {
    name: 'half a JSON document',
    by: 'tag',
    fault: sends(noJson),
    bytes: noJson,
    told: '502 UNAVAILABLE',
    message: /not JSON/,
  },
  {
    name: 'a layer of a negative size',
    by: 'tag',
    fault: sends(negative),
    bytes: negative,
    told: '502 UNAVAILABLE',
    message: /malformed size/,
  },
  {
    name: 'bytes in an encoding that nobody asked for',
    by: 'tag',
    fault: faults.withHeader('content-encoding', 'gzip'),
    told: '502 UNAVAILABLE',
    message: /encoded/,
  },
];

test('a wrong manifest is an error that says why, is not kept, and is forgotten when upstream is right again', () =>
  inWorld({ pull: { headerTimeout: '5s' } }, async (world) => {
    await Promise.all(wrongManifests.map((wrong, n) => check(world, wrong, `org/app-${n}`, image)));
  }));

async function check(world: World, wrong: WrongManifest, repository: string, { manifest }: Image): Promise<void> {
  const { registry } = world;
  registry.content.add(repository, image, 'v1');
  const heal = registry.always({ kind: 'manifest', repository }, wrong.fault);
  const reference = wrong.by === 'tag' ? 'v1' : manifest.digest;
  const answers = await Promise.all(world.crowd(4).map((client) => client.manifest(repository, reference)));
  for (const answer of answers) {
    assert.equal(told(answer), wrong.told, wrong.name);
    assert.match(errorIn(answer).message, wrong.message);
  }
  // A mismatch may be chance on the way and is tried again while clients can wait; all else is upstream's settled word.
  const asked = registry.tally.count({ kind: 'manifest', method: 'GET', repository });
  assert.ok(asked >= 1 && asked <= (wrong.by === 'digest' ? 9 : 1), `${wrong.name}: ${asked} requests`);
  for (const bytes of wrong.bytes === undefined ? [] : [wrong.bytes]) {
    assert.equal(await isKept(world, digestOf(bytes)), false, wrong.name);
  }
  heal();
  await untilUp(async () => {
    const answer = await world.client.manifest(repository, reference);
    if (answer.status !== 200) assert.equal(told(answer), wrong.told);
    else assert.equal(answer.digest, manifest.digest);
    return answer.status === 200;
  }, wrong.name);
}

test('a manifest without its type, its digest or a length of its own is served as what it is', () =>
  inWorld({}, async ({ registry, client }) => {
    registry.content.add('org/app', image, 'v1');
    const nameless = faults.both(faults.noDigestHeader(), faults.withoutHeader('content-type'), faults.chunked());
    registry.always({ kind: 'manifest' }, nameless);
    const head = await client.headManifest('org/app', 'v1');
    assert.deepEqual([head.status, head.headers['docker-content-digest']], [200, image.manifest.digest]);
    const answer = await client.manifest('org/app', 'v1');
    assert.deepEqual([answer.status, answer.digest], [200, image.manifest.digest]);
    assert.equal(answer.headers['content-type'], ociManifest);
    assert.equal(answer.headers['docker-content-digest'], image.manifest.digest);
  }));
