import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { Clustering } from './clustering.ts';
import { cluster as section, toCluster } from './config/cluster-schema.ts';
import { systemClock } from './core/clock.ts';
import { Channels } from './telemetry/channels.ts';

/** A node, in front of an engine that is not there. `files`: by name, in a folder of their own, which `peer` calls `.`. */
async function opened(
  peer: Readonly<Record<string, unknown>>,
  files: Readonly<Record<string, string>> = {},
  more: Readonly<Record<string, unknown>> = {},
): Promise<Clustering> {
  const folder = await mkdtemp(join(tmpdir(), 'onepull-clustering-'));
  try {
    for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
    const paths: unknown = JSON.parse(JSON.stringify(peer).replaceAll('./', `${folder}/`));
    const config = toCluster(
      section.parse({ engine: 'redis://127.0.0.1:1', peer: { listen: '127.0.0.1:0', ...Object(paths) }, ...more }),
    );
    assert.ok(config);
    const deps = { clock: systemClock, channels: new Channels(), version: '0.0.0', onPauses: () => {} };
    return await Clustering.open(config, deps);
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Whether it was opened or not, nothing is left of it. */
async function tried(...args: Parameters<typeof opened>): Promise<void> {
  await using _ = await opened(...args);
}

describe('what keeps strangers out', () => {
  for (const content of ['', '\n', 'too short\n']) {
    it(`is no file of secrets that holds ${JSON.stringify(content)}`, async () => {
      await assert.rejects(tried({ secretFile: './secret' }, { secret: content }), { code: 'CONFIG_INVALID' });
    });
  }

  it('is no authority that is an empty file', async () => {
    const files = { ca: ' \n', cert: 'x', key: 'x' };
    await assert.rejects(tried({ tls: { ca: './ca', cert: './cert', key: './key' } }, files), {
      code: 'CONFIG_INVALID',
    });
  });
});

it('a node is called by what fits headers and scripts, whatever its name is', async () => {
  await using cluster = await opened({}, {}, { nodeId: `edge "1" \u00e9 ${'x'.repeat(300)}` });
  assert.match(cluster.node.id, /^[\w.-]{1,100}#[0-9a-f]{8}$/);
  assert.match(cluster.node.name, /^edge "1"/);
});
