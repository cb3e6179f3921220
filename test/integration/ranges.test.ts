import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildImage, type Content } from '../../src/cli/demo/image.ts';
import { PullClient } from '../support/client.ts';
import { pull } from '../support/pull.ts';
import { inScene } from './scene.ts';

const mebibyte = 1024 * 1024;
const image = buildImage({ seed: 'ranges', layerSizes: [16 * mebibyte, 20_000] });
const [layer, small] = image.layers as [Content, Content];

test('a cold layer in parallel ranges, as containerd 2.1 asks for it, costs each byte once', () =>
  inScene({}, async ({ registry, onepull }) => {
    registry.content.add('org/app', image, 'v1');
    assert.equal((await pull(onepull.url, 'org/app', 'v1', { rangesPerBlob: 8 })).totalBytes, image.totalBytes);
    await onepull.assertIdle();
    assert.equal(registry.tally.repeatedBytes(layer.digest), 0);
    assert.equal(registry.tally.bytesSent(layer.digest), layer.bytes.length);
    assert.equal(registry.tally.bytesSent(small.digest), small.bytes.length);
  }));

test('a client far ahead gets a range of its own: it does not wait for everything before it', () =>
  inScene({}, async ({ registry, onepull, client }) => {
    registry.content.add('org/app', image, 'v1');
    await client.manifest('org/app', 'v1');
    const hold = registry.hold(layer.digest, mebibyte);
    const whole = client.blob('org/app', layer.digest);
    await hold.reached;
    await using ahead = new PullClient(onepull.url);
    const range = { start: 12 * mebibyte, end: 13 * mebibyte };
    const part = await ahead.blob('org/app', layer.digest, { range, keep: true });
    assert.ok(part.body.equals(layer.bytes.subarray(range.start, range.end)));
    hold.release();
    assert.equal((await whole).digest, layer.digest);
  }));

test('small ranges all over a cold layer, as lazy pullers ask, cost the layer and at most themselves again', () =>
  inScene({}, async ({ registry, onepull, client }) => {
    registry.content.add('org/app', image, 'v1');
    await client.manifest('org/app', 'v1');
    const starts = [15.5, 0, 7.25, 3, 11.125, 7.25, 14.9].map((mebibytes) => Math.floor(mebibytes * mebibyte));
    for (const start of starts) {
      const range = { start, end: start + 40_000 };
      const part = await client.blob('org/app', layer.digest, { range, keep: true });
      assert.equal(part.status, 206);
      assert.ok(part.body.equals(layer.bytes.subarray(range.start, range.end)), `range at ${start}`);
    }
    assert.equal((await client.blob('org/app', layer.digest)).digest, layer.digest);
    await onepull.assertIdle();
    // Small ranges are rounded up to this, and the fill of the rest reads through them rather than asking again. What the
    // registry sent beyond that was lost in the kernel with the connection of a range that was complete.
    const roundedBytes = 256 * 1024;
    const receivedBytes = await onepull.admin.metric('onepull_upstream_bytes_total', { upstream: 'demo.example' });
    const neededBytes = image.manifest.bytes.length + layer.bytes.length;
    assert.ok(receivedBytes <= neededBytes + starts.length * roundedBytes, `${receivedBytes} of ${neededBytes}`);
  }));

test('the end of a cold layer can be asked for alone, by its offset or counted from the end', () =>
  inScene({}, async ({ registry, onepull, client }) => {
    registry.content.add('org/app', image, 'v1');
    await client.manifest('org/app', 'v1');
    const start = layer.bytes.length - 1000;
    const open = await client.blob('org/app', layer.digest, { range: { start }, keep: true });
    assert.ok(open.body.equals(layer.bytes.subarray(start)));
    await using suffix = new PullClient(onepull.url, { headers: { range: 'bytes=-1000' } });
    const last = await suffix.blob('org/app', layer.digest, { keep: true });
    assert.deepEqual(
      [last.status, last.headers['content-range']],
      [206, `bytes ${start}-${layer.bytes.length - 1}/${layer.bytes.length}`],
    );
    assert.ok(last.body.equals(layer.bytes.subarray(start)));
  }));

test('a range beyond the end is refused with the size, cold and warm', () =>
  inScene({}, async ({ registry, onepull, client }) => {
    registry.content.add('org/app', image, 'v1');
    await client.manifest('org/app', 'v1');
    for (const _ of ['cold', 'warm']) {
      const range = { start: layer.bytes.length, end: layer.bytes.length + 10 };
      const refused = await client.blob('org/app', layer.digest, { range });
      assert.deepEqual([refused.status, refused.headers['content-range']], [416, `bytes */${layer.bytes.length}`]);
      await onepull.assertIdle();
    }
  }));

test('manifests are asked with Range: bytes=0- too, by tag and by digest, cold and warm', () =>
  inScene({}, async ({ registry, client }) => {
    registry.content.add('org/app', image, 'v1');
    const { bytes, digest, mediaType } = image.manifest;
    for (const reference of ['v1', digest, 'v1']) {
      const answer = await client.manifest('org/app', reference, { range: { start: 0 } });
      assert.ok(answer.status === 200 || answer.status === 206);
      assert.equal(answer.headers['content-type'], mediaType);
      assert.equal(answer.headers['docker-content-digest'], digest);
      assert.ok(answer.body.equals(bytes));
    }
    assert.equal(registry.tally.count({ kind: 'manifest' }), 1);
  }));
