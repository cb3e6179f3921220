import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { command } from '../support/command.ts';
import { TemporaryDirectory } from '../support/loopback.ts';

const readme = await readFile(new URL('../../README.md', import.meta.url), 'utf8');

for (const [client, language] of [
  ['containerd', 'toml'],
  ['docker', 'json'],
  ['podman', 'toml'],
  ['crio', 'toml'],
  ['k3s', 'yaml'],
] as const) {
  test(`README configures ${client} as the command does`, async () => {
    await using folder = await TemporaryDirectory.make();
    const file = join(folder.path, 'onepull.yaml');
    await writeFile(file, 'listen: 0.0.0.0:5000\n');
    const registries = ['--registry', 'docker.io', '--registry', 'ghcr.io'];
    const flags = ['--config', file, '--address', 'cache.example:5000', ...registries];
    const { code, stdout, stderr } = await command(['clients', client, ...flags]);
    assert.equal(code, 0, stderr);
    assert.ok(readme.includes(`\`\`\`${language}\n${stdout}\n\`\`\`\n`), `README does not have:\n${stdout}`);
  });
}
