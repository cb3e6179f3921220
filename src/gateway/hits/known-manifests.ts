import { LRUCache } from 'lru-cache';
import { scopeKey } from '../../core/scope.ts';
import type { ManifestAnswer, ManifestRequest } from '../../pull/depot.ts';
import { HitCount } from './hit-notes.ts';
import { KeepTerm, type KeepTermDeps } from './keep-term.ts';
import { PreparedContent } from './prepared-content.ts';

export interface HitMemoryOptions {
  readonly maxEntries: number;
  readonly maxBytes: number;
}

/** An answer that is given again, to whoever asks the same in the same scope: of a blob, too. */
export interface KnownAnswer {
  /** As it is given again: a hit. */
  readonly answer: ManifestAnswer;
  readonly prepared: PreparedContent;
  readonly count: HitCount;
}

interface KnownManifest extends KnownAnswer {
  readonly term: KeepTerm;
}

/** What an entry takes beside its bytes. */
const entryBytes = 2 * 1024;
/** The bytes themselves, and up to two whole responses with them. */
const copies = 3;
const maxAcceptLength = 1024;

/**
 * What was asked: requests with the same key have the same answer, if they come at the same time. Undefined for what is not
 * remembered. Content that is named by its digest is the same whatever a client accepts.
 */
export function manifestKey({ scope, reference, accept }: Pick<ManifestRequest, 'scope' | 'reference' | 'accept'>) {
  if (reference.kind === 'digest') return `${scopeKey(scope)} ${reference.digest}`;
  if (accept === undefined) return `${scopeKey(scope)} ${reference.tag}`;
  return accept.length > maxAcceptLength ? undefined : `${scopeKey(scope)} ${reference.tag} ${accept}`;
}

/**
 * The manifest answers that the depot said may be given again.
 *
 * Invariants: an answer is found only under the key that it was asked by, which has the scope in it (P9), only before its
 * time is up, and only while the count of changes is what it was before the depot looked (a tag moved, content left). Memory
 * is bounded, prepared responses included; what was used longest ago goes first.
 */
export class KnownManifests {
  readonly #deps: KeepTermDeps;
  readonly #known: LRUCache<string, KnownManifest>;

  constructor(deps: KeepTermDeps, options: HitMemoryOptions) {
    this.#deps = deps;
    this.#known = new LRUCache({
      max: options.maxEntries,
      maxSize: options.maxBytes,
      sizeCalculation: ({ answer: { bytes } }, key) => copies * (bytes?.length ?? 0) + key.length + entryBytes,
    });
  }

  get size(): number {
    return this.#known.size;
  }

  get bytes(): number {
    return this.#known.calculatedSize;
  }

  get(key: string): KnownAnswer | undefined {
    const known = this.#known.get(key);
    if (known === undefined) return undefined;
    if (known.term.stands(this.#deps)) return known;
    this.#known.delete(key);
    return undefined;
  }

  /** Remembers what the depot answered to `request`, if it may be. */
  add(key: string, request: ManifestRequest, answer: ManifestAnswer): void {
    const { keep, digest, mediaType, sizeBytes, bytes } = answer;
    if (keep === undefined || keep.change !== this.#deps.changes.value) return;
    const again: ManifestAnswer = { digest, mediaType, sizeBytes, bytes, served: 'hit' };
    // A HEAD's answer may lack the bytes: it does not take the place of one that has them.
    if (bytes === undefined && this.get(key)?.answer.digest === digest) return;
    const { scope, reference } = request;
    const prepared = new PreparedContent(reference.kind, again);
    const term = new KeepTerm(keep, this.#deps.clock);
    this.#known.set(key, { answer: again, term, prepared, count: new HitCount(scope, digest, reference) });
  }
}
