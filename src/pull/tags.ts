import { algorithmOf, type Digest, digestOf } from '../core/digest.ts';
import { AppError, asAppError } from '../core/errors.ts';
import { maxManifestBytes } from '../core/manifest-references.ts';
import type { Tag } from '../core/reference.ts';
import { type Scope, scopeKey } from '../core/scope.ts';
import { abandonable, SharedCalls } from '../core/shared-calls.ts';
import type { TagRecord } from '../store/catalog.ts';
import { type AcceptVariant, variantKeys } from './accept.ts';
import { withAttempts } from './attempts.ts';
import type { Served } from './depot.ts';
import type { Manifest, ManifestContent, ManifestContentDeps } from './manifest-content.ts';

/** What a tag means now. */
export interface Resolution {
  readonly digest: Digest;
  /** Upstream's answer brought the manifest as well. */
  readonly manifest: Manifest | undefined;
  readonly mediaType: string | undefined;
  readonly sizeBytes: number | undefined;
  readonly served: Served;
}

export interface TagOptions {
  /** The longest wait for upstream, retries included, in ms. */
  readonly boundMs: number;
  /** A known tag whose revalidation takes longer is served stale; the revalidation goes on. */
  readonly staleAfterMs: number;
}

/**
 * Where tags point.
 *
 * Invariants
 * - One upstream request per (scope, tag, accepted types) at a time; GET and HEAD share it.
 * - A tag is taken as known for its upstream's TTL; then revalidated by HEAD, and a manifest is only fetched when the
 *   digest is one that is not here. It points elsewhere only once that manifest is here: who limits GETs may allow HEADs.
 * - A known tag is served stale when upstream is away, limits us or is slow (P7), never when upstream says that it is
 *   gone or not ours to read (P6, P9). A slow upstream is waited for once: who comes later waits a tenth of that.
 */
export class Tags {
  readonly #deps: ManifestContentDeps;
  readonly #manifests: ManifestContent;
  readonly #options: TagOptions;
  readonly #calls = new SharedCalls<Resolution>();
  /** Since when each call runs. */
  readonly #askedSinceMs = new Map<string, number>();

  constructor(deps: ManifestContentDeps, manifests: ManifestContent, options: TagOptions) {
    this.#deps = deps;
    this.#manifests = manifests;
    this.#options = options;
  }

  async resolve(
    scope: Scope,
    tag: Tag,
    variant: AcceptVariant,
    method: 'GET' | 'HEAD',
    signal: AbortSignal,
  ): Promise<Resolution> {
    const known = this.#deps.catalog.tag(scope, tag, variant.key);
    const ttlMs = this.#deps.upstreams.get(scope.registry).tagTtlMs;
    if (known !== undefined && this.#ageMs(known) < ttlMs) return resolution(known.digest, 'hit');
    const key = `tag ${scopeKey(scope)} ${tag} ${variant.key}`;
    if (known === undefined) {
      try {
        return await this.#ask(key, () => this.#discover(scope, tag, variant, method), signal);
      } catch (error) {
        if (signal.aborted) throw error;
        return this.#staleOfOther(scope, tag, variant, asAppError(error));
      }
    }
    const failure = this.#deps.failures.recall(key);
    if (failure !== undefined) return staleOrThrow(known, failure);
    return this.#revalidate(key, scope, tag, variant, known, signal);
  }

  #ageMs(record: TagRecord): number {
    const ageMs = this.#deps.clock.now() - record.checkedAtMs;
    // A clock that was set back makes nothing fresh for years.
    return ageMs >= 0 ? ageMs : Number.POSITIVE_INFINITY;
  }

  /** Upstream's word, asked for once for all who wait; a failure is remembered for a moment. */
  async #ask(key: string, call: () => Promise<Resolution>, signal: AbortSignal): Promise<Resolution> {
    const joined = this.#calls.has(key);
    if (joined) this.#deps.channels.coalesced.publish({ kind: 'manifest' });
    const answer = await this.#calls.run(
      key,
      () => this.#deps.failures.guard(key, () => this.#timed(key, call)),
      signal,
    );
    return joined ? { ...answer, served: 'joined' } : answer;
  }

  async #timed(key: string, call: () => Promise<Resolution>): Promise<Resolution> {
    this.#askedSinceMs.set(key, this.#deps.clock.monotonic());
    try {
      return await call();
    } finally {
      this.#askedSinceMs.delete(key);
    }
  }

  /** What the tag last meant to clients that accept other types, where this one accepts that as well (P7). */
  async #staleOfOther(scope: Scope, tag: Tag, variant: AcceptVariant, error: AppError): Promise<Resolution> {
    for (const key of variantKeys) {
      const known = this.#deps.catalog.tag(scope, tag, key);
      if (known === undefined) continue;
      const stale = staleOrThrow(known, error);
      const manifest = await this.#manifests.held(scope, known.digest);
      if (manifest !== undefined && variant.types.includes(manifest.mediaType)) return { ...stale, manifest };
    }
    throw error;
  }

  /** Revalidates, unless that takes too long for someone who could have the stale answer. */
  async #revalidate(
    key: string,
    scope: Scope,
    tag: Tag,
    variant: AcceptVariant,
    known: TagRecord,
    signal: AbortSignal,
  ): Promise<Resolution> {
    const nowMs = this.#deps.clock.monotonic();
    const askedForMs = nowMs - (this.#askedSinceMs.get(key) ?? nowMs);
    const { staleAfterMs } = this.#options;
    const patienceMs = Math.max(staleAfterMs - askedForMs, staleAfterMs / 10);
    const { promise: late, resolve } = Promise.withResolvers<Resolution>();
    const timer = this.#deps.clock.after(patienceMs, () => resolve(resolution(known.digest, 'stale')));
    try {
      const asked = this.#ask(key, () => this.#check(scope, tag, variant, known), signal);
      return await abandonable(Promise.race([asked, late]), signal);
    } catch (error) {
      if (signal.aborted) throw error;
      return staleOrThrow(known, asAppError(error));
    } finally {
      timer.clear();
    }
  }

  /** One HEAD, without retries: whoever waits has a stale answer. */
  async #check(scope: Scope, tag: Tag, variant: AcceptVariant, known: TagRecord): Promise<Resolution> {
    const { registry } = this.#deps.upstreams.get(scope.registry);
    const once = { clock: this.#deps.clock, retry: () => undefined };
    try {
      const head = await withAttempts(once, this.#options.boundMs, (signal) =>
        registry.headManifest(scope.repository, tag, variant.header, signal),
      );
      if (head?.digest === undefined) return await this.#fetch(scope, tag, variant);
      const manifest = head.digest === known.digest ? undefined : await this.#fetchNew(scope, head.digest);
      this.#note(scope, tag, variant, head.digest);
      return { ...resolution(head.digest, 'revalidated'), manifest };
    } catch (error) {
      this.#forgetIfGone(scope, tag, variant, asAppError(error));
      throw error;
    }
  }

  /** The manifest that a tag points to now. That it is missing is a fault of upstream's: the tag itself is there. */
  async #fetchNew(scope: Scope, digest: Digest): Promise<Manifest> {
    try {
      return (await this.#manifests.get(scope, digest)).manifest;
    } catch (thrown) {
      const error = asAppError(thrown);
      if (error.status !== 404) throw error;
      throw new AppError('UPSTREAM_FAILED', `upstream does not have the manifest that ${digest} names`, {
        cause: error,
      });
    }
  }

  /** A tag that was never seen: a HEAD costs nothing where the client only asks for one; a GET brings it all at once. */
  async #discover(scope: Scope, tag: Tag, variant: AcceptVariant, method: 'GET' | 'HEAD'): Promise<Resolution> {
    if (method === 'GET') return this.#fetch(scope, tag, variant);
    const { registry } = this.#deps.upstreams.get(scope.registry);
    const head = await withAttempts(this.#deps, this.#options.boundMs, (signal) =>
      registry.headManifest(scope.repository, tag, variant.header, signal),
    );
    if (head?.digest === undefined) return this.#fetch(scope, tag, variant);
    this.#note(scope, tag, variant, head.digest);
    const { digest, mediaType, sizeBytes } = head;
    this.#deps.catalog.link(scope, [{ digest, mediaType, sizeBytes }], 'confirmed');
    return { ...resolution(digest, 'led'), mediaType, sizeBytes };
  }

  async #fetch(scope: Scope, tag: Tag, variant: AcceptVariant): Promise<Resolution> {
    const { registry } = this.#deps.upstreams.get(scope.registry);
    const answer = await withAttempts(this.#deps, this.#options.boundMs, (signal) =>
      registry.getManifest(scope.repository, tag, variant.header, maxManifestBytes, signal),
    );
    // Of a tag the bytes are the truth; an algorithm other than sha256 is used where upstream named its digest so.
    const digest = digestOf(answer.bytes, answer.digest === undefined ? 'sha256' : algorithmOf(answer.digest));
    if (answer.digest !== undefined && answer.digest !== digest) {
      throw new AppError(
        'CONTENT_MISMATCH',
        `upstream names the manifest ${answer.digest}, but it hashes to ${digest}`,
      );
    }
    const manifest = await this.#manifests.keep(scope, answer.mediaType, answer.bytes, digest);
    this.#note(scope, tag, variant, digest);
    return { ...resolution(digest, 'led'), manifest };
  }

  #note(scope: Scope, tag: Tag, variant: AcceptVariant, digest: Digest): void {
    this.#deps.catalog.setTag(scope, tag, variant.key, { digest, checkedAtMs: this.#deps.clock.now() });
  }

  #forgetIfGone(scope: Scope, tag: Tag, variant: AcceptVariant, error: AppError): void {
    if (error.status === 404) this.#deps.catalog.removeTag(scope, tag, variant.key);
  }
}

/** Whether a failure leaves a known tag good enough to serve: upstream did not answer the question. */
function staleOrThrow(known: TagRecord, error: AppError): Resolution {
  if (error.status === 401 || error.status === 403 || error.status === 404) throw error;
  return resolution(known.digest, 'stale');
}

function resolution(digest: Digest, served: Served): Resolution {
  return { digest, manifest: undefined, mediaType: undefined, sizeBytes: undefined, served };
}
