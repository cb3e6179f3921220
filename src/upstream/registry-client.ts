import type { LookupFunction } from 'node:net';
import type { Clock } from '../core/clock.ts';
import type { Digest } from '../core/digest.ts';
import { AppError, asAppError } from '../core/errors.ts';
import { ociIndex } from '../core/media-types.ts';
import type { RepositoryName } from '../core/repository-name.ts';
import type { Tracing } from '../core/tracing.ts';
import type { Source } from '../flights/source.ts';
import { earnHedge, fullBudget, hedgeDelayMs, spendHedge } from '../routing/hedge-policy.ts';
import type { Channels, RetryEvent } from '../telemetry/channels.ts';
import { AnswerReader, mediaTypeOf } from './answer-reader.ts';
import { Authorizer } from './authorizer.ts';
import { toSourceBody } from './blob-answer.ts';
import { Connections } from './connections.ts';
import type { CredentialProvider } from './credentials.ts';
import { Endpoints } from './endpoint.ts';
import { endpointBlob } from './endpoint-blob.ts';
import { EndpointChoice } from './endpoint-choice.ts';
import { type Ask, EndpointClient } from './endpoint-client.ts';
import { EndpointGate } from './endpoint-gate.ts';
import { probeEndpoint } from './endpoint-probe.ts';
import { type Candidate, EndpointRace, type RaceListener } from './endpoint-race.ts';
import { EndpointWatch } from './endpoint-watch.ts';
import { contentLengthOf } from './exchange.ts';
import type {
  UpstreamBlobHead,
  UpstreamList,
  UpstreamManifest,
  UpstreamManifestHead,
  UpstreamReferrers,
} from './registry-answers.ts';
import { TokenSource } from './token-source.ts';
import { Transport } from './transport.ts';
import { cancelled } from './upstream-errors.ts';
import { patienceMs, type ResolvedUpstreamOptions, type UpstreamOptions, withDefaults } from './upstream-options.ts';
import type { UpstreamSnapshot } from './upstream-snapshot.ts';

export interface RegistryClientDeps {
  readonly clock: Clock;
  readonly channels: Channels;
  readonly tracing?: Tracing | undefined;
  readonly credentials: CredentialProvider;
  readonly random: () => number;
  /** How names become addresses; default: the system's resolver. */
  readonly lookup?: LookupFunction | undefined;
}

/** A blob at one endpoint: as a flight's source, but for what a flight calls it by. `name` is the endpoint's. */
export type BlobSource = Pick<Source, 'name' | 'standing' | 'open' | 'discredit'>;

const withoutHead: readonly number[] = [405, 501];
const lacking: readonly number[] = [404, 405, 410, 501];

/**
 * The distribution API of one upstream. One attempt per call at each of its endpoints at most, in the order in which they
 * are well; the only thing tried twice is a request that an endpoint wants authorised. Every call rejects with an
 * `AppError` that says what upstream said, or what failed on the way.
 */
export class RegistryClient implements AsyncDisposable {
  readonly name: string;
  readonly #clock: Clock;
  readonly #channels: Channels;
  readonly #options: ResolvedUpstreamOptions;
  readonly #choice: EndpointChoice;
  readonly #connections: Connections;
  readonly #tokens: TokenSource;
  readonly #reader: AnswerReader;
  #hedgeBudget = fullBudget();

  constructor(deps: RegistryClientDeps, options: UpstreamOptions) {
    const { clock, channels, tracing } = deps;
    this.name = options.name;
    this.#clock = clock;
    this.#channels = channels;
    this.#options = withDefaults(options);
    const endpoints = new Endpoints(options.name, options.endpoints);
    this.#connections = new Connections({ endpoints, lookup: deps.lookup }, this.#options);
    const transport = new Transport(
      { clock, channels, tracing, connections: this.#connections, endpoints },
      this.#options,
    );
    this.#tokens = new TokenSource({ clock, channels, transport }, this.#options);
    this.#reader = new AnswerReader(deps, this.#options);
    const clients = this.#openClients(deps, endpoints, transport);
    this.#choice = new EndpointChoice(deps, options.name, clients);
  }

  #openClients(deps: RegistryClientDeps, endpoints: Endpoints, transport: Transport): EndpointClient[] {
    const { clock, channels, random } = deps;
    const { name, connections, acquireTimeoutMs, stallTimeoutMs } = this.#options;
    const authorizer = new Authorizer({ credentials: deps.credentials, tokens: this.#tokens }, this.#options);
    const isOnly = endpoints.all.length === 1;
    const timeoutMs = patienceMs(this.#options);
    return endpoints.all.map((endpoint) => {
      const names = { upstream: name, endpoint: endpoint.name };
      const probe = probeEndpoint({ clock, transport }, endpoint, { upstream: name, timeoutMs });
      const watch = new EndpointWatch({ clock, channels, random, probe }, { ...names, isOnly });
      const gate = new EndpointGate(deps, { ...names, connections, acquireTimeoutMs });
      const own = { clock, channels, transport, authorizer, watch, gate };
      return new EndpointClient(own, endpoint, { upstream: name, patienceMs: timeoutMs, stallTimeoutMs });
    });
  }

  async getManifest(
    repository: RepositoryName,
    reference: string,
    accept: string,
    maxBytes: number,
    signal: AbortSignal,
  ): Promise<UpstreamManifest> {
    const path = `manifests/${pathSegment(reference)}`;
    const headers = { accept };
    const ask: Ask = { kind: 'manifest', what: 'manifest-get', method: 'GET', repository, path, headers };
    return this.#ask('manifest', ask, signal, (endpoint, aborted) =>
      endpoint.control(ask, aborted, (answer) => this.#reader.manifest(answer, maxBytes)),
    );
  }

  /** Undefined where upstream does not do HEAD: that says nothing of the manifest. */
  async headManifest(
    repository: RepositoryName,
    reference: string,
    accept: string,
    signal: AbortSignal,
  ): Promise<UpstreamManifestHead | undefined> {
    const path = `manifests/${pathSegment(reference)}`;
    const headers = { accept };
    const ask: Ask = { kind: 'manifest', what: 'manifest-head', method: 'HEAD', repository, path, headers };
    return this.#ask('manifest', ask, signal, (endpoint, aborted) =>
      endpoint.control(ask, aborted, async (answer) => {
        if (!withoutHead.includes(answer.status)) return this.#reader.manifestHead(answer);
        answer.body.discard();
        return undefined;
      }),
    );
  }

  async headBlob(repository: RepositoryName, digest: Digest, signal: AbortSignal): Promise<UpstreamBlobHead> {
    const ask: Ask = { kind: 'blob', what: 'blob-head', method: 'HEAD', repository, path: `blobs/${digest}` };
    return this.#ask('blob', ask, signal, async (endpoint, aborted) => {
      const head = await endpoint.control(ask, aborted, async (response) => {
        // A storage service that was asked to allow a GET refuses a HEAD.
        const isRefused =
          withoutHead.includes(response.status) || (!response.own && [400, 403].includes(response.status));
        const { headers, body } = isRefused ? response : await this.#reader.succeeded(response);
        body.discard();
        return isRefused ? undefined : { sizeBytes: contentLengthOf(headers), mediaType: mediaTypeOf(headers) };
      });
      if (head !== undefined) return head;
      const get: Ask = { ...ask, method: 'GET', headers: { range: 'bytes=0-0' } };
      return endpoint.control(get, aborted, async (response) => {
        const answer = await this.#reader.succeeded(response);
        const { blobSizeBytes } = toSourceBody(answer, 0, 1);
        answer.body.discard();
        return { sizeBytes: blobSizeBytes, mediaType: mediaTypeOf(answer.headers) };
      });
    });
  }

  /** One for each endpoint, in the configured order: how they are is what each says by its standing. */
  blobSources(repository: RepositoryName, digest: Digest): readonly BlobSource[] {
    const options = { headersTimeoutMs: this.#options.headersTimeoutMs, patienceMs: patienceMs(this.#options) };
    const deps = { choice: this.#choice, reader: this.#reader };
    return this.#choice.all.map((endpoint) => endpointBlob(deps, endpoint, { repository, digest }, options));
  }

  /** `query` goes to upstream as it is: registries page with parameters of their own. */
  async listTags(repository: RepositoryName, query: string, signal: AbortSignal): Promise<UpstreamList> {
    const ask: Ask = { kind: 'tags', what: 'other', method: 'GET', repository, path: 'tags/list', query };
    return this.#ask('list', ask, signal, (endpoint, aborted) =>
      endpoint.control(ask, aborted, (answer) => this.#reader.list(answer)),
    );
  }

  /** Undefined where upstream has no referrers API (distribution-spec "Listing Referrers"). */
  async referrers(
    repository: RepositoryName,
    digest: Digest,
    query: string,
    signal: AbortSignal,
  ): Promise<UpstreamReferrers | undefined> {
    const path = `referrers/${digest}`;
    const headers = { accept: ociIndex };
    const ask: Ask = { kind: 'referrers', what: 'other', method: 'GET', repository, path, query, headers };
    try {
      return await this.#ask('list', ask, signal, (endpoint, aborted) =>
        endpoint.control(ask, aborted, async (response) => {
          const isIndex = mediaTypeOf(response.headers) === ociIndex;
          if (lacking.includes(response.status) || (response.status === 200 && !isIndex)) {
            response.body.discard();
            throw new AppError('PATH_UNKNOWN', `${endpoint.endpoint.name} has no referrers API`);
          }
          const filters = response.headers['oci-filters-applied'];
          const list = await this.#reader.list(response);
          return { ...list, filtersApplied: typeof filters === 'string' ? filters : undefined };
        }),
      );
    } catch (error) {
      if (error instanceof AppError && error.code === 'PATH_UNKNOWN') return undefined;
      throw error;
    }
  }

  /** An endpoint asked another node for a rest, which holds for all that share it. */
  rests(endpoint: string, what: 'manifests' | 'blobs' | 'everything', status: number, forMs: number): void {
    for (const client of this.#choice.all) {
      if (client.endpoint.name === endpoint) client.gate.impose(what, status, forMs);
    }
  }

  /** For so long all that anybody asked of any endpoint has failed, in ms; 0: one of them is not known to be down. */
  outageMs(): number {
    return this.#choice.outageMs;
  }

  /** What is known of its endpoints. */
  snapshot(): UpstreamSnapshot {
    return { name: this.name, endpoints: this.#choice.snapshot() };
  }

  /** Ends every transfer. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#tokens[Symbol.dispose]();
    for (const { gate } of this.#choice.all) gate[Symbol.dispose]();
    await Promise.all(this.#choice.all.map(({ watch }) => watch[Symbol.asyncDispose]()));
    await this.#connections[Symbol.asyncDispose]();
  }

  /** Asks the endpoints for something small, one after the other where that is what it takes. */
  async #ask<T>(
    kind: RetryEvent['kind'],
    { what }: Ask,
    signal: AbortSignal,
    send: (endpoint: EndpointClient, signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const [first, ...others] = this.#choice.inOrder(what);
    try {
      if (first === undefined) throw new AppError('INTERNAL', 'an upstream without an endpoint');
      if (others.length === 0) return await send(first, signal);
      const candidates = [first, ...others].map((endpoint) => this.#candidate(endpoint, what, send));
      const isHedged = this.#options.hedge && (what === 'manifest-get' || what === 'manifest-head');
      const nowMs = this.#clock.monotonic();
      const hedgeAfterMs = isHedged ? hedgeDelayMs(first.watch.health, nowMs) : undefined;
      if (isHedged) this.#hedgeBudget = earnHedge(this.#hedgeBudget);
      const options = { patienceMs: patienceMs(this.#options), hedgeAfterMs };
      return await new EndpointRace({ clock: this.#clock, listener: this.#listener(kind) }, candidates, options).run(
        signal,
      );
    } catch (error) {
      throw signal.aborted ? cancelled(signal) : asAppError(error);
    }
  }

  #candidate<T>(
    endpoint: EndpointClient,
    what: Ask['what'],
    send: (endpoint: EndpointClient, signal: AbortSignal) => Promise<T>,
  ): Candidate<T> {
    return {
      ask: (signal) => send(endpoint, signal),
      isShut: () => this.#choice.isShut(endpoint, what),
      isSound: () => this.#choice.isSound(endpoint, what),
      shutError: () => {
        endpoint.watch.wanted();
        return this.#choice.shutError(endpoint);
      },
      onOpened: (callback) => endpoint.watch.onOpened(callback),
    };
  }

  #listener(kind: RetryEvent['kind']): RaceListener {
    const { retry, hedge } = this.#channels;
    return {
      mayHedge: () => {
        const left = spendHedge(this.#hedgeBudget);
        if (left !== undefined) this.#hedgeBudget = left;
        return left !== undefined;
      },
      hedged: (outcome) => hedge.publish({ upstream: this.name, outcome }),
      failedOver: (cause) => retry.publish({ upstream: this.name, kind, cause, failover: true }),
    };
  }
}

/** A tag or digest inside a path: `:` may stand there as it is. */
function pathSegment(reference: string): string {
  return encodeURIComponent(reference).replaceAll('%3A', ':');
}
