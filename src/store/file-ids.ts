/**
 * Numbers for open files: none is ever given again, so bytes that were remembered by one are of no other file, whatever
 * becomes of its name and its descriptor.
 */
export class FileIds {
  #last = 0;

  next(): number {
    this.#last++;
    return this.#last;
  }
}
