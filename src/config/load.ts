import { isLoopback } from '../core/address.ts';
import { clusterNotices } from './cluster-notices.ts';
import { fromText, type Override, readEnvironment } from './environment.ts';
import { checkNamedFiles } from './named-files.ts';
import { settings } from './outline.ts';
import { didYouMean, type Path, type Problem, problemsOf } from './problems.ts';
import { type Config, configSchema } from './schema.ts';
import { redacted, type SettingInForce, settingsInForce } from './settings-in-force.ts';
import { isTree, pathText, removeAt, setAt, type Tree } from './tree.ts';
import { defaultUpstreams } from './upstream-schema.ts';
import { readYamlFile, type YamlFile } from './yaml-file.ts';

export interface ConfigSources {
  /** Path of a YAML file; undefined: none. */
  readonly file?: string | undefined;
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** By the flag's name without dashes, such as `listen`. */
  readonly flags?: Readonly<Record<string, string | undefined>>;
  /** Whether the files that it names are looked at, as they must be where it is to run. `checked` unless told. */
  readonly namedFiles?: 'checked' | 'ignored';
}

export type LoadedConfig =
  | {
      readonly kind: 'config';
      readonly config: Config;
      readonly notices: readonly string[];
      /** The same in the words of the configuration, with who said so; without secrets. */
      readonly settings: readonly SettingInForce[];
    }
  | { readonly kind: 'problems'; readonly problems: readonly Problem[] };

/**
 * The configuration, from the defaults, the file, `ONEPULL_` variables and flags; what comes later overrides. Bad input
 * never throws: every problem is returned, all at once.
 */
export async function loadConfig(sources: ConfigSources): Promise<LoadedConfig> {
  const read = sources.file === undefined ? undefined : await readYamlFile(sources.file);
  if (read !== undefined && read.file === undefined) return { kind: 'problems', problems: read.problems };
  const file = read?.file;
  const tree: Tree = file?.tree ?? {};
  if (!Object.hasOwn(tree, 'upstreams')) tree.upstreams = structuredClone(defaultUpstreams);
  const upstreamNames = isTree(tree.upstreams) ? Object.keys(tree.upstreams) : [];

  const environment = readEnvironment(sources.environment ?? {}, upstreamNames);
  const flags = readFlags(sources.flags ?? {});
  const overrides = [...environment.overrides, ...flags.overrides];
  const writtenBy = apply(tree, overrides);
  const sourceOf = (path: Path) => findSource(path, writtenBy, file);

  const parsed = configSchema.safeParse(tree);
  const files =
    sources.namedFiles === 'ignored' ? { faults: [], notices: [] } : await checkNamedFiles(tree, upstreamNames);
  const problems = [
    ...(read?.problems ?? []),
    ...environment.problems,
    ...flags.problems,
    ...(parsed.success ? [] : problemsOf(parsed.error, sourceOf)),
    ...files.faults.map(({ path, problem, hint }) => ({ path: pathText(path), problem, hint, source: sourceOf(path) })),
  ];
  if (!parsed.success || problems.length > 0) return { kind: 'problems', problems };
  const config: Config = deepFreeze(parsed.data);
  const inForce = settingsInForce(tree, upstreamNames, (path) => writtenBy.get(pathText(path)) ?? file?.locate(path));
  return { kind: 'config', config, notices: [...noticesFor(config), ...files.notices], settings: inForce };
}

/** The configuration for logs: without secrets. */
export function redactedConfig(config: Config): unknown {
  const isSecret = (key: string) => key === 'password' || key === 'secret' || key === 'adminToken';
  const shown = (key: string, value: unknown) => (isSecret(key) && value !== undefined ? redacted : value);
  return JSON.parse(JSON.stringify(config, shown));
}

function readFlags(flags: Readonly<Record<string, string | undefined>>): {
  overrides: Override[];
  problems: Problem[];
} {
  const byFlag = new Map(
    settings().flatMap((setting) => (setting.flag === undefined ? [] : [[setting.flag, setting]])),
  );
  const overrides: Override[] = [];
  const problems: Problem[] = [];
  for (const [flag, text] of Object.entries(flags)) {
    if (text === undefined) continue;
    const source = `--${flag}`;
    const setting = byFlag.get(flag);
    if (setting !== undefined) overrides.push({ setting, path: setting.path, value: fromText(setting, text), source });
    else problems.push({ path: source, problem: 'is not a flag', hint: didYouMean(flag, [...byFlag.keys()]), source });
  }
  return { overrides, problems };
}

/** Sets what the overrides say; returns which source wrote which path. */
function apply(tree: Tree, overrides: readonly Override[]): Map<string, string> {
  // First the clearing, so that rivals which one source sets together are seen, and refused, together.
  for (const { setting, path } of overrides) {
    for (const rival of setting.rivals) removeAt(tree, [...path.slice(0, -1), rival]);
  }
  const writtenBy = new Map<string, string>();
  for (const { path, value, source } of overrides) {
    setAt(tree, path, value);
    writtenBy.set(pathText(path), source);
  }
  return writtenBy;
}

/** Where the nearest thing to `path` was written: itself, else the section or list that it is in. */
function findSource(
  path: Path,
  writtenBy: ReadonlyMap<string, string>,
  file: YamlFile | undefined,
): string | undefined {
  for (let length = path.length; length > 0; length--) {
    const prefix = path.slice(0, length);
    const source = writtenBy.get(pathText(prefix)) ?? file?.locate(prefix);
    if (source !== undefined) return source;
  }
  return undefined;
}

/** What is allowed but an operator should know. */
function noticesFor(config: Config): string[] {
  const notices: string[] = [];
  if (!isLoopback(config.admin.host)) {
    notices.push(
      `admin: ${config.admin.host} can be reached from other machines: who reaches it may look without the token`,
    );
  }
  for (const { name, credentials, endpoints } of config.upstreams) {
    if (credentials !== undefined && endpoints.some((endpoint) => endpoint.startsWith('http:'))) {
      notices.push(`upstreams.${name}: its credentials travel unencrypted, for an endpoint is http`);
    }
  }
  return [...notices, ...clusterNotices(config.cluster)];
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const inner of Object.values(value)) deepFreeze(inner);
  }
  return value;
}
