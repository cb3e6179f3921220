import assert from 'node:assert/strict';
import { MessageChannel } from 'node:worker_threads';
import { systemClock } from '../../core/clock.ts';
import { type Digest, parseDigest } from '../../core/digest.ts';
import type { AppError } from '../../core/errors.ts';
import type { FillMark } from '../../core/fill-mark.ts';
import type { BlobAnswer, BlobBody, BlobStorage, Depot, HitNote } from '../../pull/depot.ts';
import { DepotClient } from '../threads/depot-client.ts';
import { DepotHost, SharedParts } from '../threads/depot-host.ts';
import type { ToDepot } from '../threads/messages.ts';
import { TestDepot, testNames } from './test-depot.ts';

const parsed = parseDigest(`sha256:${'a'.repeat(64)}`);
assert(parsed !== undefined);
export const digest: Digest = parsed;
export const scope = testNames.resolve(undefined, 'library/a');
export const request = { scope, digest, method: 'GET', range: undefined, client: 'test' } as const;
export const never = new AbortController().signal;

/** A body that a test moves. */
export class HandBody implements BlobBody {
  readonly start = 0;
  end: number | undefined = 1000;
  storage: BlobStorage = { kind: 'file', fd: 99, fileId: 7, sizeBytes: 1000 };
  mark: FillMark | undefined;
  readable = 0;
  closed = 0;
  asked = 0;
  readonly slept: number[] = [];
  /** What the next calls of `whenReadable` and `unreadable` do. */
  next: (offset: number, signal: AbortSignal) => Promise<number> = async () => this.readable;

  readableTo(offset: number): number {
    return Math.max(offset, this.readable);
  }
  whenReadable(offset: number, signal: AbortSignal): Promise<number> {
    this.asked++;
    return this.next(offset, signal);
  }
  async unreadable(offset: number, error: AppError, signal: AbortSignal): Promise<void> {
    if (error.code !== 'STORAGE_FAILED') throw error;
    await this.next(offset, signal);
  }
  sleepsAt(offset: number): void {
    this.slept.push(offset);
  }
  close(): void {
    this.closed++;
  }
}

/** A client and a host that talk, in one thread. */
export function line(depot: Depot) {
  const { port1, port2 } = new MessageChannel();
  const told: HitNote[] = [];
  const sent: ToDepot[] = [];
  port2.on('message', (message: ToDepot) => sent.push(message));
  const hits = { noteHits: (notes: readonly HitNote[]) => void told.push(...notes) };
  const host = new DepotHost({ depot, hits, parts: new SharedParts() }, port2);
  const client = new DepotClient({ clock: systemClock }, port1);
  return {
    client,
    host,
    told,
    sent,
    /** What was said in one direction before this has arrived. */
    async settled() {
      for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
    },
    [Symbol.dispose]() {
      host[Symbol.dispose]();
      port1.close();
    },
  };
}

export function depotOf(body: BlobBody, sizeBytes: number | undefined = 1000): TestDepot {
  const depot = new TestDepot();
  depot.blob = async (): Promise<BlobAnswer> => ({ kind: 'body', sizeBytes, part: undefined, body, served: 'led' });
  return depot;
}

export async function bodyOf(client: Depot): Promise<BlobBody> {
  const answer = await client.blob(request, never);
  assert(answer.kind === 'body');
  return answer.body;
}
