import type { Clock } from '../core/clock.ts';
import { AppError } from '../core/errors.ts';
import { referenceText } from '../core/reference.ts';
import type { Depot, NameResolver } from '../pull/depot.ts';
import { serveBlob } from './blobs.ts';
import type { BlockReads } from './blocks/block-reads.ts';
import { revalidated } from './content-headers.ts';
import { serveCatalog, serveReferrers, serveTags } from './discovery.ts';
import type { Exchange } from './exchange.ts';
import type { Hits } from './hits/hit-depot.ts';
import { serveManifest } from './manifests.ts';
import { type RepositoryRoute, routeOf } from './route.ts';
import type { SharedReads } from './shared-reads.ts';
import { apiVersion } from './wire-errors.ts';

export interface RequestHandlerDeps {
  readonly depot: Depot;
  readonly hits?: Hits;
  readonly names: NameResolver;
  readonly reads: SharedReads;
  readonly blocks?: BlockReads | undefined;
  readonly clock: Clock;
}

const pingBody = Buffer.from('{}');
const pingHeaders: string[] = [
  ...apiVersion,
  'Content-Type',
  'application/json',
  'Content-Length',
  String(pingBody.length),
  'Cache-Control',
  revalidated,
];

const pushMethods: readonly string[] = ['POST', 'PUT', 'PATCH', 'DELETE'];

/** Finds what a request wants and has it served. Whatever goes wrong ends in `exchange.fail`. */
export class RequestHandler {
  readonly #deps: RequestHandlerDeps;

  constructor(deps: RequestHandlerDeps) {
    this.#deps = deps;
  }

  handle(exchange: Exchange): void {
    try {
      this.#serve(exchange)?.catch((error) => exchange.fail(error));
    } catch (error) {
      exchange.fail(error);
    }
  }

  /** What is there is sent before this returns. */
  #serve(exchange: Exchange): Promise<void> | undefined {
    const { request } = exchange;
    checkMethod(request.method ?? '');
    if (request.headers.host === undefined && request.httpVersion === '1.1') {
      // RFC 9112 section 3.2
      throw new AppError('REQUEST_MALFORMED', 'an HTTP/1.1 request needs a Host header');
    }
    const route = routeOf(request.url ?? '');
    exchange.route = route.kind;
    if (route.kind === 'ping') {
      exchange.send(200, pingHeaders, pingBody);
      return undefined;
    }
    if (route.kind === 'catalog') return serveCatalog(exchange, route, this.#deps.depot);
    return this.#serveRepository(exchange, route);
  }

  #serveRepository(exchange: Exchange, route: RepositoryRoute): Promise<void> | undefined {
    const { depot, names } = this.#deps;
    const scope = names.resolve(route.ns, route.name);
    exchange.scope = scope;
    switch (route.kind) {
      case 'manifest':
        exchange.reference = referenceText(route.reference);
        return serveManifest(exchange, route, scope, this.#deps);
      case 'blob':
        exchange.reference = route.digest;
        return serveBlob(exchange, route, scope, this.#deps);
      case 'tags':
        return serveTags(exchange, route, scope, depot);
      case 'referrers':
        exchange.reference = route.digest;
        return serveReferrers(exchange, route, scope, depot);
    }
  }
}

function checkMethod(method: string): void {
  if (method === 'GET' || method === 'HEAD') return;
  if (!pushMethods.includes(method)) throw new AppError('METHOD_UNSUPPORTED', 'only GET and HEAD are served');
  throw new AppError('METHOD_UNSUPPORTED', 'this is a pull-through cache: it takes no pushes and deletes nothing', {
    details: { hint: 'push to the upstream registry itself' },
  });
}
