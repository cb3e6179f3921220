import { anyName, settings } from './outline.ts';
import { pathText, type Tree, valueAt } from './tree.ts';

/** One setting as it is in force, in the words of the configuration. */
export interface SettingInForce {
  /** The key: `upstreams.docker.io.tagTtl`. */
  readonly path: string;
  /** As it is written; `[redacted]` for a secret. Left out: it is not set, and has no default. */
  readonly value?: string | number | boolean | readonly string[];
  /** Who says so: `default`, `file:line:column`, a variable, a flag. */
  readonly source: string;
  readonly description: string;
}

export const redacted = '[redacted]';

/** Every setting, those of each upstream by its name. `sourceOf` says where exactly this path was written. */
export function settingsInForce(
  tree: Tree,
  upstreamNames: readonly string[],
  sourceOf: (path: readonly string[]) => string | undefined,
): SettingInForce[] {
  const all = settings().flatMap((setting) => {
    const names = setting.path.includes(anyName) ? upstreamNames : [''];
    return names.map((name) => ({ setting, path: setting.path.map((key) => (key === anyName ? name : key)) }));
  });
  return all.map(({ setting: { kind, default: fallback, description }, path }) => {
    const written = valueAt(tree, path);
    const source = (written === undefined ? undefined : sourceOf(path)) ?? 'default';
    const value = plain(written !== undefined && kind === 'secret' ? redacted : (written ?? fallback));
    return { path: pathText(path), ...(value === undefined ? {} : { value }), source, description };
  });
}

function plain(value: unknown): SettingInForce['value'] {
  if (Array.isArray(value)) return value.map(String);
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? value : undefined;
}
