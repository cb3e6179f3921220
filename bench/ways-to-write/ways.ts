import { createReadStream, read } from 'node:fs';
import type { ServerResponse } from 'node:http';

/** How a body gets from a file to a socket. */
export type WayName = 'pipe' | 'pooled' | 'shared' | 'shared-vectors' | 'shared-ahead';

export interface Way {
  readonly name: WayName;
  readonly blockBytes: number;
}

export const wayTitles: Readonly<Record<WayName, string>> = {
  pipe: '`fs.createReadStream().pipe()`',
  pooled: 'read into a pooled buffer, then write',
  shared: 'write blocks that all answers share, one after the other',
  'shared-vectors': 'four shared blocks in one `writev` (cork)',
  'shared-ahead': 'four shared blocks handed over before the first is taken, as a larger socket buffer would hold them',
};

/** The file of which bodies are made. `shared`: all of it, in memory of all threads. */
export interface Content {
  readonly path: string;
  readonly fd: number;
  readonly sizeBytes: number;
  readonly shared: SharedArrayBuffer;
}

/** Together in one call, or ahead. */
const several = 4;

/** Sends the whole file, by one of the ways. */
export class WayToWrite {
  readonly #way: Way;
  readonly #content: Content;
  readonly #blocks: Buffer[] = [];
  readonly #pool: Buffer[] = [];

  constructor(way: Way, content: Content) {
    this.#way = way;
    this.#content = content;
    for (let at = 0; at < content.sizeBytes; at += way.blockBytes) {
      this.#blocks.push(Buffer.from(content.shared, at, Math.min(way.blockBytes, content.sizeBytes - at)));
    }
  }

  send(response: ServerResponse): void {
    response.writeHead(200, { 'Content-Length': this.#content.sizeBytes });
    switch (this.#way.name) {
      case 'pipe':
        return this.#pipe(response);
      case 'pooled':
        return this.#pooled(response, 0);
      case 'shared':
        return this.#shared(response, 0);
      case 'shared-vectors':
        return this.#vectors(response, 0);
      case 'shared-ahead':
        return this.#ahead(response);
    }
  }

  #pipe(response: ServerResponse): void {
    createReadStream(this.#content.path, { highWaterMark: this.#way.blockBytes }).pipe(response);
  }

  #pooled(response: ServerResponse, at: number): void {
    const { fd, sizeBytes } = this.#content;
    if (at === sizeBytes) return void response.end();
    const buffer = this.#pool.pop() ?? Buffer.allocUnsafeSlow(this.#way.blockBytes);
    read(fd, buffer, 0, Math.min(buffer.length, sizeBytes - at), at, (error, bytes) => {
      if (error) return void response.destroy();
      response.write(bytes === buffer.length ? buffer : buffer.subarray(0, bytes), (failure) => {
        this.#pool.push(buffer);
        if (!failure) this.#pooled(response, at + bytes);
      });
    });
  }

  #shared(response: ServerResponse, index: number): void {
    const block = this.#blocks[index];
    if (block === undefined) return void response.end();
    response.write(block, (failure) => {
      if (!failure) this.#shared(response, index + 1);
    });
  }

  #vectors(response: ServerResponse, index: number): void {
    const blocks = this.#blocks.slice(index, index + several);
    const last = blocks.pop();
    if (last === undefined) return void response.end();
    response.cork();
    for (const block of blocks) response.write(block);
    response.write(last, (failure) => {
      if (!failure) this.#vectors(response, index + several);
    });
    response.uncork();
  }

  #ahead(response: ServerResponse): void {
    let index = 0;
    const next = (failure?: Error | null) => {
      const block = this.#blocks[index++];
      if (failure || block === undefined) return;
      if (index < this.#blocks.length) response.write(block, next);
      else response.end(block);
    };
    for (let ahead = 0; ahead < several; ahead++) next();
  }
}
