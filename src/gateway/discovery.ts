import type { Scope } from '../core/scope.ts';
import { abandonable } from '../core/shared-calls.ts';
import type { Depot, ListAnswer } from '../pull/depot.ts';
import { revalidated } from './content-headers.ts';
import type { Exchange } from './exchange.ts';
import { maxPassedOn, withoutNamespace } from './query.ts';
import type { CatalogRoute, ReferrersRoute, TagsRoute } from './route.ts';
import { apiVersion } from './wire-errors.ts';

const catalogEntries = { default: 100, most: 1000 };

/** GET `/v2/<name>/tags/list` (distribution-spec "Listing Tags"). */
export async function serveTags(
  exchange: Exchange,
  route: TagsRoute,
  scope: Scope,
  depot: Pick<Depot, 'tags'>,
): Promise<void> {
  const { signal, trace } = exchange;
  const answer = await abandonable(depot.tags({ scope, query: route.query, trace }, signal), signal);
  sendList(exchange, answer, nextLink(`/v2/${route.name}/tags/list`, answer.nextQuery, route.ns));
}

/** GET `/v2/<name>/referrers/<digest>` (distribution-spec "Listing Referrers"). */
export async function serveReferrers(
  exchange: Exchange,
  route: ReferrersRoute,
  scope: Scope,
  depot: Pick<Depot, 'referrers'>,
): Promise<void> {
  const { signal, trace } = exchange;
  const { digest, query, artifactType } = route;
  const answer = await abandonable(depot.referrers({ scope, digest, query, artifactType, trace }, signal), signal);
  sendList(exchange, answer, nextLink(`/v2/${route.name}/referrers/${digest}`, answer.nextQuery, route.ns));
}

/** GET `/v2/_catalog`: the repositories that have content here. */
export async function serveCatalog(
  exchange: Exchange,
  route: CatalogRoute,
  depot: Pick<Depot, 'repositories'>,
): Promise<void> {
  const limit = Math.min(route.limit ?? catalogEntries.default, catalogEntries.most);
  const { names, more } =
    limit === 0
      ? { names: [], more: false }
      : await abandonable(depot.repositories(route.last, limit), exchange.signal);
  const last = names.at(-1);
  const next = more && last !== undefined ? `n=${limit}&last=${encodeURIComponent(last)}` : undefined;
  const body = Buffer.from(JSON.stringify({ repositories: names }));
  sendJson(exchange, 'application/json', body, ['Link', nextLink('/v2/_catalog', next, undefined)]);
}

function sendList(exchange: Exchange, answer: ListAnswer, link: string | undefined): void {
  exchange.served = answer.served;
  const extra = ['Link', link, 'OCI-Filters-Applied', answer.filtersApplied];
  sendJson(exchange, answer.mediaType, answer.body, extra);
}

/** `extra` is a flat list of headers, of which those without a value are left out. */
function sendJson(exchange: Exchange, type: string, body: Uint8Array, extra: readonly (string | undefined)[]): void {
  const headers = [...apiVersion, 'Content-Type', type, 'Content-Length', String(body.length)];
  headers.push('Cache-Control', revalidated);
  for (let index = 0; index < extra.length; index += 2) {
    const [name, value] = [extra[index], extra[index + 1]];
    if (name !== undefined && value !== undefined) headers.push(name, value);
  }
  exchange.send(200, headers, body);
}

/**
 * The Link to the next page, at ourselves, with the names that the client used. What upstream says of it comes back to
 * upstream as it is; of what is too long to come back, there is no Link.
 */
function nextLink(path: string, nextQuery: string | undefined, ns: string | undefined): string | undefined {
  const query = withoutNamespace(nextQuery ?? '');
  if (query === '' || query.length > maxPassedOn) return undefined;
  const named = ns === undefined ? query : `${query}&ns=${encodeURIComponent(ns)}`;
  return `<${encodeURI(path)}?${named}>; rel="next"`;
}
