import { type Digest, parseDigest } from '../../core/digest.ts';

export type RequestKind = 'ping' | 'token' | 'manifest' | 'blob' | 'tags' | 'referrers' | 'other';

/** What a request asks for, read off its URL alone. */
export interface Route {
  readonly kind: RequestKind;
  readonly repository: string;
  /** A tag or a digest. */
  readonly reference: string;
  readonly digest: Digest | undefined;
  readonly query: URLSearchParams;
}

const endpoint = /^\/v2\/(.+)\/(manifests|blobs|referrers)\/([^/]+)$/;
const tagsList = /^\/v2\/(.+)\/tags\/list$/;
const kinds: Readonly<Record<string, RequestKind>> = { manifests: 'manifest', blobs: 'blob', referrers: 'referrers' };

export function routeOf(url: string): Route {
  const [path = '', search = ''] = url.split('?', 2);
  const route = (kind: RequestKind, repository = '', reference = ''): Route => {
    return { kind, repository, reference, digest: parseDigest(reference), query: new URLSearchParams(search) };
  };
  if (path === '/v2/' || path === '/v2') return route('ping');
  if (path === '/token') return route('token');
  const tags = tagsList.exec(path);
  if (tags !== null) return route('tags', tags[1]);
  const [, repository, group = '', reference = ''] = endpoint.exec(path) ?? [];
  if (repository === undefined || reference === 'uploads') return route('other', '', path);
  return route(kinds[group] ?? 'other', repository, decodeURIComponent(reference));
}
