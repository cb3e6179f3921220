import { AppError } from '../core/errors.ts';

/** One address of an upstream. What is learnt about it: `EndpointWatch` (health) and `EndpointGate` (limits). */
export class Endpoint {
  /** Its host, with the path prefix where it has one: for events and errors. Endpoints of equal name are the same. */
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
    const prefix = url.pathname.replace(/\/+$/, '');
    this.name = `${url.host}${prefix}`;
    this.url = url;
    this.#base = `${url.origin}${prefix}`;
  }

  /** The address of a path of the distribution API, such as `/v2/a/tags/list`. */
  resolve(path: string, query = ''): URL {
    const url = new URL(`${this.#base}${path}`);
    url.search = query;
    return url;
  }
}

/** The addresses of one upstream, in order of preference. */
export class Endpoints {
  readonly all: readonly Endpoint[];

  constructor(upstream: string, addresses: readonly string[]) {
    this.all = addresses.map((address) => new Endpoint(upstream, address));
    if (this.all.length === 0) throw new AppError('CONFIG_INVALID', `upstream ${upstream} has no endpoint`);
  }

  /** Whether `url` is of one of the upstream's own origins. */
  own(url: URL): boolean {
    return this.all.some((endpoint) => endpoint.url.origin === url.origin);
  }
}
