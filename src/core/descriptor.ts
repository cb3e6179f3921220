import type { Digest } from './digest.ts';

/** What a manifest says of content that it references (image-spec "Content Descriptors"), as far as a cache needs it. */
export interface Descriptor {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly sizeBytes: number;
}
