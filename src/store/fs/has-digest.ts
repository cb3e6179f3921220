import { type Digest, DigestVerifier } from '../../core/digest.ts';
import { readFully } from './file-io.ts';

const chunkBytes = 256 * 1024;

/** Reads the open file whole and says whether it has the digest. False where it cannot be read. */
export async function hasDigest(fd: number, digest: Digest): Promise<boolean> {
  const verifier = new DigestVerifier(digest);
  const chunk = new Uint8Array(chunkBytes);
  try {
    for (let position = 0; ; ) {
      const bytes = await readFully(fd, chunk, position);
      verifier.update(chunk.subarray(0, bytes));
      position += bytes;
      if (bytes < chunkBytes) return verifier.finish() === digest;
    }
  } catch {
    return false;
  }
}
