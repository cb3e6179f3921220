import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { operations } from '../../src/admin/description/operations.ts';
import { buildImage } from '../../src/cli/demo/image.ts';
import { PullClient } from '../support/client.ts';
import { EventStream } from '../support/event-stream.ts';
import { redirect, status } from '../support/faults.ts';
import { TemporaryDirectory } from '../support/loopback.ts';
import { OnepullProcess } from '../support/onepull-process.ts';
import { pull } from '../support/pull.ts';
import { ScriptedRegistry } from '../support/scripted-registry.ts';
import { inScene, leavingNothing } from './scene.ts';

const image = buildImage({ seed: 'log', layerSizes: [2_000, 200_000] });

test('one line for each request, with who asked for what, how it was served, and what came of it', () =>
  inScene({}, async ({ registry, onepull }) => {
    registry.content.add('org/app', image, 'v1');
    await pull(onepull.url, 'org/app', 'v1', { ns: 'demo.example', headers: { 'user-agent': 'containerd/2.1' } });
    await using client = new PullClient(onepull.url);
    await client.manifest('org/app', 'none');
    await onepull.admin.until(
      async () => onepull.log.filter(({ event }) => event === 'request').length,
      (lines) => lines === 6,
    );
    const lines = onepull.log.filter(({ event }) => event === 'request');
    assert.equal(new Set(lines.map(({ id }) => id)).size, lines.length);
    for (const line of lines) {
      assert.deepEqual([line.level, line.client, line.registry], ['info', '127.0.0.1', 'demo.example']);
      assert.deepEqual([line.repository, line.complete], ['org/app', true]);
      assert.ok(Number.isFinite(line.durationMs) && !Number.isNaN(Date.parse(String(line.time))));
    }
    // In the order in which each thread answered: among threads they come as they come.
    const head = lines.find(({ method }) => method === 'HEAD');
    const get = lines.find(({ method, path }) => method === 'GET' && String(path).includes('/manifests/'));
    assert.deepEqual([head?.method, head?.reference, head?.served, head?.bytes], ['HEAD', 'v1', 'led', 0]);
    assert.equal(head?.path, '/v2/org/app/manifests/v1?ns=demo.example');
    assert.equal(head?.userAgent, 'containerd/2.1');
    assert.deepEqual([get?.method, get?.status, get?.bytes], ['GET', 200, image.manifest.bytes.length]);
    const blob = lines.find(({ reference }) => reference === image.layers[1]?.digest);
    assert.deepEqual([blob?.status, blob?.served, blob?.bytes], [200, 'led', 200_000]);
    assert.ok(Number.isFinite(blob?.firstByteMs));
    const missing = lines.find(({ reference }) => reference === 'none');
    assert.deepEqual([missing?.status, missing?.error, missing?.served], [404, 'MANIFEST_UNKNOWN', undefined]);
  }));

test('the time of a request is when it ended; it began as long before as it took', () =>
  inScene({}, async ({ registry, onepull, client }) => {
    registry.content.add('org/app', image, 'v1');
    await client.manifest('org/app', 'v1');
    const [, layer] = image.layers;
    assert.ok(layer);
    const hold = registry.hold(layer.digest, 100_000);
    const askedAtMs = Date.now();
    const held = client.blob('org/app', layer.digest);
    await hold.reached;
    const releasedAtMs = Date.now();
    hold.release();
    await held;
    const lines = () => onepull.log.filter(({ reference, event }) => event === 'request' && reference === layer.digest);
    await onepull.admin.until(
      async () => lines().length,
      (count) => count === 1,
    );
    const [line] = lines();
    const endedAtMs = Date.parse(String(line?.time));
    assert.ok(endedAtMs >= releasedAtMs, 'it is not when the request came');
    // Clocks of two kinds, and rounded.
    assert.ok(endedAtMs - Number(line?.durationMs) >= askedAtMs - 10, 'it began when it was asked for');
  }));

test('a client that leaves is in the log as one that did not get all', () =>
  inScene({}, async ({ registry, onepull, client }) => {
    const big = buildImage({ seed: 'log-big', layerSizes: [24 * 1024 * 1024] });
    const digest = big.layers[0]?.digest ?? '';
    registry.content.add('org/app', big, 'v1');
    await client.manifest('org/app', 'v1');
    await client.blob('org/app', digest, { leaveAfterBytes: 1000 });
    const lines = () => onepull.log.filter(({ event, reference }) => event === 'request' && reference === digest);
    await onepull.admin.until(
      async () => lines().length,
      (count) => count === 1,
    );
    const [line] = lines();
    assert.equal(line?.complete, false);
    assert.ok(Number(line?.bytes) < 24 * 1024 * 1024);
  }));

test('every way to end is told: a part, none, unchanged, HEAD, refused, stale', () => {
  const configuration = { server: { maxResponses: 1 } };
  return inScene({ upstream: { tagTtl: '0s' }, configuration }, async ({ registry, onepull, client }) => {
    registry.content.add('org/app', image, 'v1');
    const [, layer] = image.layers;
    assert.ok(layer);
    await client.manifest('org/app', 'v1');
    const hold = registry.hold(layer.digest, 100_000);
    const held = client.blob('org/app', layer.digest);
    await hold.reached;
    await using refused = new PullClient(onepull.url);
    assert.equal((await refused.blob('org/app', layer.digest)).status, 503);
    hold.release();
    await held;
    await onepull.assertIdle();
    const asked: [string, Record<string, string>][] = [
      ['GET', { range: 'bytes=10-19' }],
      ['GET', { range: 'bytes=999999999-' }],
      ['GET', { 'if-none-match': `"${layer.digest}"` }],
      ['HEAD', {}],
      ['DELETE', {}],
    ];
    for (const [method, headers] of asked) {
      const closing = { ...headers, connection: 'close' };
      const response = await fetch(`${onepull.url}/v2/org/app/blobs/${layer.digest}`, { method, headers: closing });
      await response.arrayBuffer();
      await onepull.admin.until(
        () => onepull.admin.metric('onepull_responses'),
        (responses) => responses === 0,
      );
    }
    await registry.goAway();
    assert.equal((await client.manifest('org/app', 'v1')).status, 200);
    await registry.comeBack();
    const lines = () => onepull.log.filter(({ event }) => event === 'request');
    await onepull.admin.until(
      async () => lines().length,
      (count) => count === 9,
    );
    const told = lines().map(({ method, status, error = '-', served = '-', bytes }) =>
      // How long the text of an error is does not matter here.
      [method, status, error, served, error === '-' ? bytes : '-'].join(' '),
    );
    assert.deepEqual(told.toSorted(), [
      'DELETE 405 METHOD_UNSUPPORTED - -',
      'GET 200 - led 200000',
      `GET 200 - led ${image.manifest.bytes.length}`,
      `GET 200 - stale ${image.manifest.bytes.length}`,
      'GET 206 - hit 10',
      'GET 304 - hit 0',
      'GET 416 RANGE_UNSATISFIABLE - -',
      'GET 503 OVERLOADED - -',
      'HEAD 200 - hit 0',
    ]);
    assert.ok(lines().every(({ complete }) => complete === true));
  });
});

test('a preheat is in the log with who asked for it, when it begins and when it has ended', () =>
  inScene({}, async ({ registry, onepull }) => {
    registry.content.add('org/app', image, 'v1');
    const response = await fetch(`${onepull.adminUrl}/api/v1/preheats`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'user-agent': 'someone/1', connection: 'close' },
      body: JSON.stringify({ images: ['demo.example/org/app:v1'] }),
    });
    assert.equal(response.status, 202);
    const { id } = (await response.json()) as { id: string };
    const lines = () => onepull.log.filter(({ event }) => event === 'preheat');
    await onepull.admin.until(
      async () => lines().length,
      (count) => count === 2,
    );
    assert.deepEqual(
      lines().map(({ change, level, id, client, userAgent }) => [change, level, id, client, userAgent]),
      [
        ['started', 'info', id, '127.0.0.1', 'someone/1'],
        ['done', 'info', id, '127.0.0.1', 'someone/1'],
      ],
    );
    const [, ended] = lines();
    assert.deepEqual(ended?.images, ['demo.example/org/app:v1']);
    assert.ok(Number(ended?.sizeBytes) > 0 && ended?.filledBytes === ended?.sizeBytes);
  }));

test('requests are not logged where the access log is off', () =>
  inScene({ configuration: { log: { access: false } } }, async ({ registry, onepull }) => {
    registry.content.add('org/app', image, 'v1');
    await pull(onepull.url, 'org/app', 'v1');
    await onepull.assertIdle();
    assert.equal(onepull.log.filter(({ event }) => event === 'request').length, 0);
    assert.ok(onepull.log.some(({ event }) => event === 'flight'));
  }));

const secrets = {
  inline: 'inline-6d1f',
  file: 'file-90aa',
  config: 'config-b7c3',
  client: 'client-44e2',
  query: 'query-e01d',
  signature: 'signature-7a5c',
  engine: 'engine-5d1f',
  peer: 'peer-9c20-that-is-long-enough-for-a-secret',
};

test('no credential is ever written, whatever goes wrong', () =>
  leavingNothing(async () => {
    await using folder = await TemporaryDirectory.make();
    const passwordFile = join(folder.path, 'password');
    const dockerConfig = join(folder.path, 'config.json');
    const auth = Buffer.from(`user:${secrets.config}`).toString('base64');
    await writeFile(passwordFile, secrets.file);
    await writeFile(dockerConfig, JSON.stringify({ auths: { 'config.example': { auth } } }));
    const evilRealm = 'http://realm.invalid/token?secret=1';
    await using right = await ScriptedRegistry.start({
      auth: { kind: 'basic', username: 'user', password: secrets.inline },
    });
    await using wrong = await ScriptedRegistry.start({ auth: { kind: 'basic', username: 'user', password: 'other' } });
    await using realm = await ScriptedRegistry.start({ auth: { kind: 'token', realm: evilRealm } });
    for (const registry of [right, wrong, realm]) registry.content.add('org/app', image, 'v1', 'v2', 'v3');
    await using onepull = await OnepullProcess.start({
      log: { level: 'debug' },
      pull: { headerTimeout: '2s' },
      cluster: {
        engine: `redis://user:${secrets.engine}@127.0.0.1:1`,
        peer: { listen: '127.0.0.1:0', advertise: 'http://127.0.0.1:1', secret: secrets.peer },
      },
      upstreams: {
        'right.example': { url: right.url, default: true, credentials: { username: 'user', password: secrets.inline } },
        'file.example': { url: wrong.url, credentials: { username: 'user', passwordFile } },
        'config.example': { url: wrong.url, credentials: { dockerConfig } },
        'realm.example': { url: realm.url, credentials: { username: 'user', password: secrets.inline } },
      },
    });
    const answers: string[] = [];
    const headers = { authorization: `Bearer ${secrets.client}`, cookie: `session=${secrets.client}` };
    for (const ns of ['right.example', 'file.example', 'config.example', 'realm.example', `u:${secrets.client}@h`]) {
      await using client = new PullClient(onepull.url, { ns, headers });
      for (const path of ['manifests/v1', `blobs/${image.config.digest}`, 'tags/list']) {
        const { body } = await client.get(`org/app/${path}?token=${secrets.query}`);
        // What a client sent itself, it may be told.
        if (!ns.includes(secrets.client)) answers.push(body.toString());
      }
    }
    await using client = new PullClient(onepull.url);
    const [first, second] = image.layers;
    right.next({ reference: 'v2' }, status(500));
    right.always(
      { reference: first?.digest ?? '' },
      redirect(`http://10.0.0.1/blob?X-Amz-Signature=${secrets.signature}`),
    );
    right.always({ reference: second?.digest ?? '' }, redirect(`http://u:${secrets.signature}@10.0.0.1/blob`));
    answers.push((await client.manifest('org/app', 'v2')).body.toString());
    for (const layer of image.layers) answers.push((await client.blob('org/app', layer.digest)).body.toString());
    const images = ['file.example/org/app:v1', 'realm.example/org/app:v1'];
    for (const image of images) await onepull.admin.change('POST', '/api/v1/preheats', { images: [image] });
    await onepull.admin.until(
      () => onepull.admin.text('/api/v1/preheats'),
      (text) => !text.includes('running'),
    );
    const { preheats } = (await onepull.admin.json('/api/v1/preheats')) as { preheats: { id: string }[] };
    const shown = operations.filter(({ method, path }) => method === 'GET' && !/:|events$/.test(path));
    for (const path of [...shown.map(({ path }) => path), ...preheats.map(({ id }) => `/api/v1/preheats/${id}`)]) {
      answers.push(await onepull.admin.text(path));
    }
    await using viewer = await EventStream.open(`${onepull.adminUrl}/api/v1/events`);
    answers.push(JSON.stringify(await viewer.next()));
    await onepull.terminate();

    const written = onepull.log.map((line) => JSON.stringify(line)).join('\n');
    assert.ok(onepull.log.some(({ event }) => event === 'listening'));
    assert.ok(onepull.log.some(({ error }) => error === 'UPSTREAM_UNAUTHORIZED'));
    for (const secret of [...Object.values(secrets), auth, encoded(secrets.inline), encoded(secrets.file)]) {
      assert.ok(!written.includes(secret), `the log has ${secret}`);
      assert.ok(!answers.join('\n').includes(secret), `an answer has ${secret}`);
    }
    // The realm of another host was refused: nobody was given the credentials, and the log says so.
    assert.equal(realm.tally.requests().filter(({ headers: sent }) => sent.authorization !== undefined).length, 0);
  }));

function encoded(password: string): string {
  return Buffer.from(`user:${password}`).toString('base64');
}
