import { setTimeout as delay } from 'node:timers/promises';
import { parentPort, workerData } from 'node:worker_threads';
import type { Content } from '../../src/cli/demo/image.ts';
import { PullClient } from '../support/client.ts';
import { chaosPull } from './chaos-pull.ts';
import type { CrowdAnswer, CrowdRequest, CrowdStart, RushReport } from './crowd.ts';
import { Lifeline } from './lifeline.ts';
import type { Placed } from './world.ts';

/** The thread that a `Crowd` starts: every client of onepull. */
const { world, origin, lifeline: memory } = workerData as CrowdStart;
const lifeline = new Lifeline(memory);
const everybody = new AbortController();
let rushing = new AbortController();

parentPort?.on('message', async (request: CrowdRequest) => {
  if (request.do === 'calm') rushing.abort();
  else if (request.do === 'leave') everybody.abort();
  else parentPort?.postMessage(await answerTo(request));
});

async function answerTo(request: Extract<CrowdRequest, { task: number }>): Promise<CrowdAnswer> {
  const { task } = request;
  try {
    const target = { origin, world, lifeline, signal: everybody.signal };
    if (request.do === 'pull') return { task, report: await chaosPull(target, request.plan) };
    rushing = new AbortController();
    return { task, report: await rush(request.image, request.clients) };
  } catch (error) {
    return { task, failure: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
}

async function rush(image: number, clients: number): Promise<RushReport> {
  const placed = world.images[image];
  const blob = placed?.image.layers[0];
  if (placed === undefined || blob === undefined) throw new Error(`there is no image ${image}`);
  const total = { requests: 0, complete: 0, refused: 0, wrongBytes: 0, others: [] as string[] };
  await Promise.all(Array.from({ length: clients }, () => rusher(placed, blob, total)));
  return total;
}

/** Asks again and again, and does not heed Retry-After. */
async function rusher(
  { repository, upstream }: Placed,
  blob: Content,
  total: { -readonly [Key in keyof RushReport]: RushReport[Key] } & { others: string[] },
): Promise<void> {
  await using client = new PullClient(origin, { ns: upstream });
  const signal = AbortSignal.any([rushing.signal, everybody.signal]);
  while (!signal.aborted) {
    const epoch = lifeline.epoch;
    total.requests++;
    try {
      const { status, outcome, digest, headers, body } = await client.blob(repository, blob.digest, {
        signal,
        expected: blob,
      });
      if (signal.aborted) return;
      if (status === 503 && headers['retry-after'] !== undefined) total.refused++;
      else if (status !== 200) total.others.push(`${status} ${body.toString().slice(0, 200)}`);
      else if (outcome !== 'complete') total.others.push(outcome);
      else if (digest !== blob.digest) total.wrongBytes++;
      else total.complete++;
      if (status !== 200) await delay(50, undefined, { signal }).catch(() => {});
    } catch (error) {
      if (signal.aborted || lifeline.hasBrokenSince(epoch)) continue;
      // A bound on connections closes them at once.
      if (/ECONNRESET|socket hang up/.test(String(error))) total.refused++;
      else total.others.push(String(error));
    }
  }
}
