import type { DigestAlgorithm } from '../../core/digest.ts';

/** What a hash thread is told. */
export type HashOrder =
  /** Hash on up to `to`; with `isEnd`: that is all, say the digest and forget the hash. An unknown hash begins at 0. */
  | {
      readonly kind: 'step';
      readonly hash: number;
      readonly algorithm: DigestAlgorithm;
      readonly fd: number;
      readonly to: number;
      readonly isEnd: boolean;
    }
  | { readonly kind: 'forget'; readonly hash: number };

/** Its answer to each step. After a failure the hash is forgotten. */
export type HashReport =
  | { readonly kind: 'hashed'; readonly hash: number; readonly hex: string | undefined }
  | { readonly kind: 'short'; readonly hash: number }
  | { readonly kind: 'unreadable'; readonly hash: number; readonly message: string; readonly code: string | undefined };
