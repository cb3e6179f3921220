import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

// Below the range that Linux takes ports of outgoing connections from, so that none of those gets in between.
const [firstPort, lastPort] = [18_000, 32_000];

/** Where a server runs, and how this process reaches it. */
export interface Place {
  /** By which its clients reach it. */
  readonly address: string;
  /** By which this process does. */
  readonly controlAddress: string;
  /** What enters the place and becomes a command there: its process is the same. */
  readonly wrapper: readonly string[];
}

/** This machine itself. */
export const loopback: Place = { address: '127.0.0.1', controlAddress: '127.0.0.1', wrapper: [] };

/** A port on 127.0.0.1 that nobody listens on, for servers that cannot choose one themselves. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = firstPort + Math.floor(Math.random() * (lastPort - firstPort));
    const server = createServer();
    server.listen({ port, host: '127.0.0.1' });
    try {
      await once(server, 'listening');
    } catch {
      continue;
    }
    server.close();
    await once(server, 'close');
    return port;
  }
}

/** Asks again, ever more slowly, until `isUp` says so; throws after `deadlineMs`. For programs that tell nobody. */
export async function untilUp(isUp: () => Promise<boolean>, what: string, deadlineMs = 15_000): Promise<void> {
  const giveUpAt = performance.now() + deadlineMs;
  for (let pauseMs = 5; performance.now() < giveUpAt; pauseMs = Math.min(200, pauseMs * 2)) {
    if (await isUp()) return;
    await delay(pauseMs);
  }
  throw new Error(`${what} is not up after ${deadlineMs} ms`);
}

/** A directory of its own that goes with its owner. */
export class TemporaryDirectory implements AsyncDisposable {
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  static async make(): Promise<TemporaryDirectory> {
    return new TemporaryDirectory(await mkdtemp(join(tmpdir(), 'onepull-test-')));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.path, { recursive: true, force: true, maxRetries: 3 });
  }
}
