import { crc32 } from 'node:zlib';

const blockBytes = 65_535;
const fixedHeaderBytes = 10;
const trailerBytes = 8;
const extraFlag = 0x04;
const commentFlag = 0x10;

/** Bytes that `contentBytes` take as gzip of stored blocks, without padding. */
export function storedGzipBytes(contentBytes: number): number {
  const blocks = Math.max(1, Math.ceil(contentBytes / blockBytes));
  return fixedHeaderBytes + contentBytes + 5 * blocks + trailerBytes;
}

/**
 * Writes gzip (RFC 1952) whose deflate blocks are all "stored" (RFC 1951 section 3.2.4): real gzip for every client, at
 * the speed of copying, the same bytes under every version of zlib, and of exactly the size that was asked for: what is
 * missing is padding in the header's extra field.
 */
export class StoredGzip {
  readonly output: Buffer;
  readonly #contentBytes: number;
  #written = 0;
  #position: number;
  #crc = 0;

  /** `sizeBytes` is the size of the whole output, `contentBytes` that of what will be written into it. */
  constructor(contentBytes: number, sizeBytes: number) {
    const padding = sizeBytes - storedGzipBytes(contentBytes);
    if (padding < 0 || padding > 65_000) throw new RangeError(`cannot pad gzip by ${padding} bytes`);
    this.#contentBytes = contentBytes;
    this.output = Buffer.allocUnsafe(sizeBytes);
    this.#position = fixedHeaderBytes + padding;
    this.#writeHeader(padding);
  }

  write(content: Uint8Array): void {
    this.#crc = crc32(content, this.#crc);
    for (let from = 0; from < content.length; ) {
      const intoBlock = this.#written % blockBytes;
      if (intoBlock === 0) this.#startBlock();
      const part = content.subarray(from, from + blockBytes - intoBlock);
      this.output.set(part, this.#position);
      this.#position += part.length;
      this.#written += part.length;
      from += part.length;
    }
  }

  finish(): Buffer {
    if (this.#written !== this.#contentBytes) throw new RangeError('less content than was announced');
    if (this.#contentBytes === 0) this.#startBlock();
    this.output.writeUInt32LE(this.#crc, this.#position);
    this.output.writeUInt32LE(this.#contentBytes % 2 ** 32, this.#position + 4);
    return this.output;
  }

  #writeHeader(padding: number): void {
    // An extra field takes two bytes at least; a single missing byte is an empty comment.
    const flags = padding === 0 ? 0 : padding === 1 ? commentFlag : extraFlag;
    this.output.fill(0, 0, this.#position);
    this.output.set([0x1f, 0x8b, 8, flags, 0, 0, 0, 0, 0, 255]);
    if (flags === extraFlag) this.output.writeUInt16LE(padding - 2, fixedHeaderBytes);
  }

  #startBlock(): void {
    const length = Math.min(blockBytes, this.#contentBytes - this.#written);
    const isLast = this.#written + length === this.#contentBytes;
    this.output.writeUInt8(isLast ? 1 : 0, this.#position);
    this.output.writeUInt16LE(length, this.#position + 1);
    this.output.writeUInt16LE(length ^ 0xffff, this.#position + 3);
    this.#position += 5;
  }
}
