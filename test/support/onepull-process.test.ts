import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { buildImage } from '../../src/cli/demo/image.ts';
import { DemoRegistry } from '../../src/cli/demo/registry.ts';
import { Leaks } from './leaks.ts';
import { OnepullProcess } from './onepull-process.ts';
import { pull } from './pull.ts';

test('onepull is started, killed, started again on the same ports and data, ended', async () => {
  const leaks = await Leaks.watch();
  let dataFolder: string;
  {
    const image = buildImage({ seed: 'process', layerSizes: [50_000] });
    await using registry = await DemoRegistry.start();
    registry.content.add('org/app', image, 'v1');
    await using onepull = await OnepullProcess.start({
      upstreams: { 'demo.example': { url: registry.url, default: true } },
    });
    const { host, pid } = onepull;
    dataFolder = onepull.dataFolder;
    assert.equal((await pull(onepull.url, 'org/app', 'v1')).totalBytes, image.totalBytes);
    assert.ok((await onepull.admin.metric('onepull_upstream_bytes_total')) >= image.totalBytes);
    assert.deepEqual(await onepull.killHard(), { code: null, signal: 'SIGKILL' });
    await onepull.startAgain();
    assert.equal(onepull.host, host);
    assert.notEqual(onepull.pid, pid);
    assert.ok(existsSync(dataFolder));
    assert.equal(onepull.log.filter((line) => line.event === 'listening').length, 2);
    assert.deepEqual(await onepull.terminate(), { code: 0, signal: null });
  }
  assert.ok(!existsSync(dataFolder));
  await leaks.assertNone();
});

test('a configuration that is refused is an error with what onepull said', async () => {
  await assert.rejects(OnepullProcess.start({ storage: { maxSize: 'plenty' } }), /maxSize/);
});
