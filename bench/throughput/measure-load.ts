import { manifestMediaTypes } from '../../src/core/media-types.ts';
import type { ClientFleet } from '../support/clients/client-fleet.ts';
import type { LoadOutcome, LoadRequest } from '../support/load/load.ts';
import { wrk } from '../support/load/wrk.ts';
import { machineBusyMs } from '../support/machine-load.ts';
import { treeUse } from '../support/process-tree.ts';
import type { RunningSubject } from '../support/subjects/subject.ts';
import { type Case, caseName } from './cases.ts';
import type { Content } from './content.ts';

/** One subject under one load, as it was. */
export interface LoadSample {
  readonly round: number;
  readonly case: string;
  readonly subject: string;
  readonly requests: number;
  readonly bytes: number;
  readonly seconds: number;
  readonly latencyMs: LoadOutcome['latency'];
  /** With anything in it, the other figures are worth nothing. */
  readonly errors: readonly string[];
  readonly cpu: {
    readonly clientMs: number;
    /** Undefined where the system does not tell. */
    readonly subjectMs: number | undefined;
    /** Of all programs on the machine, ours included. */
    readonly machineMs: number;
  };
}

export interface LoadSetup {
  readonly fleet: ClientFleet;
  readonly content: Content;
  readonly case: Case;
  readonly round: number;
  readonly seconds: number;
  readonly rangeBytes: number;
}

const accept = manifestMediaTypes.join(', ');

export async function measureLoad(
  { name, running }: { name: string; running: RunningSubject },
  setup: LoadSetup,
): Promise<LoadSample> {
  const { round, content, rangeBytes } = setup;
  const request = requestOf(running.origin, setup.case, content, rangeBytes);
  const before = { subject: await treeUse(running.pid), machineMs: machineBusyMs() };
  const outcome = await outcomeOf(request, setup);
  const machineMs = machineBusyMs() - before.machineMs;
  const use = await treeUse(running.pid);
  return {
    round,
    case: caseName(setup.case),
    subject: name,
    requests: outcome.requests,
    bytes: outcome.bytes,
    seconds: Math.round(outcome.seconds * 1e4) / 1e4,
    latencyMs: outcome.requests > 0 ? outcome.latency : undefined,
    errors: errorsOf(outcome, setup.case),
    cpu: {
      clientMs: Math.round(outcome.clientMs),
      subjectMs: use && before.subject && use.cpuMs - before.subject.cpuMs,
      machineMs: Math.round(machineMs),
    },
  };
}

function requestOf(origin: string, { what, method }: Case, content: Content, rangeBytes: number): LoadRequest {
  const { path, sizeBytes } = content[what];
  const headers: Record<string, string> = what.startsWith('manifest') ? { Accept: accept } : {};
  return { origin, method, path, sizeBytes, headers, rangeBytes: what === 'ranges of a blob' ? rangeBytes : undefined };
}

async function outcomeOf(request: LoadRequest, { fleet, case: { client, connections }, seconds }: LoadSetup) {
  const load = { connections, durationMs: seconds * 1000 };
  try {
    if (client === 'lean') return await fleet.first.call('load', { request, load });
    return await wrk(request, { ...load, threads: client === 'wrk -t2' ? 2 : 1 });
  } catch (error) {
    return { requests: 0, bytes: 0, seconds, clientMs: 0, latency: undefined, errors: [(error as Error).message] };
  }
}

/** Nothing at all would else be a rate like any other. A large body may well be incomplete when the time is up. */
function errorsOf({ errors, requests, bytes }: LoadOutcome, { unit }: Case): readonly string[] {
  if (errors.length > 0) return errors;
  if (unit === 'requests') return requests === 0 ? ['no answer'] : [];
  return bytes === 0 ? ['not a byte'] : [];
}
