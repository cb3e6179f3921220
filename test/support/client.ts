import { Agent, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import type { Credentials } from '../../src/cli/demo/gatekeeper.ts';
import type { Content } from '../../src/cli/demo/image.ts';
import { type Digest, digestOf } from '../../src/core/digest.ts';
import { manifestMediaTypes } from '../../src/core/media-types.ts';
import type { Gate } from './gate.ts';
import { ReceivedDigest } from './received-digest.ts';
import { RegistrySession } from './registry-session.ts';

export interface PullClientOptions {
  /** containerd's query parameter: the registry that is meant, where the server is a mirror. */
  readonly ns?: string;
  readonly credentials?: Credentials;
  readonly headers?: Readonly<Record<string, string>>;
  /** Asks again where a kept connection closes before the answer begins, as Go's client does. */
  readonly isForgiving?: boolean;
  /** Sockets this client opens at most. */
  readonly maxSockets?: number;
}

export interface ReadOptions {
  /** First byte and, if told, the byte after the last. */
  readonly range?: { readonly start: number; readonly end?: number };
  readonly signal?: AbortSignal;
  /** Reads no faster than this. */
  readonly paceBytesPerSecond?: number;
  /** Stops reading with the chunk that reaches this many bytes, until the gate is released. */
  readonly pauseAt?: { readonly afterBytes: number; readonly gate: Gate };
  /** Closes the connection with the chunk that reaches this many bytes. */
  readonly leaveAfterBytes?: number;
  /** Keep the bytes in `body`; those of an error answer are kept always. */
  readonly keep?: boolean;
  /** The whole content that should arrive: then it is compared instead of hashed, which is much cheaper. */
  readonly expected?: Content | undefined;
}

/** A response as the client saw it. Times are from the moment the request was made, in ms. */
export interface Download {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** `complete`: ended as HTTP says it should. `cut`: the connection closed before. `left`: we closed it. */
  readonly outcome: 'complete' | 'cut' | 'left';
  readonly sizeBytes: number;
  /** The digest of what arrived. */
  readonly digest: Digest;
  readonly body: Buffer;
  readonly headersMs: number;
  readonly firstByteMs: number | undefined;
  readonly totalMs: number;
}

export interface Descriptor {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly size: number;
  readonly platform?: { readonly os: string; readonly architecture: string };
}

/** One client with its own connections. Says what it saw; judges nothing (see `pull` for a client that does). */
export class PullClient implements AsyncDisposable {
  readonly #agent: Agent;
  readonly #session: RegistrySession;
  readonly #options: PullClientOptions;

  /** `origin` as `http://host:port`. */
  constructor(origin: string, options: PullClientOptions = {}) {
    this.#agent = new Agent({ keepAlive: true, maxSockets: options.maxSockets ?? Number.POSITIVE_INFINITY });
    this.#session = new RegistrySession({ agent: this.#agent }, origin, options);
    this.#options = options;
  }

  headManifest(repository: string, reference: string, options: ReadOptions = {}): Promise<Download> {
    return this.#read('HEAD', `${repository}/manifests/${reference}`, options);
  }

  manifest(repository: string, reference: string, options: ReadOptions = {}): Promise<Download> {
    return this.#read('GET', `${repository}/manifests/${reference}`, { ...options, keep: true });
  }

  headBlob(repository: string, digest: string, options: ReadOptions = {}): Promise<Download> {
    return this.#read('HEAD', `${repository}/blobs/${digest}`, options);
  }

  blob(repository: string, digest: string, options: ReadOptions = {}): Promise<Download> {
    return this.#read('GET', `${repository}/blobs/${digest}`, options);
  }

  /** A blob in `parts` ranges at once, as containerd 2.1 fetches a layer. The bytes are put together in `body`. */
  async blobInRanges(repository: string, blob: Descriptor, parts: number): Promise<Download> {
    const each = Math.max(1, Math.ceil(blob.size / parts));
    const starts = Array.from({ length: Math.ceil(blob.size / each) }, (_, n) => n * each);
    const ranges = starts.map((start) => ({ start, end: Math.min(start + each, blob.size) }));
    const downloads = await Promise.all(
      ranges.map((range) => this.blob(repository, blob.digest, { range, keep: true })),
    );
    const [first] = downloads;
    if (first === undefined) return this.blob(repository, blob.digest, { keep: true });
    const body = Buffer.concat(downloads.map((download) => download.body));
    const broken = downloads.find((download) => download.outcome !== 'complete') ?? first;
    const totalMs = Math.max(...downloads.map((download) => download.totalMs));
    return { ...broken, body, sizeBytes: body.length, digest: digestOf(body), totalMs };
  }

  /** Any other GET below `/v2/`, such as `library/app/tags/list?n=2`. */
  get(path: string, options: ReadOptions = {}): Promise<Download> {
    return this.#read('GET', path, { ...options, keep: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#agent.destroy();
  }

  async #read(method: string, path: string, options: ReadOptions): Promise<Download> {
    const startedAt = performance.now();
    const { ns, headers } = this.#options;
    const query = ns === undefined ? '' : `${path.includes('?') ? '&' : '?'}ns=${encodeURIComponent(ns)}`;
    const { range, signal } = options;
    const response = await this.#session.open(method, `/v2/${path}${query}`, {
      headers: {
        accept: path.includes('/manifests/') ? manifestMediaTypes.join(', ') : '*/*',
        ...(range && { range: `bytes=${range.start}-${range.end === undefined ? '' : range.end - 1}` }),
        ...headers,
      },
      ...(signal && { signal }),
    });
    return receive(response, startedAt, options);
  }
}

async function receive(response: IncomingMessage, startedAt: number, options: ReadOptions): Promise<Download> {
  const headersMs = performance.now() - startedAt;
  const status = response.statusCode ?? 0;
  const keep = options.keep === true || status >= 300;
  const kept: Buffer[] = [];
  const received = new ReceivedDigest(options.expected);
  let [sizeBytes, firstByteMs, outcome]: [number, number | undefined, Download['outcome']] = [0, undefined, 'complete'];
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      firstByteMs ??= performance.now() - startedAt;
      sizeBytes += chunk.length;
      received.update(chunk);
      if (keep) kept.push(chunk);
      if (sizeBytes >= (options.leaveAfterBytes ?? Number.POSITIVE_INFINITY)) {
        outcome = 'left';
        break;
      }
      await takeTime(sizeBytes, performance.now() - startedAt - headersMs, options);
    }
  } catch {
    outcome = options.signal?.aborted ? 'left' : 'cut';
  }
  const totalMs = performance.now() - startedAt;
  const digest = received.finish();
  const { headers } = response;
  return { status, headers, outcome, sizeBytes, digest, body: Buffer.concat(kept), headersMs, firstByteMs, totalMs };
}

async function takeTime(sizeBytes: number, elapsedMs: number, options: ReadOptions): Promise<void> {
  const { pauseAt, paceBytesPerSecond, signal } = options;
  if (pauseAt !== undefined && sizeBytes >= pauseAt.afterBytes) await pauseAt.gate.arrive();
  if (paceBytesPerSecond === undefined) return;
  const dueMs = (sizeBytes / paceBytesPerSecond) * 1000 - elapsedMs;
  if (dueMs >= 1) await delay(dueMs, undefined, signal && { signal });
}
