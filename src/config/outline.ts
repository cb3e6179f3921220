import { z } from 'zod';
import { configSchema } from './schema.ts';
import type { SettingKind } from './setting.ts';

/** Stands in a path for the name of an upstream. */
export const anyName = '<name>';

/** One key that can be set, as the schema describes it. */
export interface Setting {
  readonly path: readonly string[];
  readonly kind: SettingKind;
  readonly list: boolean;
  /** What may be written, for people. */
  readonly form: string;
  /** As it would be written; undefined where there is none. */
  readonly default: unknown;
  readonly description: string;
  /** The variable that sets it, with `<NAME>` for an upstream's. */
  readonly variable: string;
  readonly flag: string | undefined;
  readonly rivals: readonly string[];
}

export const variablePrefix = 'ONEPULL_';

/** Every setting, in the schema's order. */
export function settings(): readonly Setting[] {
  return [...walk(configSchema, [])];
}

/** The keys that may stand in the section at `path`, an upstream's name included. */
export function keysAt(path: readonly string[]): string[] {
  const generic = genericPath(path);
  const keys = settings()
    .filter((setting) => generic.every((key, index) => setting.path[index] === key))
    .map((setting) => setting.path[generic.length]);
  return [...new Set(keys)].filter((key): key is string => key !== undefined && key !== anyName);
}

/** The path with an upstream's name replaced by `<name>`. */
export function genericPath(path: readonly string[]): string[] {
  return path.map((key, index) => (index === 1 && path[0] === 'upstreams' ? anyName : key));
}

/** The variable's name for a path: `storage.maxSize` is set by `ONEPULL_STORAGE_MAX_SIZE`. */
export function variableFor(path: readonly string[]): string {
  return variablePrefix + path.map(variablePart).join('_');
}

function variablePart(key: string): string {
  if (key === anyName) return '<NAME>';
  return key
    .replaceAll(/([a-z0-9])([A-Z])/g, '$1_$2')
    .toUpperCase()
    .replaceAll(/[^A-Z0-9]/g, '_');
}

function* walk(schema: z.core.$ZodType, path: readonly string[]): Generator<Setting> {
  let [inner, fallback, meta] = [schema, undefined as unknown, { ...z.globalRegistry.get(schema) }];
  for (let next = unwrapped(inner); next !== undefined; next = unwrapped(inner)) {
    if (inner instanceof z.ZodPrefault) fallback ??= inner.def.defaultValue;
    inner = next;
    meta = { ...z.globalRegistry.get(inner), ...meta };
  }
  if (inner instanceof z.ZodObject) {
    for (const [key, value] of Object.entries(inner.shape)) yield* walk(value, [...path, key]);
    return;
  }
  if (inner instanceof z.ZodRecord) {
    yield* walk(inner.valueType, [...path, anyName]);
    return;
  }
  const kind = meta.kind ?? 'text';
  yield {
    path,
    kind,
    list: meta.list === true,
    form: meta.form ?? kind,
    default: fallback,
    description: meta.description ?? '',
    variable: variableFor(path),
    flag: meta.flag,
    rivals: meta.rivals ?? [],
  };
}

/** What a wrapper wraps: defaults, optionals, and the input side of a transformation. */
function unwrapped(schema: z.core.$ZodType): z.core.$ZodType | undefined {
  if (schema instanceof z.ZodPrefault || schema instanceof z.ZodOptional) return schema.def.innerType;
  if (schema instanceof z.ZodPipe) return schema.def.in;
  return undefined;
}
