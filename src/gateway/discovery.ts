import type { Scope } from '../core/scope.ts';
import { abandonable } from '../core/shared-calls.ts';
import type { Depot, ListAnswer } from '../pull/depot.ts';
import { revalidated } from './content-headers.ts';
import type { Exchange } from './exchange.ts';
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
  const { signal } = exchange;
  const answer = await abandonable(depot.tags({ scope, limit: route.limit, last: route.last }, signal), signal);
  sendList(exchange, answer, nextLink(`/v2/${route.name}/tags/list`, answer.nextQuery, ['n', 'last'], route.ns));
}

/** GET `/v2/<name>/referrers/<digest>` (distribution-spec "Listing Referrers"). */
export async function serveReferrers(
  exchange: Exchange,
  route: ReferrersRoute,
  scope: Scope,
  depot: Pick<Depot, 'referrers'>,
): Promise<void> {
  const { signal } = exchange;
  const { digest, artifactType } = route;
  const answer = await abandonable(depot.referrers({ scope, digest, artifactType }, signal), signal);
  sendList(exchange, answer, undefined);
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
  sendJson(exchange, 'application/json', body, ['Link', nextLink('/v2/_catalog', next, ['n', 'last'], undefined)]);
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
 * The Link to the next page, at ourselves, with the names that the client used. `nextQuery` is upstream's, so it is made
 * safe for a header; and where it holds a parameter that we would not understand when it came back, there is no Link:
 * a client that followed it would get the same page for ever.
 */
function nextLink(
  path: string,
  nextQuery: string | undefined,
  understood: readonly string[],
  ns: string | undefined,
): string | undefined {
  if (nextQuery === undefined || nextQuery === '') return undefined;
  const pairs: string[] = [];
  for (const pair of nextQuery.split('&')) {
    const key = pair.split('=', 1)[0] ?? '';
    if (key === 'ns') continue;
    if (!understood.includes(key)) return undefined;
    pairs.push(pair.replaceAll(/[^A-Za-z0-9\-._~%=!$'()*+,;:@/?]/gu, encodeURIComponent));
  }
  if (ns !== undefined) pairs.push(`ns=${encodeURIComponent(ns)}`);
  return `<${encodeURI(path)}?${pairs.join('&')}>; rel="next"`;
}
