import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildImage, type Content } from '../../src/cli/demo/image.ts';
import { cannotMount, SmallDisk } from '../../src/store/testing/small-disk.ts';
import { run } from '../support/child.ts';
import { PullClient } from '../support/client.ts';
import { Leaks } from '../support/leaks.ts';
import { freePort, untilUp } from '../support/loopback.ts';
import { OnepullProcess } from '../support/onepull-process.ts';
import { ScriptedRegistry } from '../support/scripted-registry.ts';
import { assertWhole } from './world.ts';

const program = new URL('../../bin/onepull', import.meta.url).pathname;
const repository = 'org/app';
const MB = 1_000_000;
const image = buildImage({ seed: 'full start', layerSizes: [2 * MB, 5 * MB, 3 * MB] });
// Neither of those that are missed would fit if all left that could.
const [kept, missing, other] = image.layers as [Content, Content, Content];
const options = { skip: await cannotMount() };

for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
  test(
    `a restart by ${signal} on a full disk is no outage: hits are served, misses go through memory`,
    options,
    async () => {
      const leaks = await Leaks.watch();
      {
        await using disk = await SmallDisk.mount(24 * 2 ** 20);
        await using registry = await ScriptedRegistry.start();
        registry.content.add(repository, image, 'v1');
        await using onepull = await OnepullProcess.start({
          storage: { path: `${disk.path}/data`, minFree: '0' },
          upstreams: { 'demo.example': { url: registry.url, default: true, tagTtl: '1h' } },
        });
        {
          await using client = new PullClient(onepull.url);
          assert.equal((await client.manifest(repository, 'v1')).status, 200);
          assertWhole(await client.blob(repository, kept.digest), kept);
          await disk.fillToTheBrim();
          await onepull.restart(signal);
        }
        registry.tally.reset();
        await using client = new PullClient(onepull.url);
        assert.equal((await client.manifest(repository, 'v1')).status, 200);
        assertWhole(await client.blob(repository, kept.digest), kept);
        assert.equal(registry.tally.bytesSent(), 0, 'what it has comes from the disk');
        assertWhole(await client.blob(repository, missing.digest), missing);
        assertWhole(await client.blob(repository, other.digest), other);
        assert.ok((await onepull.admin.metric('onepull_passed_through_total', { cause: 'disk-full' })) >= 1);
        assert.equal((await onepull.admin.get('/readyz')).status, 200);

        await disk.empty();
        await untilUp(async () => {
          assertWhole(await client.blob(repository, missing.digest), missing);
          registry.tally.reset();
          assertWhole(await client.blob(repository, missing.digest), missing);
          return registry.tally.bytesSent() === 0;
        }, 'content that is kept again');
        await onepull.admin.assertIdle();
        assert.doesNotMatch(JSON.stringify(onepull.log), /INTERNAL/);
      }
      await leaks.assertNone();
    },
  );
}

test('a start on a disk that can only be read is refused in one line that says what to do', options, async () => {
  await using disk = await SmallDisk.mount(2 ** 20);
  await disk.makeReadOnly();
  const [listen, admin] = [`127.0.0.1:${await freePort()}`, `127.0.0.1:${await freePort()}`];
  const flags = ['--listen', listen, '--admin', admin, '--storage', disk.path];
  const { code, stderr } = await run(program, ['serve', ...flags]);
  assert.equal(code, 1);
  assert.match(
    stderr,
    /^onepull: cannot use the data directory \S+: read-only file system; mount [^\n]+ storage\.path [^\n]+$/,
  );
});
