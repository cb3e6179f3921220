import { parentPort, workerData } from 'node:worker_threads';
import { chaosPull } from './chaos-pull.ts';
import type { CrowdAnswer, CrowdRequest, CrowdStart, RushReport } from './crowd.ts';
import { Lifeline } from './lifeline.ts';
import { rush } from './rush.ts';

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
    return { task, report: await rushTo(request.image, request.clients) };
  } catch (error) {
    return { task, failure: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
}

async function rushTo(image: number, clients: number): Promise<RushReport> {
  const placed = world.images[image];
  if (placed === undefined) throw new Error(`there is no image ${image}`);
  const signal = AbortSignal.any([rushing.signal, everybody.signal]);
  return rush({ origin, lifeline, signal }, placed, clients);
}
