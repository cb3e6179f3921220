import { createHash } from 'node:crypto';
import { get as getPlain, type IncomingMessage } from 'node:http';
import { get as getSecure } from 'node:https';
import { setTimeout as delay } from 'node:timers/promises';
import type { ServedPath } from '../support/subjects/static-files.ts';
import type { RunningSubject, Subject } from '../support/subjects/subject.ts';
import type { Upstream } from '../support/upstream/upstream.ts';

const attempts = 40;
const pauseMs = 250;

/**
 * Starts a subject and has it get everything there is, until it serves all of it without asking the upstream for a blob:
 * some store what they pull after they have answered. Every answer has the digest that it is asked for.
 */
export async function startWarm(
  subject: Subject,
  upstream: Upstream,
  paths: readonly ServedPath[],
): Promise<RunningSubject> {
  const running = await subject.start(upstream.url);
  try {
    for (let attempt = 1; ; attempt++) {
      await upstream.reset();
      for (const served of paths) await check(running.origin, served);
      if ((await upstream.report()).getBlob === 0) return running;
      if (attempt === attempts) throw new Error(`${subject.title} goes on asking the upstream for what it has served`);
      await delay(pauseMs);
    }
  } catch (error) {
    await running[Symbol.asyncDispose]();
    throw error;
  }
}

async function check(origin: string, { path, digest, mediaType, sizeBytes }: ServedPath): Promise<void> {
  const response = await get(`${origin}${path}`, { accept: mediaType });
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Uint8Array>) {
    hash.update(chunk);
    bytes += chunk.length;
  }
  const received = `sha256:${hash.digest('hex')}`;
  if (response.statusCode !== 200 || received !== digest || bytes !== sizeBytes) {
    throw new Error(`${origin}${path}: status ${response.statusCode}, ${bytes} bytes with ${received}`);
  }
}

function get(url: string, headers: Record<string, string>): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const request = url.startsWith('https:')
      ? getSecure(url, { agent: false, headers, rejectUnauthorized: false }, resolve)
      : getPlain(url, { agent: false, headers }, resolve);
    request.once('error', reject);
  });
}
