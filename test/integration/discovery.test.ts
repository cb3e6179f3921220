import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Artifact, buildArtifact, buildImage, type Image, type ImageIndex } from '../../src/cli/demo/image.ts';
import { digestOf } from '../../src/core/digest.ts';
import { ociIndex } from '../../src/core/media-types.ts';
import { PullClient } from '../support/client.ts';
import { DockerRegistry } from '../support/docker-registry.ts';
import { needs } from '../support/need.ts';
import { OnepullApp } from '../support/onepull-app.ts';
import { pull } from '../support/pull.ts';
import { inScene, leavingNothing } from './scene.ts';

const image = buildImage({ seed: 'discovery', layerSizes: [2_000] });
const sbom = artifactOf('sbom', 'application/spdx+json');
const signature = artifactOf('signature', 'application/vnd.example.signature');
const tags = ['1.0', '1.1', '1.2', '2.0', 'latest'];

function artifactOf(seed: string, artifactType: string): Artifact {
  return buildArtifact({ seed, subject: image.manifest, artifactType, sizeBytes: 3_000 });
}

/** Follows the Links from `path` (below /v2/) to the last page. */
async function pages<T>(client: PullClient, path: string): Promise<T[]> {
  const found: T[] = [];
  for (let next: string | undefined = path; next !== undefined; ) {
    const answer = await client.get(next);
    assert.equal(answer.status, 200, answer.body.toString());
    found.push(JSON.parse(answer.body.toString()) as T);
    const link = /^<\/v2\/([^>]+)>; rel="next"$/.exec(String(answer.headers.link ?? ''));
    next = link?.[1];
  }
  return found;
}

test('tags are listed page by page, with the names that the client used', () =>
  inScene({}, async ({ registry, client }) => {
    registry.content.add('org/app', image, ...tags);
    for (const name of ['org/app', 'demo.example/org/app']) {
      const found = await pages<{ tags: string[] }>(client, `${name}/tags/list?n=2`);
      assert.deepEqual(
        found.map((page) => page.tags),
        [['1.0', '1.1'], ['1.2', '2.0'], ['latest']],
      );
    }
    assert.deepEqual(await pages(client, 'org/app/tags/list'), [{ name: 'org/app', tags }]);
  }));

test('lists of tags are asked once for all, fresh for seconds, and stale when upstream is away', () =>
  inScene({}, async ({ registry, client }) => {
    registry.content.add('org/app', image, ...tags);
    const crowd = Array.from({ length: 8 }, () => pages<{ tags: string[] }>(client, 'org/app/tags/list'));
    for (const [page] of await Promise.all(crowd)) assert.deepEqual(page?.tags, tags);
    assert.equal(registry.tally.count({ kind: 'tags' }), 1);
    await registry.goAway();
    assert.deepEqual((await pages<{ tags: string[] }>(client, 'org/app/tags/list'))[0]?.tags, tags);
  }));

test(
  "docker-registry's tags and referrers, the latter by their tag as it has no API for them",
  {
    skip: needs('docker-registry'),
  },
  () =>
    leavingNothing(async () => {
      await using registry = await DockerRegistry.start();
      for (const tag of tags) await registry.push('org/app', tag, image);
      await registry.push('org/app', image.manifest.digest.replace(':', '-'), fallbackIndex(sbom, signature));
      await using onepull = await OnepullApp.start({ upstreams: { 'corp.example': { url: registry.url } } });
      await using client = new PullClient(onepull.url);
      const found = await pages<{ tags: string[] }>(client, 'org/app/tags/list?n=2');
      for (const tag of tags) assert.ok(found.flatMap((page) => page.tags).includes(tag));
      await assertReferrers(client);
      assert.equal((await pull(onepull.url, 'org/app', sbom.manifest.digest)).totalBytes, sbom.totalBytes);
      assert.equal((await client.get('org/none/tags/list')).status, 404);
    }),
);

test('referrers are passed through, filtered if asked, and can be pulled', () =>
  inScene({}, async ({ registry, onepull, client }) => {
    registry.content.add('org/app', image, 'v1');
    for (const artifact of [sbom, signature]) registry.content.add('org/app', artifact);
    await assertReferrers(client);
    for (const { manifest, totalBytes } of [sbom, signature]) {
      assert.equal((await pull(onepull.url, 'org/app', manifest.digest)).totalBytes, totalBytes);
    }
  }));

test('a registry without referrers API, and without the tag, has no referrers', () =>
  inScene({}, async ({ registry, client }) => {
    registry.content.add('org/app', image, 'v1');
    registry.withoutReferrers();
    const [list] = await pages<{ manifests: unknown[] }>(client, `org/app/referrers/${image.manifest.digest}`);
    assert.deepEqual(list?.manifests, []);
  }));

test('the catalog names, page by page, what has been pulled, and nothing else', () =>
  inScene({}, async ({ registry, onepull, client }) => {
    const names = ['org/a', 'org/b', 'org/c', 'team/d', 'z'];
    for (const name of [...names, 'org/never-pulled']) registry.content.add(name, image, 'v1');
    assert.deepEqual(await pages(client, '_catalog'), [{ repositories: [] }]);
    for (const name of names) await pull(onepull.url, name, 'v1');
    assert.equal((await client.manifest('org/none', 'v1')).status, 404);
    const found = await pages<{ repositories: string[] }>(client, '_catalog?n=2');
    assert.deepEqual(
      found.map((page) => page.repositories.length),
      [2, 2, 1],
    );
    const listed = found.flatMap((page) => page.repositories);
    assert.deepEqual(
      listed,
      names.map((name) => `demo.example/${name}`),
    );
    // What is listed can be pulled by that name.
    for (const name of listed) await pull(onepull.url, name, 'v1');
  }));

async function assertReferrers(client: PullClient): Promise<void> {
  const path = `org/app/referrers/${image.manifest.digest}`;
  const [all] = await pages<{ mediaType: string; manifests: { digest: string }[] }>(client, path);
  assert.equal(all?.mediaType, ociIndex);
  const digests = all?.manifests.map(({ digest }) => digest).sort();
  assert.deepEqual(digests, [sbom.manifest.digest, signature.manifest.digest].sort());
  const filtered = await client.get(`${path}?artifactType=${encodeURIComponent(sbom.artifactType)}`);
  assert.equal(filtered.headers['oci-filters-applied'], 'artifactType');
  const { manifests } = JSON.parse(filtered.body.toString()) as { manifests: { digest: string }[] };
  assert.deepEqual(
    manifests.map(({ digest }) => digest),
    [sbom.manifest.digest],
  );
}

/** What clients push where there is no referrers API (distribution-spec "Referrers Tag Schema"). */
function fallbackIndex(...artifacts: readonly Artifact[]): ImageIndex {
  const manifests = artifacts.map(({ manifest: { mediaType, digest, bytes }, artifactType }) => {
    return { mediaType, digest, size: bytes.length, artifactType };
  });
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: ociIndex, manifests }));
  const images = artifacts.map((artifact): Image => ({ ...artifact, platform: image.platform }));
  return { index: { bytes, digest: digestOf(bytes), mediaType: ociIndex }, images, totalBytes: bytes.length };
}
