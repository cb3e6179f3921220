import { setImmediate } from 'node:timers/promises';
import type { Clock } from '../../core/clock.ts';
import type { Digest } from '../../core/digest.ts';

export interface PinnedContentDeps {
  readonly clock: Pick<Clock, 'monotonic'>;
  readonly blobs: {
    find(digest: Digest): { readonly sizeBytes: number } | undefined;
    pinned(): { readonly roots: number; readonly bytes: number };
    pinnedRoots(): Digest[];
  };
  readonly references: { childrenOf(digest: Digest): readonly Digest[] };
}

const [partsAtOnce, staleAfterMs] = [100, 10_000];

interface Count {
  readonly roots: number;
  readonly rootBytes: number;
  readonly bytes: number;
  readonly atMs: number;
}

/**
 * What pinned images take, all that they reference included.
 *
 * Invariants: nobody waits for it. It is counted when somebody asks, some parts in each turn of the event loop, and counts for
 * some seconds; until it is known, and as soon as other manifests are pinned, it is what these take by themselves. So it is
 * hardly ever more than the truth: room that pins are said to take is not looked for.
 */
export class PinnedContent implements AsyncDisposable {
  readonly #deps: PinnedContentDeps;
  #known: Count | undefined;
  #counting: Promise<void> | undefined;
  #isStopped = false;

  constructor(deps: PinnedContentDeps) {
    this.#deps = deps;
  }

  bytes(): number {
    const { roots, bytes } = this.#deps.blobs.pinned();
    if (roots === 0) return 0;
    const known = this.#known;
    const isSame = known !== undefined && known.roots === roots && known.rootBytes === bytes;
    const isFresh = isSame && this.#deps.clock.monotonic() - known.atMs < staleAfterMs;
    if (!isFresh && !this.#isStopped) this.#counting ??= this.#count(roots, bytes);
    return isSame ? known.bytes : bytes;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStopped = true;
    await this.#counting;
  }

  async #count(roots: number, rootBytes: number): Promise<void> {
    try {
      await setImmediate();
      const bytes = await this.#sum();
      if (bytes !== undefined) this.#known = { roots, rootBytes, bytes, atMs: this.#deps.clock.monotonic() };
    } catch {
      // The catalog is in trouble, which is told elsewhere: what was known counts on.
    } finally {
      this.#counting = undefined;
    }
  }

  async #sum(): Promise<number | undefined> {
    const { blobs, references } = this.#deps;
    const parts = new Set(blobs.pinnedRoots());
    let [bytes, count] = [0, 0];
    // A set is walked to its end, however much is added meanwhile.
    for (const digest of parts) {
      bytes += blobs.find(digest)?.sizeBytes ?? 0;
      for (const child of references.childrenOf(digest)) parts.add(child);
      if (++count % partsAtOnce === 0) await setImmediate();
      if (this.#isStopped) return undefined;
    }
    return bytes;
  }
}
