import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildImage } from '../../src/cli/demo/image.ts';
import { PullClient } from '../support/client.ts';
import { OnepullApp } from '../support/onepull-app.ts';
import { pull } from '../support/pull.ts';
import { ScriptedRegistry } from '../support/scripted-registry.ts';
import { inScene, leavingNothing } from './scene.ts';

const image = buildImage({ seed: 'names', layerSizes: [2_000, 150_000] });
const other = buildImage({ seed: 'names-other', layerSizes: [1_000] });

test('a registry is named by ns, by the first segment of the path, or is the default one', () =>
  leavingNothing(async () => {
    await using main = await ScriptedRegistry.start();
    await using second = await ScriptedRegistry.start();
    main.content.add('org/app', image, 'v1');
    second.content.add('org/app', other, 'v1');
    await using onepull = await OnepullApp.start({
      upstreams: { 'main.example': { url: main.url, default: true }, 'second.example:5000': { url: second.url } },
    });
    const [ofMain, ofSecond] = [image.manifest.digest, other.manifest.digest];
    for (const [name, ns, expected] of [
      ['org/app', undefined, ofMain],
      ['org/app', 'main.example', ofMain],
      ['main.example/org/app', undefined, ofMain],
      ['org/app', 'second.example:5000', ofSecond],
      ['second.example:5000/org/app', undefined, ofSecond],
    ] as const) {
      const { manifest } = await pull(onepull.url, name, 'v1', ns === undefined ? {} : { ns });
      assert.equal(manifest, expected, `${name} with ns ${ns}`);
    }
    // All names of one repository are that repository: it was pulled once.
    assert.equal(main.tally.bytesSent(), image.totalBytes);
    assert.equal(second.tally.bytesSent(), other.totalBytes);
    await onepull.assertIdle();
  }));

test("Docker Hub's official images are found by their short names, by any way of naming the registry", () =>
  leavingNothing(async () => {
    await using hub = await ScriptedRegistry.start();
    hub.content.add('library/alpine', image, '3');
    hub.content.add('grafana/grafana', other, '3');
    await using onepull = await OnepullApp.start({ upstreams: { 'docker.io': { url: hub.url } } });
    for (const [name, ns] of [
      ['alpine', undefined],
      ['library/alpine', undefined],
      ['docker.io/alpine', undefined],
      ['docker.io/library/alpine', undefined],
      ['alpine', 'docker.io'],
      ['library/alpine', 'docker.io'],
    ] as const) {
      const { manifest } = await pull(onepull.url, name, '3', ns === undefined ? {} : { ns });
      assert.equal(manifest, image.manifest.digest, `${name} with ns ${ns}`);
    }
    assert.equal((await pull(onepull.url, 'grafana/grafana', '3')).manifest, other.manifest.digest);
    assert.deepEqual([...new Set(hub.tally.requests().map(({ repository }) => repository))].sort(), [
      'grafana/grafana',
      'library/alpine',
    ]);
    await onepull.assertIdle();
  }));

test('other registries have no library: a short name is the name', () =>
  inScene({}, async ({ registry, onepull }) => {
    registry.content.add('app', image, 'v1');
    assert.equal((await pull(onepull.url, 'app', 'v1')).manifest, image.manifest.digest);
    assert.equal(registry.tally.count({ repository: 'library/app' }), 0);
  }));

test('a registry that is not configured is 404 with a hint, and is never dialled', () =>
  inScene({}, async ({ onepull }) => {
    await using trap = await ScriptedRegistry.start();
    trap.content.add('org/app', image, 'v1');
    const names = [trap.host, trap.url, `user:password@${trap.host}`, `${trap.host}/org`, 'demo.example@evil.example'];
    for (const ns of names) {
      await using client = new PullClient(onepull.url, { ns });
      for (const answer of [
        await client.manifest('org/app', 'v1'),
        await client.blob('org/app', image.config.digest),
        await client.get('org/app/tags/list'),
      ]) {
        assert.equal(answer.status, 404, ns);
        const [error] = JSON.parse(answer.body.toString()).errors;
        assert.equal(error.code, 'NAME_UNKNOWN');
        assert.match(error.message, /not configured here.*upstreams/);
      }
    }
    await using client = new PullClient(onepull.url);
    assert.equal((await client.manifest(`${trap.host}/org/app`, 'v1')).status, 404);
    assert.equal(trap.tally.count(), 0);
    const refused = () => onepull.log.find(({ path }) => String(path).includes(encodeURIComponent(trap.host)));
    await onepull.admin.until(
      async () => refused()?.error,
      (error) => error === 'REGISTRY_UNKNOWN',
    );
  }));
