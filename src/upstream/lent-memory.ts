/** So much at a time: a read takes what has come, up to this. */
const pieceBytes = 256 * 1024;
/** More than the writer gathers while it writes as much. */
const mostPieces = 8;
/** A read into less is not worth the call: the next piece is begun. */
const leastBytes = 64 * 1024;

/**
 * Memory that the bytes of one body are received in, lent to who writes them down, and used again.
 *
 * Invariants: what is lent is not written to until it was given back. Bytes are given back in the order in which they were
 * lent. There is always a `space`, which nobody has been lent: of the pieces one is set aside for it. While `isShort` it is
 * the last one, and no more than what is on its way should be received until something was given back.
 */
export class LentMemory {
  readonly #free: Buffer[] = [];
  /** Full pieces of which something is still lent, oldest first, and how much was ever lent of each. */
  readonly #lent: { readonly piece: Buffer; readonly bytes: number }[] = [];
  #pieces = 1;
  #piece: Buffer = Buffer.allocUnsafeSlow(pieceBytes);
  /** Of it so much is lent, or was; and so much has bytes. */
  #used = 0;
  #filled = 0;
  /** Of the oldest piece, and of those after it. */
  #returnedBytes = 0;

  /** Where the next bytes may be put. Another one after each `fill` and `lend`, and only then. */
  get space(): Buffer {
    return this.#filled === 0 ? this.#piece : this.#piece.subarray(this.#filled);
  }

  get isShort(): boolean {
    return this.#free.length === 0 && this.#pieces >= mostPieces;
  }

  /** What has been put there is to be lent before there is more. */
  get isFull(): boolean {
    return this.#piece.length - this.#filled < leastBytes;
  }

  /** What is there and not lent yet, in bytes. */
  get waitingBytes(): number {
    return this.#filled - this.#used;
  }

  /** The first `bytes` of `space` are there. Not while it is full. */
  fill(bytes: number): void {
    this.#filled += bytes;
  }

  /** Lends what is there. */
  lend(): Buffer {
    const lent = this.#piece.subarray(this.#used, this.#filled);
    this.#used = this.#filled;
    if (!this.isFull) return lent;
    this.#lent.push({ piece: this.#piece, bytes: this.#used });
    this.#piece = this.#free.pop() ?? this.#more();
    this.#used = 0;
    this.#filled = 0;
    return lent;
  }

  giveBack(bytes: number): void {
    this.#returnedBytes += bytes;
    for (let oldest = this.#lent[0]; oldest !== undefined; oldest = this.#lent[0]) {
      if (this.#returnedBytes < oldest.bytes) return;
      this.#returnedBytes -= oldest.bytes;
      this.#lent.shift();
      this.#free.push(oldest.piece);
    }
  }

  #more(): Buffer {
    this.#pieces++;
    return Buffer.allocUnsafeSlow(pieceBytes);
  }
}
