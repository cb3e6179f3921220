import type { Clock } from '../core/clock.ts';
import { type Digest, parseDigest } from '../core/digest.ts';
import { AppError } from '../core/errors.ts';
import { bareMediaType } from '../core/media-types.ts';
import type { Channels } from '../telemetry/channels.ts';
import { answeredError, readDocument } from './document.ts';
import { contentLengthOf } from './exchange.ts';
import { nextPageQuery } from './link-header.ts';
import type { UpstreamList, UpstreamManifest, UpstreamManifestHead } from './registry-answers.ts';
import type { TransportResponse } from './transport.ts';
import { invalidError, type ResponseHeaders } from './upstream-errors.ts';

const maxListBytes = 8 * 1024 * 1024;

/** What upstream's answers mean. Whatever is thrown here has freed the connection. */
export class AnswerReader {
  readonly #clock: Clock;
  readonly #channels: Channels;
  readonly #options: { readonly name: string; readonly headersTimeoutMs: number };

  constructor(
    deps: { clock: Clock; channels: Channels },
    options: { readonly name: string; readonly headersTimeoutMs: number },
  ) {
    this.#clock = deps.clock;
    this.#channels = deps.channels;
    this.#options = options;
  }

  /** The response, if it is content in the form that was asked for. */
  async succeeded(response: TransportResponse): Promise<TransportResponse> {
    if (response.status !== 200 && response.status !== 206) {
      throw await answeredError(response, this.#clock, this.#options.headersTimeoutMs);
    }
    const encoding = response.headers['content-encoding'];
    if (encoding === undefined || String(encoding).toLowerCase() === 'identity') return response;
    response.body.discard();
    throw invalidError(response.context, 'sent encoded content that was not asked for');
  }

  async manifest(answer: TransportResponse, maxBytes: number): Promise<UpstreamManifest> {
    const response = await this.succeeded(answer);
    const mediaType = documentType(response);
    const { name } = this.#options;
    const tooLarge = () =>
      new AppError('MANIFEST_TOO_LARGE', `upstream ${name} sent a manifest of more than ${maxBytes} bytes`);
    const bytes = await this.#document(response, maxBytes, tooLarge);
    return { digest: contentDigest(response.headers), mediaType, bytes };
  }

  async manifestHead(answer: TransportResponse): Promise<UpstreamManifestHead> {
    const response = await this.succeeded(answer);
    response.body.discard();
    const { headers } = response;
    return {
      digest: contentDigest(headers),
      mediaType: documentType(response),
      sizeBytes: contentLengthOf(headers),
    };
  }

  async list(answer: TransportResponse): Promise<UpstreamList> {
    const response = await this.succeeded(answer);
    const mediaType = documentType(response);
    const tooLarge = () => invalidError(response.context, `sent a list of more than ${maxListBytes} bytes`);
    const body = await this.#document(response, maxListBytes, tooLarge);
    return { body, mediaType, nextQuery: nextPageQuery(response.headers.link) };
  }

  async #document(response: TransportResponse, maxBytes: number, tooLarge: () => AppError): Promise<Uint8Array> {
    const { upstreamBytes } = this.#channels;
    response.body.countWith((bytes) => upstreamBytes.publish({ upstream: this.#options.name, bytes }));
    const deadlineMs = this.#options.headersTimeoutMs;
    return readDocument(response, { clock: this.#clock, deadlineMs, maxBytes, tooLarge });
  }
}

export function mediaTypeOf(headers: ResponseHeaders): string | undefined {
  const header = headers['content-type'];
  const mediaType = typeof header === 'string' ? bareMediaType(header) : '';
  return mediaType === '' ? undefined : mediaType;
}

/** The media type of a document. A web page is none, whatever its status says. */
function documentType(response: TransportResponse): string {
  const mediaType = mediaTypeOf(response.headers) ?? 'application/octet-stream';
  if (mediaType !== 'text/html' && response.status === 200) return mediaType;
  response.body.discard();
  throw invalidError(response.context, mediaType === 'text/html' ? 'answered with a web page' : 'answered in part');
}

function contentDigest(headers: ResponseHeaders): Digest | undefined {
  const header = headers['docker-content-digest'];
  return typeof header === 'string' ? parseDigest(header.trim()) : undefined;
}
