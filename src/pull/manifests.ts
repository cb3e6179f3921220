import { acceptVariant } from './accept.ts';
import type { ManifestAnswer, ManifestRequest } from './depot.ts';
import type { Manifest, ManifestContent } from './manifest-content.ts';
import type { Resolution, Tags } from './tags.ts';

/** Answers requests for manifests, by tag or by digest. */
export class Manifests {
  readonly #content: ManifestContent;
  readonly #tags: Tags;

  constructor(content: ManifestContent, tags: Tags) {
    this.#content = content;
    this.#tags = tags;
  }

  async answer(request: ManifestRequest, signal: AbortSignal): Promise<ManifestAnswer> {
    const { scope, reference, method } = request;
    if (reference.kind === 'digest') {
      const { manifest, served } = await this.#content.get(scope, reference.digest, signal);
      return answerWith(manifest, served);
    }
    const resolved = await this.#tags.resolve(scope, reference.tag, acceptVariant(request.accept), method, signal);
    if (resolved.manifest !== undefined) return answerWith(resolved.manifest, resolved.served);
    const described = this.#describe(request, resolved);
    if (described !== undefined) return described;
    const { manifest, served } = await this.#content.get(scope, resolved.digest, signal);
    return answerWith(manifest, served === 'hit' ? resolved.served : served);
  }

  /** HEAD needs no bytes where their type and size are known. */
  #describe(request: ManifestRequest, resolved: Resolution): ManifestAnswer | undefined {
    if (request.method !== 'HEAD') return undefined;
    const { digest, served } = resolved;
    const known = this.#content.described(request.scope, digest);
    const mediaType = resolved.mediaType ?? known?.mediaType;
    const sizeBytes = resolved.sizeBytes ?? known?.sizeBytes;
    if (mediaType === undefined || sizeBytes === undefined) return undefined;
    return { digest, mediaType, sizeBytes, bytes: undefined, served };
  }
}

function answerWith(manifest: Manifest, served: ManifestAnswer['served']): ManifestAnswer {
  const { digest, mediaType, bytes } = manifest;
  return { digest, mediaType, sizeBytes: bytes.length, bytes, served };
}
