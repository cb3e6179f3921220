import type { ChangeCount } from '../core/change-count.ts';
import { acceptVariant } from './accept.ts';
import type { Keep, ManifestAnswer, ManifestRequest } from './depot.ts';
import type { Manifest, ManifestContent } from './manifest-content.ts';
import type { Resolution, Tags } from './tags.ts';

/**
 * Answers requests for manifests, by tag or by digest.
 *
 * Invariant: an answer may be given again to the very same question (scope, reference, accepted types, method) as long as
 * nothing it was made of has changed: so the change that `keep` names was read before the first look at anything. By a
 * digest it has no other end; by a tag it ends when the tag has to be revalidated, and a stale one is never kept.
 */
export class Manifests {
  readonly #changes: Pick<ChangeCount, 'value'>;
  readonly #content: ManifestContent;
  readonly #tags: Tags;

  constructor(deps: { readonly changes: Pick<ChangeCount, 'value'> }, content: ManifestContent, tags: Tags) {
    this.#changes = deps.changes;
    this.#content = content;
    this.#tags = tags;
  }

  async answer(request: ManifestRequest, signal: AbortSignal): Promise<ManifestAnswer> {
    const change = this.#changes.value;
    const { scope, reference, method } = request;
    if (reference.kind === 'digest') {
      const { manifest, served } = await this.#content.get(scope, reference.digest, signal);
      return answerWith(manifest, served, keepForGood(change));
    }
    const how = { method, isFresh: request.isFresh === true };
    const resolved = await this.#tags.resolve(scope, reference.tag, acceptVariant(request.accept), how, signal);
    const keep = resolved.freshUntilMs === undefined ? undefined : { change, untilMs: resolved.freshUntilMs };
    if (resolved.manifest !== undefined) return answerWith(resolved.manifest, resolved.served, keep);
    const described = this.#describe(request, resolved, keep);
    if (described !== undefined) return described;
    const { manifest, served } = await this.#content.get(scope, resolved.digest, signal);
    return answerWith(manifest, served === 'hit' ? resolved.served : served, keep);
  }

  /** HEAD needs no bytes where their type and size are known. */
  #describe(request: ManifestRequest, resolved: Resolution, keep: Keep | undefined): ManifestAnswer | undefined {
    if (request.method !== 'HEAD') return undefined;
    const { digest, served } = resolved;
    const known = this.#content.described(request.scope, digest);
    const mediaType = resolved.mediaType ?? known?.mediaType;
    const sizeBytes = resolved.sizeBytes ?? known?.sizeBytes;
    if (mediaType === undefined || sizeBytes === undefined) return undefined;
    return { digest, mediaType, sizeBytes, bytes: undefined, served, keep };
  }
}

/** What only a change ends. */
export function keepForGood(change: number): Keep {
  return { change, untilMs: Number.MAX_SAFE_INTEGER };
}

function answerWith(manifest: Manifest, served: ManifestAnswer['served'], keep: Keep | undefined): ManifestAnswer {
  const { digest, mediaType, bytes } = manifest;
  return { digest, mediaType, sizeBytes: bytes.length, bytes, served, keep };
}
