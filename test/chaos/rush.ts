import { setTimeout as delay } from 'node:timers/promises';
import type { Content } from '../../src/cli/demo/image.ts';
import { PullClient } from '../support/client.ts';
import type { PullTarget, RequestFailure } from './chaos-pull.ts';
import type { RushReport } from './crowd.ts';
import type { Placed } from './world.ts';

type Target = Omit<PullTarget, 'world'>;
type Total = { -readonly [Key in keyof RushReport]: RushReport[Key] } & { failures: RequestFailure[] };

const pauseMs = 50;

/** So many clients ask for the first layer of an image, again and again until the signal, and heed no Retry-After. */
export async function rush(target: Target, placed: Placed, clients: number): Promise<RushReport> {
  const total: Total = { requests: 0, complete: 0, refused: 0, failures: [] };
  const [blob] = placed.image.layers;
  if (blob !== undefined) await Promise.all(Array.from({ length: clients }, () => rusher(target, placed, blob, total)));
  return total;
}

async function rusher(
  { origin, lifeline, signal }: Target,
  placed: Placed,
  blob: Content,
  total: Total,
): Promise<void> {
  const { upstream, repository } = placed;
  await using client = new PullClient(origin, { ns: upstream });
  while (!signal.aborted) {
    const [epoch, startedAt] = [lifeline.epoch, Date.now()];
    total.requests++;
    const end = await oneOf(client, placed, blob, signal);
    if (signal.aborted) return;
    if (end === 'complete' || end === 'refused') total[end]++;
    else if (!lifeline.hasBrokenSince(epoch)) {
      const request = { what: 'GET blob' as const, upstream, repository, reference: blob.digest };
      total.failures.push({ ...request, ...end, startedAt, endedAt: Date.now() });
    }
    if (end !== 'complete') await delay(pauseMs, undefined, { signal }).catch(() => {});
  }
}

type End = 'complete' | 'refused' | Pick<RequestFailure, 'outcome' | 'status' | 'retryAfter' | 'message'>;

async function oneOf(client: PullClient, { repository }: Placed, blob: Content, signal: AbortSignal): Promise<End> {
  try {
    const options = { signal, expected: blob };
    const { status, outcome, digest, headers, body } = await client.blob(repository, blob.digest, options);
    const retryAfter = headers['retry-after'];
    const failed = (how: RequestFailure['outcome']): End => {
      return { outcome: how, status, retryAfter, message: `in a rush: ${body.toString().slice(0, 200)}` };
    };
    if (status === 503 && retryAfter !== undefined) return 'refused';
    if (status !== 200) return failed('status');
    if (outcome !== 'complete') return failed('cut');
    return digest === blob.digest ? 'complete' : failed('wrong bytes');
  } catch (error) {
    // A bound on connections closes them at once.
    if (/ECONNRESET|socket hang up/.test(String(error))) return 'refused';
    return { outcome: 'no answer', status: undefined, retryAfter: undefined, message: `in a rush: ${error}` };
  }
}
