import { AppError } from '../core/errors.ts';

/** One address of an upstream. What is learnt about an address (its health, its limits) has its place here. */
export class Endpoint {
  /** Its host, for events and errors. */
  readonly name: string;
  readonly url: URL;
  readonly #base: string;

  constructor(upstream: string, text: string) {
    const url = URL.canParse(text) ? new URL(text) : undefined;
    if (url === undefined || !['http:', 'https:'].includes(url.protocol)) {
      throw new AppError('CONFIG_INVALID', `upstream ${upstream}: an endpoint is no http or https address`);
    }
    if (url.username !== '' || url.password !== '') {
      throw new AppError(
        'CONFIG_INVALID',
        `upstream ${upstream}: credentials do not belong into an endpoint's address`,
      );
    }
    this.name = url.host;
    this.url = url;
    this.#base = `${url.origin}${url.pathname.replace(/\/+$/, '')}`;
  }

  /** The address of a path of the distribution API, such as `/v2/a/tags/list`. */
  resolve(path: string, query = ''): URL {
    const url = new URL(`${this.#base}${path}`);
    url.search = query;
    return url;
  }
}

/** The endpoints of one upstream, and the one place that chooses among them. */
export class Endpoints {
  readonly all: readonly Endpoint[];
  readonly #first: Endpoint;

  constructor(upstream: string, addresses: readonly string[]) {
    this.all = addresses.map((address) => new Endpoint(upstream, address));
    const [first] = this.all;
    if (first === undefined) throw new AppError('CONFIG_INVALID', `upstream ${upstream} has no endpoint`);
    this.#first = first;
  }

  choose(): Endpoint {
    return this.#first;
  }

  /** Whether `url` is of one of the upstream's own origins. */
  own(url: URL): boolean {
    return this.all.some((endpoint) => endpoint.url.origin === url.origin);
  }
}
