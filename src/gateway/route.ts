import { type Digest, looksLikeDigest, parseDigest } from '../core/digest.ts';
import { AppError } from '../core/errors.ts';
import { parseReference, type Reference } from '../core/reference.ts';
import { decodePercent, Query } from './query.ts';

/** Which repository a request names: `ns` and `name` as the client wrote them, for the resolver to judge. */
interface Named {
  readonly name: string;
  readonly ns: string | undefined;
}

export type PingRoute = { readonly kind: 'ping' };
export type ManifestRoute = Named & { readonly kind: 'manifest'; readonly reference: Reference };
export type BlobRoute = Named & { readonly kind: 'blob'; readonly digest: Digest };
export type TagsRoute = Named & {
  readonly kind: 'tags';
  /** What goes on to upstream: the client's query without `ns`. */
  readonly query: string;
};
export type ReferrersRoute = Named & {
  readonly kind: 'referrers';
  readonly digest: Digest;
  readonly query: string;
  readonly artifactType: string | undefined;
};
export type CatalogRoute = {
  readonly kind: 'catalog';
  readonly limit: number | undefined;
  readonly last: string | undefined;
};

export type RepositoryRoute = ManifestRoute | BlobRoute | TagsRoute | ReferrersRoute;
export type Route = PingRoute | CatalogRoute | RepositoryRoute;

/** What a request target asks for (distribution-spec "Endpoints"). Throws the AppError that the client is to be told. */
export function routeOf(target: string): Route {
  const { path, query } = splitTarget(target);
  if (path === '/v2/' || path === '/v2') return { kind: 'ping' };
  if (!path.startsWith('/v2/')) throw pathUnknown();
  const segments = path.slice('/v2/'.length).split('/').map(decodeSegment);
  const parameters = new Query(query);
  if (segments.length === 1 && segments[0] === '_catalog') {
    return { kind: 'catalog', limit: parameters.count('n'), last: parameters.first('last') };
  }
  // The endpoint is found from the right end: a repository may itself be called `manifests` or `tags/list`.
  const [last = '', endpoint] = [segments.pop(), segments.pop()];
  const name = segments.join('/');
  if (name === '') throw pathUnknown();
  return repositoryRoute(endpoint, last, { name, ns: parameters.ns() }, parameters);
}

function repositoryRoute(endpoint: string | undefined, last: string, named: Named, query: Query): RepositoryRoute {
  switch (endpoint) {
    case 'manifests':
      return { kind: 'manifest', ...named, reference: manifestReference(last) };
    case 'blobs':
      return { kind: 'blob', ...named, digest: digestOrThrow(last) };
    case 'referrers':
      return {
        kind: 'referrers',
        ...named,
        digest: digestOrThrow(last),
        query: query.passedOn(),
        artifactType: query.only('artifactType'),
      };
    case 'tags':
      if (last !== 'list') throw pathUnknown();
      query.count('n');
      return { kind: 'tags', ...named, query: query.passedOn() };
    default:
      throw pathUnknown();
  }
}

/** A request target in origin form: of an absolute form, what follows the authority, which may hold a password. */
export function originFormOf(target: string): string {
  const { path, query } = splitTarget(target);
  return query === '' ? path : `${path}?${query}`;
}

function splitTarget(target: string): { path: string; query: string } {
  // RFC 9112 section 3.2.2: a server accepts the absolute form too. The authority names no host that we would dial.
  const absolute = /^https?:\/\/[^/?#]*/i.exec(target);
  const origin = absolute === null ? target : target.slice(absolute[0].length);
  const mark = origin.indexOf('?');
  return mark === -1 ? { path: origin, query: '' } : { path: origin.slice(0, mark), query: origin.slice(mark + 1) };
}

/**
 * Decodes one segment, once. What could mean another path to someone who decodes again, or to a file system, is refused
 * here, before anybody has seen it.
 */
function decodeSegment(raw: string): string {
  const segment = decodePercent(raw);
  if (segment === undefined || segment === '' || segment === '.' || segment === '..' || hasForbidden(segment)) {
    throw new AppError('NAME_INVALID', 'the path has a segment that no repository, tag or digest can be', {
      details: {
        hint: 'segments are separated by single slashes and decoded once; no dots-only or control characters',
      },
    });
  }
  return segment;
}

function hasForbidden(segment: string): boolean {
  for (let index = 0; index < segment.length; index++) {
    const code = segment.charCodeAt(index);
    if (code < 0x20 || code === 0x7f || code === 0x2f || code === 0x5c) return true;
  }
  return false;
}

function digestOrThrow(text: string): Digest {
  const digest = parseDigest(text);
  if (digest !== undefined) return digest;
  throw new AppError('DIGEST_INVALID', 'not a digest that can be verified', {
    details: { hint: 'sha256:<64 lowercase hex digits> or sha512:<128 lowercase hex digits>' },
  });
}

/** What is no tag cannot exist upstream, so it is unknown rather than invalid: clients expect 404 (OCI conformance). */
function manifestReference(text: string): Reference {
  const reference = parseReference(text);
  if (reference !== undefined) return reference;
  if (looksLikeDigest(text)) digestOrThrow(text);
  throw new AppError('MANIFEST_UNKNOWN', 'the reference is neither a tag nor a digest', {
    details: { hint: 'a tag has at most 128 of the characters a-z, A-Z, 0-9, "_", "." and "-"' },
  });
}

function pathUnknown(): AppError {
  return new AppError('PATH_UNKNOWN', 'no such endpoint', {
    details: {
      hint: 'GET or HEAD /v2/, /v2/_catalog, /v2/<name>/{manifests,blobs,referrers}/<reference>, /v2/<name>/tags/list',
    },
  });
}
