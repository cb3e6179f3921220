import type { Claim, Coordinator } from '../cluster/coordinator.ts';
import { type Clock, sleep, type Timer } from '../core/clock.ts';
import { algorithmOf, type Digest, digestOf, parseDigest } from '../core/digest.ts';
import { AppError, asAppError, type ErrorCode, errorTable, isRefusal } from '../core/errors.ts';
import type { RepositoryName } from '../core/repository-name.ts';
import type { BlobSource, Registry, UpstreamList } from './upstreams.ts';

export interface SharedRegistryDeps {
  readonly clock: Clock;
  readonly coordinator: Pick<Coordinator, 'claim' | 'keep' | 'settle' | 'drop'>;
  readonly registry: Registry;
  /** A manifest from the peer at this address, not looked at; undefined where it does not have it. */
  readonly manifestFrom: (
    address: string,
    digest: Digest,
    maxBytes: number,
    signal: AbortSignal,
  ) => Promise<Uint8Array | undefined>;
}

export interface SharedRegistryOptions {
  /** The registry's name. */
  readonly name: string;
  /** Where peers reach this node. */
  readonly address: string;
  /** So long counts what another node was told of a tag. */
  readonly tagTtlMs: number;
  /** So long counts that a repository has a digest. */
  readonly digestTtlMs: number;
  /** A refusal is told to those who wait with the one that got it, and to whoever comes within this time. */
  readonly refusalMs: number;
  /** A claim is kept up so often. */
  readonly keepEveryMs: number;
  /** So long another node's question is waited for: its way to upstream may be the one that is broken. */
  readonly patienceMs: number;
  /** What another node asks is looked for so soon, and ever later up to `mostPollMs`. */
  readonly leastPollMs: number;
  readonly mostPollMs: number;
}

export const sharedRegistryDefaults = {
  digestTtlMs: 3_600_000,
  refusalMs: 1000,
  keepEveryMs: 1500,
  patienceMs: 8000,
  leastPollMs: 10,
  mostPollMs: 100,
} as const;

/** What nodes tell each other of an answer. */
interface Told {
  /** Undefined: upstream gave none, or does not do what was asked. */
  readonly digest: Digest | undefined;
  readonly mediaType: string | undefined;
  readonly sizeBytes: number | undefined;
  /** Who has the content. */
  readonly at: string | undefined;
}

interface Ages {
  readonly maxAgeMs: number;
  readonly keepMs: number;
}

type Answer<T> = { readonly told: Told; readonly value: T };

/**
 * A registry that is asked once for all nodes that share an engine: where a tag points, what a manifest is, whether a
 * repository has a digest.
 *
 * Invariants
 * - Without the engine, where another node's answer is of no use here, or takes longer than `patienceMs`, this node asks
 *   itself (P11).
 * - Whoever has a claim settles or drops it, whatever comes of the question; while the question runs the claim is kept up.
 * - Of what others were told only upstream's own words count: that a node cannot reach upstream is its own affair.
 * - A manifest from a peer is looked at like one from anybody: it has the digest, or it is not used (P4).
 */
export class SharedRegistry implements Registry {
  readonly #deps: SharedRegistryDeps;
  readonly #options: SharedRegistryOptions;

  constructor(deps: SharedRegistryDeps, options: SharedRegistryOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  async getManifest(
    repository: RepositoryName,
    reference: string,
    accept: string,
    maxBytes: number,
    signal: AbortSignal,
    maxAgeMs?: number,
  ): ReturnType<Registry['getManifest']> {
    const { registry } = this.#deps;
    const key = this.#key('get', repository, reference, accept);
    const ask = async (): Promise<Answer<Awaited<ReturnType<Registry['getManifest']>>>> => {
      const value = await registry.getManifest(repository, reference, accept, maxBytes, signal);
      const { mediaType, bytes } = value;
      const digest = value.digest ?? digestOf(bytes);
      return { told: { digest, mediaType, sizeBytes: bytes.length, at: this.#options.address }, value };
    };
    const use = async ({ digest, mediaType, at }: Told) => {
      if (digest === undefined || mediaType === undefined || at === undefined) return undefined;
      const bytes = await this.#deps.manifestFrom(at, digest, maxBytes, signal).catch(() => undefined);
      if (bytes === undefined || digestOf(bytes, algorithmOf(digest)) !== digest) return undefined;
      return { digest, mediaType, bytes };
    };
    return this.#share(key, this.#ages(reference, maxAgeMs), ask, use, signal);
  }

  async headManifest(
    repository: RepositoryName,
    reference: string,
    accept: string,
    signal: AbortSignal,
    maxAgeMs?: number,
  ): ReturnType<Registry['headManifest']> {
    const key = this.#key('head', repository, reference, accept);
    const ask = async () => {
      const value = await this.#deps.registry.headManifest(repository, reference, accept, signal);
      const { digest, mediaType, sizeBytes } = value ?? {};
      return { told: { digest, mediaType, sizeBytes, at: undefined }, value };
    };
    const use = async ({ digest, mediaType, sizeBytes }: Told) =>
      digest === undefined || mediaType === undefined ? undefined : { digest, mediaType, sizeBytes };
    return this.#share(key, this.#ages(reference, maxAgeMs), ask, use, signal);
  }

  async headBlob(repository: RepositoryName, digest: Digest, signal: AbortSignal): ReturnType<Registry['headBlob']> {
    const key = this.#key('blob', repository, digest, '');
    const ask = async () => {
      const value = await this.#deps.registry.headBlob(repository, digest, signal);
      return { told: { digest, ...value, at: undefined }, value };
    };
    const use = async ({ sizeBytes, mediaType }: Told) => ({ sizeBytes, mediaType });
    const { digestTtlMs } = this.#options;
    return this.#share(key, { maxAgeMs: digestTtlMs, keepMs: digestTtlMs }, ask, use, signal);
  }

  blobSources(repository: RepositoryName, digest: Digest): readonly BlobSource[] {
    return this.#deps.registry.blobSources(repository, digest);
  }

  listTags(repository: RepositoryName, query: string, signal: AbortSignal): Promise<UpstreamList> {
    return this.#deps.registry.listTags(repository, query, signal);
  }

  referrers(
    repository: RepositoryName,
    digest: Digest,
    query: string,
    signal: AbortSignal,
  ): ReturnType<Registry['referrers']> {
    return this.#deps.registry.referrers(repository, digest, query, signal);
  }

  outageMs(): number {
    return this.#deps.registry.outageMs();
  }

  #key(what: string, repository: RepositoryName, reference: string, accept: string): string {
    return [what, this.#options.name, repository, reference, accept].join(' ');
  }

  /** How old an answer may be, and how long this one counts for others. */
  #ages(reference: string, maxAgeMs: number | undefined): Ages {
    const keepMs = parseDigest(reference) === undefined ? this.#options.tagTtlMs : this.#options.digestTtlMs;
    return { maxAgeMs: maxAgeMs ?? keepMs, keepMs };
  }

  /** What `ask` brings, or what another node's question brought, if `use` can make something of it. */
  async #share<T extends object | undefined>(
    key: string,
    { maxAgeMs, keepMs }: Ages,
    ask: () => Promise<Answer<T>>,
    use: (told: Told) => Promise<T | undefined>,
    signal: AbortSignal,
  ): Promise<T> {
    const claim = await this.#claimed(key, maxAgeMs, signal);
    if (claim === undefined) return (await ask()).value;
    if (claim.kind === 'mine') return this.#askFor(key, claim.token, keepMs, ask);
    const told = parseTold(claim.value);
    if (told instanceof AppError) throw told;
    const value = told === undefined ? undefined : await use(told);
    return value === undefined ? (await ask()).value : { ...value, ageMs: claim.ageMs };
  }

  /**
   * What is known, or the claim to ask; undefined: there is no engine. Waits while another node asks; what that one is told
   * meanwhile is new enough for whoever waited for it.
   */
  async #claimed(
    key: string,
    maxAgeMs: number,
    signal: AbortSignal,
  ): Promise<Exclude<Claim, { kind: 'theirs' }> | undefined> {
    const { clock, coordinator } = this.#deps;
    const { leastPollMs, mostPollMs, patienceMs } = this.#options;
    const sinceMs = clock.monotonic();
    for (let pollMs = leastPollMs; ; pollMs = Math.min(mostPollMs, pollMs * 2)) {
      const waitedMs = clock.monotonic() - sinceMs;
      const claim = await coordinator.claim(key, Math.max(maxAgeMs, waitedMs)).catch(() => undefined);
      signal.throwIfAborted();
      if (claim?.kind !== 'theirs') return claim;
      if (waitedMs >= patienceMs) return undefined;
      await sleep(clock, Math.min(pollMs, Math.max(leastPollMs, claim.leftMs)), signal);
    }
  }

  async #askFor<T>(key: string, token: string, keepMs: number, ask: () => Promise<Answer<T>>): Promise<T> {
    const { coordinator } = this.#deps;
    const keeping = this.#keepUp(key, token);
    try {
      const { told, value } = await ask();
      // Nobody waits for it to be told: whoever wants to know meanwhile finds the claim.
      // Those who wait find it, also where it counts for no longer.
      coordinator.settle(key, token, JSON.stringify(told), Math.max(keepMs, this.#options.refusalMs)).catch(() => {});
      return value;
    } catch (thrown) {
      const error = asAppError(thrown);
      const { refusalMs } = this.#options;
      if (isTellable(error)) {
        coordinator.settle(key, token, refusalText(error), refusalMs).catch(() => {});
      } else coordinator.drop(key, token).catch(() => {});
      throw thrown;
    } finally {
      keeping.clear();
    }
  }

  #keepUp(key: string, token: string): Timer {
    const { clock, coordinator } = this.#deps;
    let timer: Timer;
    const again = () => {
      coordinator.keep(key, token).catch(() => {});
      timer = clock.after(this.#options.keepEveryMs, again);
    };
    timer = clock.after(this.#options.keepEveryMs, again);
    return { clear: () => timer.clear() };
  }
}

function refusalText({ code, message, retryAfterMs, details }: AppError): string {
  return JSON.stringify({ refusal: { code, message, retryAfterMs, details } });
}

const mostMessageLength = 1000;
/** RFC 9110 section 8.3.1, without parameters. */
const mediaTypeForm = /^[\w!#$&^.+-]{1,127}\/[\w!#$&^.+-]{1,127}$/;

/** What another node wrote: its answer, its refusal, or nothing that can be made out. Nothing of it is taken on trust. */
function parseTold(text: string): Told | AppError | undefined {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof json !== 'object' || json === null) return undefined;
  const { refusal, digest, mediaType, sizeBytes, at } = json as Record<string, unknown>;
  if (typeof refusal === 'object' && refusal !== null) return parseRefusal(refusal as Record<string, unknown>);
  const parsed = typeof digest === 'string' ? parseDigest(digest) : undefined;
  return {
    digest: parsed,
    mediaType: typeof mediaType === 'string' && mediaTypeForm.test(mediaType) ? mediaType : undefined,
    sizeBytes: Number.isSafeInteger(sizeBytes) && Number(sizeBytes) >= 0 ? Number(sizeBytes) : undefined,
    at: typeof at === 'string' ? at : undefined,
  };
}

function parseRefusal({ code, message, retryAfterMs, details }: Record<string, unknown>): AppError | undefined {
  if (typeof code !== 'string' || typeof message !== 'string' || !isCode(code)) return undefined;
  const error = new AppError(code, message.slice(0, mostMessageLength), {
    ...(typeof retryAfterMs === 'number' && retryAfterMs >= 0 ? { retryAfterMs } : {}),
    ...(typeof details === 'object' && details !== null ? { details: plain(details) } : {}),
  });
  return isTellable(error) ? error : undefined;
}

/** What holds for every node, if it holds for one: upstream's own word on what was asked. */
function isTellable(error: AppError): boolean {
  return isRefusal(error) || error.status === 429;
}

function plain(details: object): Record<string, string | number | boolean> {
  const found = Object.entries(details).filter(([, value]) => ['string', 'number', 'boolean'].includes(typeof value));
  return Object.fromEntries(found);
}

function isCode(text: string): text is ErrorCode {
  return Object.hasOwn(errorTable(), text);
}
