import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { type ConfigSources, type LoadedConfig, loadConfig } from '../load.ts';
import { type Problem, problemText } from '../problems.ts';
import type { Config } from '../schema.ts';

/** Writes files into a folder of the test's own and returns it. */
export async function folderWith(context: TestContext, files: Readonly<Record<string, string>>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'onepull-config-'));
  context.after(() => rm(folder, { recursive: true }));
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content);
  return folder;
}

/** Loads `yaml` as a file named `onepull.yaml`, with what else is given. */
export async function loadYaml(context: TestContext, yaml: string, more: ConfigSources = {}): Promise<LoadedConfig> {
  const folder = await folderWith(context, { 'onepull.yaml': yaml });
  return loadConfig({ file: join(folder, 'onepull.yaml'), ...more });
}

export function configOf(loaded: LoadedConfig): Config {
  if (loaded.kind === 'config') return loaded.config;
  throw new Error(`expected a configuration, got:\n${loaded.problems.map(problemText).join('\n')}`);
}

export function problemsIn(loaded: LoadedConfig): readonly Problem[] {
  if (loaded.kind === 'problems') return loaded.problems;
  throw new Error('expected problems, got a configuration');
}
