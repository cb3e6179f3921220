import type { CachedRegistry } from './cache-facts.ts';

/** A setting as `GET /api/v1/settings` has it: by its path in the configuration. */
export interface SettingValue {
  readonly path: string;
  readonly value?: unknown;
}

/** The registries among the settings in force. A lone one is the default by itself. */
export function registriesIn(settings: readonly SettingValue[]): CachedRegistry[] {
  const found = new Map<string, { endpoints: string[]; isDefault: boolean }>();
  for (const { path, value } of settings) {
    const [, name, key] = /^upstreams\.(.+)\.(url|endpoints|default)$/.exec(path) ?? [];
    if (name === undefined) continue;
    const registry = found.get(name) ?? { endpoints: [], isDefault: false };
    found.set(name, registry);
    if (key === 'default') registry.isDefault = value === true;
    else if (typeof value === 'string') registry.endpoints.push(value);
    else if (Array.isArray(value)) registry.endpoints.push(...value.map(String));
  }
  return [...found].map(([name, { endpoints, isDefault }]) => ({
    name,
    endpoints,
    isDefault: isDefault || found.size === 1,
  }));
}
