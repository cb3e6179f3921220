import { algorithmOf, type Digest, digestOf } from '../core/digest.ts';
import { AppError, asAppError, isRefusal } from '../core/errors.ts';
import { maxManifestBytes } from '../core/manifest-references.ts';
import type { Tag } from '../core/reference.ts';
import { type Scope, scopeKey } from '../core/scope.ts';
import { abandonable, SharedCalls } from '../core/shared-calls.ts';
import type { TagRecord } from '../store/catalog.ts';
import { type AcceptVariant, variantKeys } from './accept.ts';
import { type AttemptOptions, withAttempts } from './attempts.ts';
import type { Served } from './depot.ts';
import type { Manifest, ManifestContent, ManifestContentDeps } from './manifest-content.ts';
import { RestNotices } from './rest-notices.ts';

/** Of what tag, to whom, and the key that those who ask the same share. */
interface Question {
  readonly key: string;
  readonly scope: Scope;
  readonly tag: Tag;
  readonly variant: AcceptVariant;
  /** Nothing that upstream said before counts. */
  readonly isFresh: boolean;
}

/** What a tag means now. */
export interface Resolution {
  readonly digest: Digest;
  /** Upstream's answer brought the manifest as well. */
  readonly manifest: Manifest | undefined;
  readonly mediaType: string | undefined;
  readonly sizeBytes: number | undefined;
  readonly served: Served;
  /** Until when upstream's word counts, by the wall clock; undefined where it is a stale one. */
  readonly freshUntilMs: number | undefined;
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
 *   gone or not ours to read (P6, P9). A slow upstream is waited for once: who comes later, or while it is known to be down,
 *   waits a tenth of that; one that asked for a rest, or failed twice in a row, is not waited for at all, though the call goes
 *   on and brings what is new when that is over.
 * - Who asks for what is so now (`isFresh`) is told what upstream said after that, or else that it is stale. What others were
 *   told that differs counts no longer.
 */
export class Tags {
  readonly #deps: ManifestContentDeps;
  readonly #manifests: ManifestContent;
  readonly #options: TagOptions;
  readonly #calls = new SharedCalls<Resolution>();
  readonly #rests = new RestNotices();
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
    { method, isFresh }: { readonly method: 'GET' | 'HEAD'; readonly isFresh: boolean },
    signal: AbortSignal,
  ): Promise<Resolution> {
    const known = this.#deps.catalog.tag(scope, tag, variant.key);
    const ttlMs = this.#deps.upstreams.get(scope.registry).tagTtlMs;
    if (known !== undefined && !isFresh && this.#ageMs(known) < ttlMs) {
      return resolution(known.digest, 'hit', known.checkedAtMs + ttlMs);
    }
    // An answer that is on its way to somebody else may have been given before this was asked.
    const key = `tag ${scopeKey(scope)} ${tag} ${variant.key}${isFresh ? ' now' : ''}`;
    const question = { key, scope, tag, variant, isFresh };
    if (known === undefined) return this.#firstAnswer(question, isFresh ? 'HEAD' : method, signal);
    const failure = this.#deps.failures.recall(question.key);
    if (failure !== undefined) return staleOrThrow(known, failure);
    return isFresh ? this.#askNow(question, known, signal) : this.#revalidate(question, known, signal);
  }

  /** Nobody hurries: upstream is waited for as long as for a tag that is not known. */
  async #askNow(question: Question, known: TagRecord, signal: AbortSignal): Promise<Resolution> {
    try {
      return await this.#ask(question.key, (onRest) => this.#check(question, known, onRest), signal);
    } catch (error) {
      if (signal.aborted) throw error;
      return staleOrThrow(known, asAppError(error));
    }
  }

  #ageMs(record: TagRecord): number {
    const ageMs = this.#deps.clock.now() - record.checkedAtMs;
    // A clock that was set back makes nothing fresh for years.
    return ageMs >= 0 ? ageMs : Number.POSITIVE_INFINITY;
  }

  /** Upstream's word, asked for once for all who wait; a failure is remembered for a moment. */
  async #ask(key: string, call: (onRest: () => void) => Promise<Resolution>, signal: AbortSignal): Promise<Resolution> {
    const joined = this.#calls.has(key);
    if (joined) this.#deps.channels.coalesced.publish({ kind: 'manifest' });
    const timed = () => this.#rests.during(key, (onRest) => this.#timed(key, () => call(onRest)));
    const answer = await this.#calls.run(key, () => this.#deps.failures.guard(key, timed), signal);
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

  /** Of a tag that is not known: upstream's word, or what other clients were told where that is refused or has to wait. */
  async #firstAnswer(question: Question, method: 'GET' | 'HEAD', signal: AbortSignal): Promise<Resolution> {
    const { key } = question;
    const asked = this.#ask(key, (onRest) => this.#discover(question, method, onRest), signal);
    const resting = this.#rests.resting(key).then(() => this.#staleOfOther(question));
    // A rest that nobody can be spared changes nothing.
    const spared = new Promise<Resolution>((resolve) =>
      resting.then(
        (stale) => stale && resolve(stale),
        () => {},
      ),
    );
    try {
      return await (question.isFresh ? asked : Promise.race([asked, spared]));
    } catch (thrown) {
      const error = asAppError(thrown);
      if (signal.aborted || isRefusal(error)) throw error;
      const stale = await this.#staleOfOther(question);
      if (stale === undefined) throw error;
      return stale;
    }
  }

  /** What the tag last meant to clients that accept other types, where this one accepts that as well (P7). */
  async #staleOfOther({ scope, tag, variant }: Question): Promise<Resolution | undefined> {
    for (const key of variantKeys) {
      const known = this.#deps.catalog.tag(scope, tag, key);
      if (known === undefined) continue;
      const manifest = await this.#manifests.held(scope, known.digest);
      if (manifest !== undefined && variant.types.includes(manifest.mediaType)) {
        return { ...resolution(known.digest, 'stale'), manifest };
      }
    }
    return undefined;
  }

  /** Revalidates, unless that takes too long for someone who could have the stale answer. */
  async #revalidate(question: Question, known: TagRecord, signal: AbortSignal): Promise<Resolution> {
    const { key } = question;
    const nowMs = this.#deps.clock.monotonic();
    const askedForMs = nowMs - (this.#askedSinceMs.get(key) ?? nowMs);
    const { staleAfterMs } = this.#options;
    const isShut = this.#deps.upstreams.get(question.scope.registry).registry.outageMs() > 0;
    const patienceMs = Math.max(isShut ? 0 : staleAfterMs - askedForMs, staleAfterMs / 10);
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const timer = this.#deps.clock.after(patienceMs, resolve);
    try {
      const asked = this.#ask(key, (onRest) => this.#check(question, known, onRest), signal);
      const stale = Promise.race([late, this.#rests.resting(key)]).then(() => resolution(known.digest, 'stale'));
      return await abandonable(Promise.race([asked, stale]), signal);
    } catch (error) {
      if (signal.aborted) throw error;
      return staleOrThrow(known, asAppError(error));
    } finally {
      timer.clear();
    }
  }

  /** One HEAD; without retries where whoever waits has a stale answer. */
  async #check(question: Question, known: TagRecord, onRest: () => void): Promise<Resolution> {
    const { scope, tag, variant, isFresh } = question;
    const { registry } = this.#deps.upstreams.get(scope.registry);
    const once = isFresh ? this.#deps : { ...this.#deps, retry: () => undefined };
    try {
      const head = await withAttempts(once, this.#attempts(scope), (signal) =>
        registry.headManifest(scope.repository, tag, variant.header, signal, maxAgeMs(question)),
      );
      if (head?.digest === undefined) return await this.#fetch(question, onRest);
      const manifest = head.digest === known.digest ? undefined : await this.#fetchNew(scope, head.digest, onRest);
      const freshUntilMs = this.#note(question, head.digest, head.ageMs);
      return { ...resolution(head.digest, 'revalidated', freshUntilMs), manifest };
    } catch (error) {
      this.#forgetIfGone(question, asAppError(error));
      throw error;
    }
  }

  #attempts({ registry: upstream }: Scope, onRest?: () => void): AttemptOptions {
    const outageMs = () => this.#deps.upstreams.get(upstream).registry.outageMs();
    return { boundMs: this.#options.boundMs, upstream, kind: 'manifest', outageMs, onRest };
  }

  /** The manifest that a tag points to now. That it is missing is a fault of upstream's: the tag itself is there. */
  async #fetchNew(scope: Scope, digest: Digest, onRest: () => void): Promise<Manifest> {
    try {
      return (await this.#manifests.get(scope, digest, undefined, onRest)).manifest;
    } catch (thrown) {
      const error = asAppError(thrown);
      if (error.status !== 404) throw error;
      throw new AppError('UPSTREAM_FAILED', `upstream does not have the manifest that ${digest} names`, {
        cause: error,
      });
    }
  }

  /** A tag that was never seen: a HEAD costs nothing where the client only asks for one; a GET brings it all at once. */
  async #discover(question: Question, method: 'GET' | 'HEAD', onRest: () => void): Promise<Resolution> {
    if (method === 'GET') return this.#fetch(question, onRest);
    const { scope, tag, variant } = question;
    const { registry } = this.#deps.upstreams.get(scope.registry);
    const head = await withAttempts(this.#deps, this.#attempts(scope, onRest), (signal) =>
      registry.headManifest(scope.repository, tag, variant.header, signal, maxAgeMs(question)),
    );
    if (head?.digest === undefined) return this.#fetch(question, onRest);
    const { digest, mediaType, sizeBytes, ageMs } = head;
    const freshUntilMs = this.#note(question, digest, ageMs);
    this.#deps.catalog.link(scope, [{ digest, mediaType, sizeBytes }], 'confirmed');
    return { ...resolution(digest, 'led', freshUntilMs), mediaType, sizeBytes };
  }

  async #fetch(question: Question, onRest: () => void): Promise<Resolution> {
    const { scope, tag, variant } = question;
    const { registry } = this.#deps.upstreams.get(scope.registry);
    const answer = await withAttempts(this.#deps, this.#attempts(scope, onRest), (signal) =>
      registry.getManifest(scope.repository, tag, variant.header, maxManifestBytes, signal, maxAgeMs(question)),
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
    const freshUntilMs = this.#note(question, digest, answer.ageMs);
    return { ...resolution(digest, 'led', freshUntilMs), manifest };
  }

  /** Returns until when that counts. */
  #note({ scope, tag, variant, isFresh }: Question, digest: Digest, ageMs = 0): number {
    const checkedAtMs = this.#deps.clock.now() - ageMs;
    this.#deps.catalog.setTag(scope, tag, variant.key, { digest, checkedAtMs });
    if (isFresh) this.#doubtOthers(scope, tag, digest);
    return checkedAtMs + this.#deps.upstreams.get(scope.registry).tagTtlMs;
  }

  /** Who accepts other types was told another digest before: whether that is still so is for upstream to say. */
  #doubtOthers(scope: Scope, tag: Tag, digest: Digest): void {
    const { catalog } = this.#deps;
    for (const key of variantKeys) {
      const known = catalog.tag(scope, tag, key);
      if (known !== undefined && known.digest !== digest) catalog.setTag(scope, tag, key, { ...known, checkedAtMs: 0 });
    }
  }

  #forgetIfGone({ scope, tag, variant }: Question, error: AppError): void {
    if (error.status === 404) this.#deps.catalog.removeTag(scope, tag, variant.key);
  }
}

/** Of what another node was told: undefined leaves it to the upstream's time. */
function maxAgeMs({ isFresh }: Question): number | undefined {
  return isFresh ? 0 : undefined;
}

/** A refusal is upstream's word on the tag. Anything else leaves a known tag good enough to serve: it did not answer. */
function staleOrThrow(known: TagRecord, error: AppError): Resolution {
  if (isRefusal(error)) throw error;
  return resolution(known.digest, 'stale');
}

function resolution(digest: Digest, served: Served, freshUntilMs?: number): Resolution {
  return { digest, manifest: undefined, mediaType: undefined, sizeBytes: undefined, served, freshUntilMs };
}
