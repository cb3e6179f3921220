import type { AdminRoute } from './route.ts';

export type Found =
  | { readonly kind: 'route'; readonly route: AdminRoute; readonly params: Readonly<Record<string, string>> }
  /** The path is there, for these methods. */
  | { readonly kind: 'method'; readonly allowed: readonly string[] }
  | { readonly kind: 'none' };

interface Pattern {
  readonly segments: readonly string[];
  readonly routes: Map<string, AdminRoute>;
}

/** Finds what a request is for. A path without parameters comes before one with. */
export class RouteTable {
  readonly #fixed = new Map<string, Pattern>();
  readonly #patterns = new Map<string, Pattern>();

  constructor(routes: readonly AdminRoute[]) {
    for (const route of routes) {
      const paths = route.path.includes('/:') ? this.#patterns : this.#fixed;
      const known = paths.get(route.path) ?? { segments: route.path.split('/'), routes: new Map() };
      paths.set(route.path, known);
      if (known.routes.has(route.method)) throw new Error(`two routes for ${route.method} ${route.path}`);
      known.routes.set(route.method, route);
    }
  }

  /** `path` as it came, without its query. */
  find(method: string, path: string): Found {
    const fixed = this.#fixed.get(path);
    if (fixed !== undefined) return found(fixed, method, {});
    const segments = path.split('/');
    for (const pattern of this.#patterns.values()) {
      const params = matched(pattern.segments, segments);
      if (params !== undefined) return found(pattern, method, params);
    }
    return { kind: 'none' };
  }
}

function found({ routes }: Pattern, method: string, params: Readonly<Record<string, string>>): Found {
  const route = routes.get(method === 'HEAD' ? 'GET' : method);
  if (route !== undefined) return { kind: 'route', route, params };
  const allowed = [...routes.keys()].flatMap((each) => (each === 'GET' ? ['GET', 'HEAD'] : [each]));
  return { kind: 'method', allowed };
}

/** The parameters, or undefined: the path is another one, or not well encoded. */
function matched(pattern: readonly string[], segments: readonly string[]): Record<string, string> | undefined {
  if (pattern.length !== segments.length) return undefined;
  const params: Record<string, string> = {};
  for (const [index, wanted] of pattern.entries()) {
    const segment = segments[index] ?? '';
    if (!wanted.startsWith(':')) {
      if (segment !== wanted) return undefined;
      continue;
    }
    const value = decoded(segment);
    if (value === undefined || value === '') return undefined;
    params[wanted.slice(1)] = value;
  }
  return params;
}

function decoded(segment: string): string | undefined {
  try {
    return decodeURIComponent(segment);
  } catch {
    return undefined;
  }
}
