import { LRUCache } from 'lru-cache';
import type { Clock } from '../../core/clock.ts';
import type { Digest } from '../../core/digest.ts';
import type { FileIdentity } from './file-identity.ts';

interface Verdict {
  readonly identity: FileIdentity;
  readonly isRight: boolean;
  readonly atMs: number;
}

const maxVerdicts = 65_536;

/**
 * Which files were found to have the digest that they are named by, or not to have it: the last verdict on each digest,
 * for as long as the file stays as it was and the process lives. Bounded: what was not asked about for longest is
 * forgotten, which costs hashing it again.
 */
export class ProofLedger {
  readonly #clock: Clock;
  readonly #verifyAfterMs: number;
  readonly #verdicts = new LRUCache<Digest, Verdict>({ max: maxVerdicts });

  /** @param options.verifyAfterMs how long a good verdict holds; 0: never */
  constructor(deps: { readonly clock: Clock }, options: { readonly verifyAfterMs: number }) {
    this.#clock = deps.clock;
    this.#verifyAfterMs = options.verifyAfterMs;
  }

  right(digest: Digest, identity: FileIdentity): void {
    this.#verdicts.set(digest, { identity, isRight: true, atMs: this.#clock.monotonic() });
  }

  wrong(digest: Digest, identity: FileIdentity): void {
    this.#verdicts.set(digest, { identity, isRight: false, atMs: this.#clock.monotonic() });
  }

  /** Whether this very file was found right lately enough to be served as it is. */
  isProved(digest: Digest, identity: FileIdentity): boolean {
    return this.provedForMs(digest, identity) > 0;
  }

  /** For how long it may still be served as it is; not positive: no longer. */
  provedForMs(digest: Digest, identity: FileIdentity): number {
    const verdict = this.#verdicts.get(digest);
    if (verdict === undefined || !verdict.isRight || verdict.identity !== identity) return 0;
    return this.#verifyAfterMs - (this.#clock.monotonic() - verdict.atMs);
  }

  /** Whether this very file was found wrong, and could not be put away. */
  isWrong(digest: Digest, identity: FileIdentity): boolean {
    const verdict = this.#verdicts.get(digest);
    return verdict !== undefined && !verdict.isRight && verdict.identity === identity;
  }
}
