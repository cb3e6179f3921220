import { read } from 'node:fs';
import { LRUCache } from 'lru-cache';
import { algorithmOf, type Digest, digestOf } from '../../core/digest.ts';
import type { ManifestAnswer } from '../../pull/depot.ts';
import type { KnownBlob } from './known-blobs.ts';
import { PreparedContent } from './prepared-content.ts';
import { mostCopiedBytes } from './prepared-response.ts';

/** Larger ones are served of shared blocks. */
export const mostSmallBytes = 128 * 1024;

export interface PreparedBlob {
  readonly answer: ManifestAnswer;
  readonly prepared: PreparedContent;
}

/** What an entry takes beside its bytes: a few responses that are nothing but a head. */
const entryBytes = 4 * 1024;
/** From so many uses under one lease on a blob is worth its memory. */
const loadedFromUses = 2;

/**
 * Answers about blobs that are made once: the bytes of small ones that are hot, and what HEAD is told of any.
 *
 * Invariants
 * - Bytes are kept only if they were read as a whole and have the digest: from then on they are right whatever becomes of
 *   the file (P4). Whether anybody may have them is not known here: ask `KnownBlobs`, each time.
 * - A file is read under a use of its own, entered before the read and left when that is over.
 * - Memory is bounded; what was used longest ago goes first. A read under way is none of it: of these there are as many as
 *   files, each read once at a time, by those who are served of them.
 */
export class PreparedBlobs {
  readonly #prepared: LRUCache<string, PreparedBlob>;
  readonly #reading = new Set<Digest>();

  constructor({ maxBytes }: { maxBytes: number }) {
    this.#prepared = new LRUCache({
      maxSize: maxBytes,
      sizeCalculation: ({ answer: { bytes } }) => copiesOf(bytes) * (bytes?.length ?? 0) + entryBytes,
    });
  }

  get bytes(): number {
    return this.#prepared.calculatedSize;
  }

  /** Of these, the content itself. */
  get contentBytes(): number {
    let sum = 0;
    for (const { answer } of this.#prepared.values()) sum += answer.bytes?.length ?? 0;
    return sum;
  }

  /** With its bytes. */
  whole(digest: Digest): PreparedBlob | undefined {
    const known = this.#prepared.get(digest);
    return known?.answer.bytes === undefined ? undefined : known;
  }

  described(digest: Digest, sizeBytes: number): PreparedBlob {
    const known = this.#prepared.get(digest);
    if (known?.answer.sizeBytes === sizeBytes) return known;
    return this.#add(digest, sizeBytes, undefined);
  }

  /** `known` was of use again, and its use is entered: its bytes are kept from now on, if that is worth it. */
  used(digest: Digest, known: KnownBlob): void {
    const { lease, use } = known;
    const { fd, sizeBytes } = lease;
    if (sizeBytes > mostSmallBytes || sizeBytes === 0) return;
    known.uses++;
    if (known.uses < loadedFromUses || this.#reading.has(digest) || this.whole(digest) !== undefined) return;
    if (!use.enter()) return;
    this.#reading.add(digest);
    // Memory of its own: what is held for clients is counted by what it is part of.
    const bytes = Buffer.allocUnsafeSlow(sizeBytes);
    read(fd, bytes, 0, sizeBytes, 0, (error, bytesRead) => {
      use.leave();
      this.#reading.delete(digest);
      if (error !== null || bytesRead !== sizeBytes || digestOf(bytes, algorithmOf(digest)) !== digest) return;
      this.#add(digest, sizeBytes, bytes);
    });
  }

  #add(digest: Digest, sizeBytes: number, bytes: Buffer | undefined): PreparedBlob {
    const mediaType = 'application/octet-stream';
    const answer: ManifestAnswer = { digest, mediaType, sizeBytes, bytes, served: 'hit' };
    const blob = { answer, prepared: new PreparedContent('digest', answer) };
    this.#prepared.set(digest, blob);
    return blob;
  }
}

/** Short bytes are copied into each of two responses. */
function copiesOf(bytes: Uint8Array | undefined): number {
  return bytes === undefined || bytes.length > mostCopiedBytes ? 1 : 3;
}
