import type { LookupFunction } from 'node:net';
import type { Clock } from '../core/clock.ts';
import { type Digest, parseDigest } from '../core/digest.ts';
import { AppError, asAppError } from '../core/errors.ts';
import { bareMediaType, ociIndex } from '../core/media-types.ts';
import type { RepositoryName } from '../core/repository-name.ts';
import type { Source, SourceBody, SourceRequest } from '../flights/source.ts';
import type { Channels, UpstreamRequestKind } from '../telemetry/channels.ts';
import { Authorizer } from './authorizer.ts';
import { toSourceBody } from './blob-answer.ts';
import { Connections, type Lane } from './connections.ts';
import type { CredentialProvider } from './credentials.ts';
import { answeredError, readDocument } from './document.ts';
import { Endpoints } from './endpoint.ts';
import { contentLengthOf } from './exchange.ts';
import { nextPageQuery } from './link-header.ts';
import { publishRateLimit } from './rate-limit.ts';
import type {
  UpstreamBlobHead,
  UpstreamList,
  UpstreamManifest,
  UpstreamManifestHead,
  UpstreamReferrers,
} from './registry-answers.ts';
import { TokenSource } from './token-source.ts';
import { Transport, type TransportResponse } from './transport.ts';
import { cancelled, invalidError, type ResponseHeaders } from './upstream-errors.ts';
import { type ResolvedUpstreamOptions, type UpstreamOptions, withDefaults } from './upstream-options.ts';

export interface RegistryClientDeps {
  readonly clock: Clock;
  readonly channels: Channels;
  readonly credentials: CredentialProvider;
  /** How names become addresses; default: the system's resolver. */
  readonly lookup?: LookupFunction | undefined;
}

/** A blob at one endpoint: as a flight's source, but for what a flight calls it by. `name` is the endpoint's. */
export type BlobSource = Pick<Source, 'name' | 'standing' | 'open' | 'discredit'>;

interface Ask {
  readonly kind: UpstreamRequestKind;
  readonly method: 'GET' | 'HEAD';
  readonly repository: RepositoryName;
  /** What follows `/v2/<repository>/`. */
  readonly path: string;
  readonly query?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly lane?: Lane;
}

const maxListBytes = 8 * 1024 * 1024;
const withoutHead: readonly number[] = [405, 501];
const lacking: readonly number[] = [404, 405, 410, 501];

/**
 * The distribution API of one upstream. One attempt per call: the only thing tried twice is a request that upstream
 * wants authorised. Every call rejects with an `AppError` that says what upstream said, or what failed on the way.
 */
export class RegistryClient implements AsyncDisposable {
  readonly name: string;
  readonly #clock: Clock;
  readonly #channels: Channels;
  readonly #options: ResolvedUpstreamOptions;
  readonly #endpoints: Endpoints;
  readonly #connections: Connections;
  readonly #transport: Transport;
  readonly #tokens: TokenSource;
  readonly #authorizer: Authorizer;

  constructor(deps: RegistryClientDeps, options: UpstreamOptions) {
    const { clock, channels, credentials } = deps;
    this.name = options.name;
    this.#clock = clock;
    this.#channels = channels;
    this.#options = withDefaults(options);
    const endpoints = new Endpoints(options.name, options.endpoints);
    const connections = new Connections({ endpoints, lookup: deps.lookup }, this.#options);
    const transport = new Transport({ clock, channels, connections, endpoints }, this.#options);
    this.#endpoints = endpoints;
    this.#connections = connections;
    this.#transport = transport;
    this.#tokens = new TokenSource({ clock, channels, transport }, this.#options);
    this.#authorizer = new Authorizer({ credentials, tokens: this.#tokens }, this.#options);
  }

  async getManifest(
    repository: RepositoryName,
    reference: string,
    accept: string,
    maxBytes: number,
    signal: AbortSignal,
  ): Promise<UpstreamManifest> {
    const path = `manifests/${pathSegment(reference)}`;
    const response = await this.#ok({ kind: 'manifest', method: 'GET', repository, path, headers: { accept } }, signal);
    const mediaType = this.#documentType(response);
    const tooLarge = () =>
      new AppError('MANIFEST_TOO_LARGE', `upstream ${this.name} sent a manifest of more than ${maxBytes} bytes`);
    const bytes = await this.#document(response, maxBytes, tooLarge);
    return { digest: contentDigest(response.headers), mediaType, bytes };
  }

  /** Undefined where upstream does not do HEAD: that says nothing of the manifest. */
  async headManifest(
    repository: RepositoryName,
    reference: string,
    accept: string,
    signal: AbortSignal,
  ): Promise<UpstreamManifestHead | undefined> {
    const path = `manifests/${pathSegment(reference)}`;
    const answer = await this.#send(
      { kind: 'manifest', method: 'HEAD', repository, path, headers: { accept } },
      signal,
    );
    if (withoutHead.includes(answer.status)) {
      answer.body.discard();
      return undefined;
    }
    const response = await this.#succeeded(answer);
    response.body.discard();
    const { headers } = response;
    return {
      digest: contentDigest(headers),
      mediaType: this.#documentType(response),
      sizeBytes: contentLengthOf(headers),
    };
  }

  async headBlob(repository: RepositoryName, digest: Digest, signal: AbortSignal): Promise<UpstreamBlobHead> {
    const ask: Ask = { kind: 'blob', method: 'HEAD', repository, path: `blobs/${digest}` };
    const response = await this.#send(ask, signal);
    // A storage service that was asked to allow a GET refuses a HEAD.
    const unsupported =
      withoutHead.includes(response.status) || (!response.own && [400, 403].includes(response.status));
    if (!unsupported) {
      const { headers, body } = await this.#succeeded(response);
      body.discard();
      return { sizeBytes: contentLengthOf(headers), mediaType: mediaTypeOf(headers) };
    }
    response.body.discard();
    const answer = await this.#ok({ ...ask, method: 'GET', headers: { range: 'bytes=0-0' } }, signal);
    const { blobSizeBytes } = toSourceBody(answer, 0, 1);
    answer.body.discard();
    return { sizeBytes: blobSizeBytes, mediaType: mediaTypeOf(answer.headers) };
  }

  blobSources(repository: RepositoryName, digest: Digest): readonly BlobSource[] {
    return [
      {
        name: this.#endpoints.choose().name,
        standing: () => ({ restMs: 0, restReason: undefined, cost: 0, hasRoom: true }),
        open: (request, signal) => this.#openBlob(repository, digest, request, signal),
        discredit: () => {},
      },
    ];
  }

  /**
   * Opens the blob's bytes from `start` to `end` (excluded; undefined: to the last). The body holds a connection until
   * it is read to its end, its loop is left, or `signal` aborts.
   */
  async #openBlob(
    repository: RepositoryName,
    digest: Digest,
    { start, end }: SourceRequest,
    signal: AbortSignal,
  ): Promise<SourceBody> {
    if (end !== undefined && end <= start) throw new RangeError(`no bytes between ${start} and ${end}`);
    const whole = start === 0 && end === undefined;
    const headers = whole ? {} : { range: `bytes=${start}-${end === undefined ? '' : end - 1}` };
    const ask: Ask = { kind: 'blob', method: 'GET', repository, path: `blobs/${digest}`, headers, lane: 'bulk' };
    const response = await this.#ok(ask, signal);
    this.#count(response);
    return toSourceBody(response, start, end);
  }

  /** `query` goes to upstream as it is: registries page with parameters of their own. */
  async listTags(repository: RepositoryName, query: string, signal: AbortSignal): Promise<UpstreamList> {
    const response = await this.#ok({ kind: 'tags', method: 'GET', repository, path: 'tags/list', query }, signal);
    return this.#list(response);
  }

  /** Undefined where upstream has no referrers API (distribution-spec "Listing Referrers"). */
  async referrers(
    repository: RepositoryName,
    digest: Digest,
    query: string,
    signal: AbortSignal,
  ): Promise<UpstreamReferrers | undefined> {
    const headers = { accept: ociIndex };
    const ask: Ask = { kind: 'referrers', method: 'GET', repository, path: `referrers/${digest}`, query, headers };
    const response = await this.#send(ask, signal);
    const isIndex = mediaTypeOf(response.headers) === ociIndex;
    if (lacking.includes(response.status) || (response.status === 200 && !isIndex)) {
      response.body.discard();
      return undefined;
    }
    const filters = response.headers['oci-filters-applied'];
    const list = await this.#list(await this.#succeeded(response));
    return { ...list, filtersApplied: typeof filters === 'string' ? filters : undefined };
  }

  /** Ends every transfer. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#tokens[Symbol.dispose]();
    await this.#connections[Symbol.asyncDispose]();
  }

  async #ok(ask: Ask, signal: AbortSignal): Promise<TransportResponse> {
    return this.#succeeded(await this.#send(ask, signal));
  }

  async #send(ask: Ask, signal: AbortSignal): Promise<TransportResponse> {
    try {
      return await this.#sendAuthorized(ask, signal);
    } catch (error) {
      throw signal.aborted ? cancelled(signal) : asAppError(error);
    }
  }

  /** Sends, authorised as the repository last asked for, and once more if upstream wants it otherwise. */
  async #sendAuthorized(ask: Ask, signal: AbortSignal): Promise<TransportResponse> {
    const endpoint = this.#endpoints.choose();
    const send = (header: string | undefined) => {
      const headers = { ...ask.headers, ...(header === undefined ? {} : { authorization: header }) };
      const url = endpoint.resolve(`/v2/${ask.repository}/${ask.path}`, ask.query);
      return this.#transport.send({ ...ask, lane: ask.lane ?? 'control', endpoint, url, headers }, signal);
    };
    const authorization = await this.#authorizer.remembered(endpoint, ask.repository, signal);
    const response = await send(authorization?.header);
    publishRateLimit(this.#channels, this.name, response.headers);
    if (response.status !== 401 || !response.own) return response;
    authorization?.refused();
    try {
      const better = await this.#authorizer.answer(endpoint, ask.repository, response.headers, signal);
      if (better === undefined) return response;
      response.body.discard();
      const second = await send(better.header);
      publishRateLimit(this.#channels, this.name, second.headers);
      if (second.status === 401) better.refused();
      return second;
    } catch (error) {
      response.body.discard();
      throw error;
    }
  }

  /** The response, if it is content in the form that was asked for. */
  async #succeeded(response: TransportResponse): Promise<TransportResponse> {
    if (response.status !== 200 && response.status !== 206) {
      throw await answeredError(response, this.#clock, this.#options.headersTimeoutMs);
    }
    const encoding = response.headers['content-encoding'];
    if (encoding === undefined || String(encoding).toLowerCase() === 'identity') return response;
    response.body.discard();
    throw invalidError(response.context, 'sent encoded content that was not asked for');
  }

  /** The media type of a document. A web page is none, whatever its status says. */
  #documentType(response: TransportResponse): string {
    const mediaType = mediaTypeOf(response.headers) ?? 'application/octet-stream';
    if (mediaType !== 'text/html' && response.status === 200) return mediaType;
    response.body.discard();
    throw invalidError(response.context, mediaType === 'text/html' ? 'answered with a web page' : 'answered in part');
  }

  async #list(response: TransportResponse): Promise<UpstreamList> {
    const mediaType = this.#documentType(response);
    const tooLarge = () => invalidError(response.context, `sent a list of more than ${maxListBytes} bytes`);
    const body = await this.#document(response, maxListBytes, tooLarge);
    return { body, mediaType, nextQuery: nextPageQuery(response.headers.link) };
  }

  async #document(response: TransportResponse, maxBytes: number, tooLarge: () => AppError): Promise<Uint8Array> {
    this.#count(response);
    const deadlineMs = this.#options.headersTimeoutMs;
    return readDocument(response, { clock: this.#clock, deadlineMs, maxBytes, tooLarge });
  }

  #count(response: TransportResponse): void {
    const { upstreamBytes } = this.#channels;
    response.body.countWith((bytes) => upstreamBytes.publish({ upstream: this.name, bytes }));
  }
}

function contentDigest(headers: ResponseHeaders): Digest | undefined {
  const header = headers['docker-content-digest'];
  return typeof header === 'string' ? parseDigest(header.trim()) : undefined;
}

function mediaTypeOf(headers: ResponseHeaders): string | undefined {
  const header = headers['content-type'];
  const mediaType = typeof header === 'string' ? bareMediaType(header) : '';
  return mediaType === '' ? undefined : mediaType;
}

/** A tag or digest inside a path: `:` may stand there as it is. */
function pathSegment(reference: string): string {
  return encodeURIComponent(reference).replaceAll('%3A', ':');
}
