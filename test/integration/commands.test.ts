import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildImage } from '../../src/cli/demo/image.ts';
import { command, startCommand } from '../support/command.ts';
import { pull } from '../support/pull.ts';
import { inScene } from './scene.ts';

const image = buildImage({ seed: 'commands', layerSizes: [2_000, 700_000] });
const [, large] = image.layers;
assert.ok(large);
const name = 'demo.example/org/app:v1';
const adminToken = 'a-token-of-enough-letters';

test('an image is preheated, listed, pinned, purged and gone; whoever changes something needs the token', () =>
  inScene({ configuration: { adminToken } }, async ({ registry, onepull }) => {
    registry.content.add('org/app', image, 'v1');
    const environment = { ONEPULL_ADMIN: onepull.admin.host, ONEPULL_ADMIN_TOKEN: adminToken };
    const ask = (...args: string[]) => command(args, environment);
    // Nobody typed which instance that is.
    const place = ` at ${onepull.admin.host} (ONEPULL_ADMIN)`;
    const stranger = await command(['preheat', name], { ONEPULL_ADMIN: onepull.admin.host });
    assert.equal(stranger.code, 1);
    assert.match(stranger.stderr, /wants its token for this/);

    const preheat = await ask('preheat', name);
    assert.equal(preheat.code, 0, preheat.stderr);
    assert.match(preheat.stdout, /\ndemo\.example\/org\/app:v1 {2}done\nThe image is here\.$/);
    await pull(onepull.url, 'org/app', 'v1');
    assert.equal(registry.tally.bytesSent(), image.totalBytes, 'what was preheated is not fetched again');

    const listed = JSON.parse((await ask('images', '--json')).stdout);
    assert.deepEqual([listed.total, listed.images[0].image], [1, name]);
    assert.match((await ask('images', '--search', 'org/a')).stdout, /^IMAGE .*\ndemo\.example\/org\/app:v1 /);
    assert.equal((await ask('images', '--search', 'other')).stdout, 'No image has that in its name.');
    const completed = await ask('complete', '--', 'pin', 'demo.example/org/app:');
    assert.equal(completed.stdout, `${name}\t`);

    assert.equal((await ask('pin', name)).stdout, `${name}  pinned${place}`);
    const kept = await ask('purge', name, '--yes');
    assert.equal(kept.code, 1);
    assert.match(kept.stderr, /^onepull: demo\.example\/org\/app:v1: .*pinned/);
    assert.equal((await ask('unpin', name)).stdout, `${name}  not pinned${place}`);
    await onepull.assertIdle();
    const purged = await ask('purge', name, '--yes');
    assert.deepEqual([purged.code, purged.stderr], [0, '']);
    // A response is over for its client a moment before it is for the gateway.
    assert.match(purged.stdout, /purged, [\d.]+ (B|KiB) freed/);
    assert.equal((await ask('images')).stdout, 'The cache holds no image yet.');
    const again = await ask('purge', name, '--yes');
    assert.equal(again.code, 1);
    assert.match(again.stderr, /^onepull: demo\.example\/org\/app:v1: /);
  }));

test('a preheat that fails says why; the others come all the same', () =>
  inScene({}, async ({ registry, onepull }) => {
    registry.content.add('org/app', image, 'v1');
    const args = ['preheat', 'org/none:v1', 'org/app:v1', '--admin', onepull.admin.host];
    const { code, stdout } = await command(args);
    assert.equal(code, 1);
    assert.match(stdout, /\n1 of 2 failed:\n {2}demo\.example\/org\/none:v1: \S/);
    assert.match(stdout, /\ndemo\.example\/org\/app:v1 {2}done\n/);
    const unknown = await command(['preheat', 'BAD NAME', '--admin', onepull.admin.host]);
    assert.equal(unknown.code, 2);
    assert.match(unknown.stderr, /^onepull: image "BAD NAME": .*not a valid/);
  }));

test('status and watch show a pull and who waits for it; Ctrl-C cancels a preheat of the same, not the pull', () =>
  inScene({}, async ({ registry, onepull }) => {
    registry.content.add('org/app', image, 'v1');
    const hold = registry.hold(large.digest, 100_000);
    const admin = ['--admin', onepull.admin.host];
    await using watch = startCommand(['watch', ...admin]);
    await using preheat = startCommand(['preheat', 'org/app:v1', ...admin]);
    await preheat.line((line) => line.includes('pulling'));
    await hold.reached;
    const client = pull(onepull.url, 'org/app', 'v1');
    await onepull.admin.until(
      () => onepull.admin.pulls(),
      (pulls) =>
        pulls.some(({ layers }) => layers.some(({ digest, waiters }) => digest === large.digest && waiters > 0)),
    );
    const status = await command(['status', ...admin]);
    assert.equal(status.code, 0);
    assert.match(
      status.stdout,
      /\nPulling 1 image at .* waiting responses?:\n {2}demo\.example\/org\/app:v1 +pulling .* waiting\n/,
    );
    assert.match(status.stdout, /\nupstreams {2}demo\.example {2}127\.0\.0\.1:\d+ {2}sound /);
    await watch.line((line) => /demo\.example\/org\/app:v1 {2}pulling: \d+%/.test(line));
    assert.deepEqual(await preheat.kill('SIGINT'), { code: 130, signal: null }, preheat.tail);
    hold.release();
    assert.equal((await client).totalBytes, image.totalBytes);
    await watch.line((line) => line.includes('demo.example/org/app:v1  done: '));
    await watch.kill('SIGTERM');
  }));
