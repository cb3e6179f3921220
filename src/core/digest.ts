import { createHash, type Hash } from 'node:crypto';

/**
 * A content digest, `<algorithm>:<lowercase hex>`, of an algorithm we can verify (image-spec "Digests").
 * Parsed once at the edge; inside it is a string that compares and keys as one.
 */
export type Digest = string & { readonly __brand: 'Digest' };

export type DigestAlgorithm = 'sha256' | 'sha512';

const forms: Readonly<Record<DigestAlgorithm, RegExp>> = {
  sha256: /^sha256:[0-9a-f]{64}$/,
  sha512: /^sha512:[0-9a-f]{128}$/,
};

/** The digest that `text` spells, or undefined when it is malformed or of an algorithm that we cannot verify. */
export function parseDigest(text: string): Digest | undefined {
  return forms.sha256.test(text) || forms.sha512.test(text) ? (text as Digest) : undefined;
}

/** Whether `text` has the form of a digest at all (an `:` never occurs in a tag). */
export function looksLikeDigest(text: string): boolean {
  return text.includes(':');
}

export function algorithmOf(digest: Digest): DigestAlgorithm {
  return digest.startsWith('sha512:') ? 'sha512' : 'sha256';
}

/** The hex part, which is the file name in an OCI image layout. */
export function hexOf(digest: Digest): string {
  return digest.slice(digest.indexOf(':') + 1);
}

export function digestOf(bytes: Uint8Array, algorithm: DigestAlgorithm = 'sha256'): Digest {
  return finish(createHash(algorithm).update(bytes), algorithm);
}

/** A running hash for `digest`'s algorithm, and whether what went in is what `digest` names. */
export class DigestVerifier {
  readonly #digest: Digest;
  readonly #hash: Hash;

  constructor(digest: Digest, hash: Hash = createHash(algorithmOf(digest))) {
    this.#digest = digest;
    this.#hash = hash;
  }

  /** Another one that goes on from here by itself. */
  copy(): DigestVerifier {
    return new DigestVerifier(this.#digest, this.#hash.copy());
  }

  update(bytes: Uint8Array): void {
    this.#hash.update(bytes);
  }

  /** Ends the hash: returns the digest of all that went in. */
  finish(): Digest {
    return finish(this.#hash, algorithmOf(this.#digest));
  }
}

function finish(hash: Hash, algorithm: DigestAlgorithm): Digest {
  return `${algorithm}:${hash.digest('hex')}` as Digest;
}
