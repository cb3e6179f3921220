import { type Digest, DigestVerifier } from '../../core/digest.ts';
import { AppError } from '../../core/errors.ts';
import type { ContentHash, ContentHasher } from '../content-hasher.ts';
import { readFully } from '../fs/file-io.ts';
import { endsEarly, unreadable } from './unreadable.ts';

const blockBytes = 256 * 1024;

/** Hashes in the thread that asks for it, block by block, so that others get their turn: for tests, and where threads fail. */
export class InlineHasher implements ContentHasher {
  begin(digest: Digest, fd: number): ContentHash {
    return new InlineHash(digest, fd);
  }
}

/** Invariants: the hash has gone over exactly [0, `#at`); a block that is being read when `end` comes is not counted in. */
class InlineHash implements ContentHash {
  readonly #verifier: DigestVerifier;
  readonly #fd: number;
  #at = 0;
  #isEnded = false;
  #reading: Promise<unknown> = Promise.resolve();

  constructor(digest: Digest, fd: number) {
    this.#verifier = new DigestVerifier(digest);
    this.#fd = fd;
  }

  async advance(to: number): Promise<void> {
    const block = Buffer.allocUnsafe(Math.max(0, Math.min(blockBytes, to - this.#at)));
    while (this.#at < to || this.#isEnded) {
      if (this.#isEnded) throw new AppError('CANCELLED', 'the hash is not wanted any more');
      const bytes = block.subarray(0, to - this.#at);
      const reading = readFully(this.#fd, bytes, this.#at);
      this.#reading = reading.catch(() => {});
      const bytesRead = await reading.catch((error: unknown) => {
        throw unreadable(error);
      });
      if (this.#isEnded) continue;
      if (bytesRead < bytes.length) throw endsEarly();
      this.#verifier.update(bytes);
      this.#at += bytesRead;
    }
  }

  async finish(to: number): Promise<Digest> {
    await this.advance(to);
    return this.#verifier.finish();
  }

  async end(): Promise<void> {
    this.#isEnded = true;
    await this.#reading;
  }
}
