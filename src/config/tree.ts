/** A configuration as it was written: sections, lists and plain values. */
export type Tree = Record<string, unknown>;

export function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function valueAt(tree: Tree, path: readonly string[]): unknown {
  let value: unknown = tree;
  for (const key of path) value = isTree(value) && Object.hasOwn(value, key) ? value[key] : undefined;
  return value;
}

/** Sets one value, making its sections; does nothing where something else stands in a section's place. */
export function setAt(tree: Tree, path: readonly string[], value: unknown): void {
  let section = tree;
  for (const key of path.slice(0, -1)) {
    if (!Object.hasOwn(section, key) || section[key] === undefined) section[key] = {};
    const next = section[key];
    if (!isTree(next)) return;
    section = next;
  }
  const last = path.at(-1);
  if (last !== undefined) section[last] = value;
}

export function removeAt(tree: Tree, path: readonly string[]): void {
  const section = valueAt(tree, path.slice(0, -1));
  const last = path.at(-1);
  if (last !== undefined && isTree(section)) delete section[last];
}

/** The path as it is shown: `upstreams.docker.io.endpoints[1]`. */
export function pathText(path: readonly (string | number)[]): string {
  let text = '';
  for (const key of path) {
    if (typeof key === 'number') text += `[${key}]`;
    else text += text === '' ? key : `.${key}`;
  }
  return text;
}
