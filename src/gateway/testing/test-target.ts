import assert from 'node:assert/strict';
import type { BodyTarget } from '../body-writer.ts';
import { ClientPace } from '../client-pace.ts';

/** A client that takes each block when the test says so. */
export class TestTarget implements BodyTarget {
  readonly log: string[] = [];
  readonly blocks: Buffer[] = [];
  readonly controller = new AbortController();
  readonly pace = new ClientPace();
  /** What it was handed and has not taken: the memory itself. */
  handed: Buffer | undefined;
  #taken: ((error?: Error | null) => void) | undefined;

  get signal(): AbortSignal {
    return this.controller.signal;
  }

  begin(alone: boolean): void {
    this.log.push(alone ? 'headers' : 'begin');
  }

  write(block: Uint8Array, taken: (error?: Error | null) => void): void {
    assert.equal(this.#taken, undefined, 'a second block while one is out');
    this.log.push('write');
    this.blocks.push(Buffer.from(block));
    this.handed = Buffer.from(block.buffer, block.byteOffset, block.length);
    this.#taken = taken;
  }

  end(): void {
    this.log.push('end');
  }

  get holding(): boolean {
    return this.#taken !== undefined;
  }

  take(error?: Error): void {
    const taken = this.#taken;
    this.#taken = undefined;
    this.handed = undefined;
    taken?.(error);
  }

  /** Takes every block at once until `run` is through, and settles as that does. */
  async takeUntil(run: Promise<void>): Promise<void> {
    let through = false;
    const end = run.finally(() => {
      through = true;
    });
    end.catch(() => {});
    while (!through) {
      await new Promise((resolve) => setImmediate(resolve));
      this.take();
    }
    return end;
  }
}
