import { createHash } from 'node:crypto';
import { type Digest, digestOf } from '../../core/digest.ts';
import { Keystream } from './keystream.ts';
import { StoredGzip, storedGzipBytes } from './stored-gzip.ts';

const tarBlock = 512;
const tarOverhead = 3 * tarBlock; // one header, two blocks of zeros at the end

/** Layers from this size on are tar archives that clients can unpack; smaller ones are plain bytes. */
export const smallestRealLayerBytes: number = storedGzipBytes(tarOverhead + tarBlock);

export interface BuiltLayer {
  readonly bytes: Uint8Array;
  readonly digest: Digest;
  /** The digest of the uncompressed tar, for the image's config. */
  readonly diffId: Digest;
}

/** A gzipped tar of exactly `sizeBytes` with one file of random bytes, `data/<name>.bin`. The seed decides every bit. */
export function buildLayer(seed: string, name: string, sizeBytes: number): BuiltLayer {
  const keystream = new Keystream(seed);
  if (sizeBytes < smallestRealLayerBytes) {
    const bytes = keystream.bytes(sizeBytes);
    return { bytes, digest: digestOf(bytes), diffId: digestOf(bytes) };
  }
  const tarBytes = largestTar(sizeBytes);
  const fileBytes = tarBytes - tarOverhead;
  const gzip = new StoredGzip(tarBytes, sizeBytes);
  const tarHash = createHash('sha256');
  const write = (piece: Uint8Array) => {
    tarHash.update(piece);
    gzip.write(piece);
  };
  write(tarHeader(`data/${name}.bin`, fileBytes));
  for (const piece of keystream.pieces(fileBytes)) write(piece);
  write(Buffer.alloc(2 * tarBlock));
  const bytes = gzip.finish();
  return { bytes, digest: digestOf(bytes), diffId: `sha256:${tarHash.digest('hex')}` as Digest };
}

/** The largest tar whose gzip fits in `sizeBytes`. */
function largestTar(sizeBytes: number): number {
  let tarBytes = Math.floor(sizeBytes / tarBlock) * tarBlock;
  while (storedGzipBytes(tarBytes) > sizeBytes) {
    const excess = storedGzipBytes(tarBytes) - sizeBytes;
    tarBytes -= Math.max(1, Math.floor(excess / tarBlock)) * tarBlock;
  }
  return tarBytes;
}

/** A ustar header (POSIX.1-1988) of one regular file. */
function tarHeader(path: string, fileBytes: number): Buffer {
  const header = Buffer.alloc(tarBlock);
  const octal = (value: number, digits: number) => value.toString(8).padStart(digits, '0');
  header.write(path, 0);
  header.write(octal(0o644, 7), 100);
  header.write(octal(0, 7), 108);
  header.write(octal(0, 7), 116);
  header.write(octal(fileBytes, 11), 124);
  header.write(octal(0, 11), 136);
  header.fill(' ', 148, 156);
  header.write('0', 156);
  header.write('ustar\u000000', 257, 'latin1');
  const checksum = header.reduce((sum, byte) => sum + byte, 0);
  header.write(`${octal(checksum, 6)}\u0000 `, 148, 'latin1');
  return header;
}
