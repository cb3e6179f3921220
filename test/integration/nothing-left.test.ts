import assert from 'node:assert/strict';
import { readdir, readlink } from 'node:fs/promises';
import { test } from 'node:test';
import { buildImage, type Content } from '../../src/cli/demo/image.ts';
import { Layout } from '../../src/store/fs/layout.ts';
import { PullClient } from '../support/client.ts';
import { corrupt, cut, status } from '../support/faults.ts';
import { OnepullProcess } from '../support/onepull-process.ts';
import { pull } from '../support/pull.ts';
import { ScriptedRegistry } from '../support/scripted-registry.ts';
import { leavingNothing } from './scene.ts';

const mebibyte = 1024 * 1024;

/**
 * What the process has open in its data directory and should not, and how many sockets. A blob that was read again after it
 * was stored stays open for the next reader, once.
 */
async function openIn({ pid, dataFolder }: OnepullProcess): Promise<{ content: string[]; sockets: number }> {
  const folder = `/proc/${pid}/fd`;
  const links = (await readdir(folder)).map((name) => readlink(`${folder}/${name}`).catch(() => ''));
  const targets = await Promise.all(links);
  const content = targets.filter((path, index) => {
    if (!path.startsWith(dataFolder)) return false;
    const isStored = /\/blobs\/\w+\/\w+$/.test(path) && targets.indexOf(path) === index;
    return /\/(ingest\/|blobs\/\w+\/\w)/.test(path) && !isStored;
  });
  return { content, sockets: targets.filter((target) => target.startsWith('socket:')).length };
}

test('after pulls that were finished, left, cut, refused and corrupt, the process holds nothing of them', () =>
  leavingNothing(async () => {
    await using registry = await ScriptedRegistry.start();
    await using onepull = await OnepullProcess.start({ upstreams: { 'demo.example': { url: registry.url } } });
    const before = await openIn(onepull);
    const images = Array.from({ length: 6 }, (_, n) => {
      return buildImage({ seed: `left-${n}`, layerSizes: [2 * mebibyte, 300_000, 9_000] });
    });
    for (const [n, image] of images.entries()) registry.content.add('org/app', image, `v${n}`);
    const layers = images.map(({ layers: [layer] }) => layer as Content);
    const [, left, broken, wrong, gone] = layers as [Content, Content, Content, Content, Content];
    registry.next({ reference: broken.digest }, cut(mebibyte), cut(100_000));
    registry.always({ reference: wrong.digest }, corrupt(1_500_000));
    registry.always({ reference: gone.digest }, status(404));

    const pulls = images.map(async (_, n) => pull(onepull.url, 'org/app', `v${n}`, { rangesPerBlob: n === 5 ? 4 : 1 }));
    const leaving = Array.from({ length: 8 }, async () => {
      await using client = new PullClient(onepull.url);
      await client.manifest('org/app', 'v1');
      await client.blob('org/app', left.digest, { leaveAfterBytes: 10_000 });
    });
    const results = await Promise.allSettled([...pulls, ...leaving]);
    const failed = results.flatMap(({ status: how }, n) => (how === 'rejected' ? [n] : []));
    assert.deepEqual(failed, [3, 4]);

    await onepull.admin.assertIdle();
    await onepull.admin.until(
      async () => (await openIn(onepull)).content,
      (content) => content.length === 0,
    );
    await onepull.admin.until(
      () => readdir(new Layout(onepull.dataFolder).ingest),
      (files) => files.length === 0,
    );
    assert.equal(await onepull.admin.metric('onepull_flight_waiters'), 0);
    // Idle connections to upstream stay for a while; those of clients are gone.
    const upstreamSockets = 64;
    assert.ok((await openIn(onepull)).sockets <= before.sockets + upstreamSockets);
  }));
