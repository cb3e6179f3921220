import { setTimeout as delay } from 'node:timers/promises';
import { run } from '../../test/support/child.ts';
import type { ClientFleet } from '../support/clients/client-fleet.ts';
import { childrenCpuMs, type ProcessUse } from '../support/cpu-time.ts';
import { machineBusyMs } from '../support/machine-load.ts';
import { treeUse } from '../support/process-tree.ts';
import type { RunningSubject, Subject } from '../support/subjects/subject.ts';
import type { Upstream } from '../support/upstream/upstream.ts';
import type { UpstreamImage } from '../support/upstream/upstream-child.ts';

/** One cold pull by one client. */
export interface IngestSample {
  readonly round: number;
  readonly subject: string;
  readonly bytes: number;
  readonly seconds: number;
  /** What the subject took until it had nothing to do any more, after the client had all. */
  readonly subjectMs: number | undefined;
  readonly upstreamMs: number;
  readonly clientMs: number;
  readonly machineMs: number;
  readonly peakMemoryBytes: number | undefined;
  /** With anything in it, the other figures are worth nothing. */
  readonly errors: readonly string[];
}

export interface IngestSetup {
  readonly upstream: Upstream;
  readonly fleet: ClientFleet;
  readonly image: UpstreamImage;
  readonly round: number;
  readonly capMs: number;
}

/** Starts the subject with nothing in its store and has one client pull the image through it. */
export async function measureIngest(subject: Subject, setup: IngestSetup): Promise<IngestSample> {
  const { upstream, fleet, image, round, capMs: deadlineMs } = setup;
  await upstream.reset();
  await using running = await subject.start(upstream.url);
  const target = { origin: running.origin, repository: image.repository, tag: image.tag, deadlineMs };
  await quiet(running);
  const before = {
    subject: await treeUse(running.pid),
    upstreamMs: await upstream.cpuMs(),
    machineMs: machineBusyMs(),
  };
  const { pulls, cpuMs } = await fleet.burst({ ...target, clients: 1, verify: 0 });
  const use = await quiet(running);
  const after = { upstreamMs: await upstream.cpuMs(), machineMs: machineBusyMs() };
  // Again, from the store, and whether it is what it should be: not while it is measured, for that would be the client's work.
  const { pulls: again } = await fleet.burst({ ...target, clients: 1, verify: 1 });
  const [pull] = pulls;
  return {
    round,
    subject: subject.name,
    bytes: image.totalBytes,
    seconds: (pull?.totalMs ?? Number.NaN) / 1000,
    subjectMs: use && before.subject && use.cpuMs - before.subject.cpuMs,
    upstreamMs: after.upstreamMs - before.upstreamMs,
    clientMs: Math.round(cpuMs),
    machineMs: Math.round(after.machineMs - before.machineMs),
    peakMemoryBytes: use?.peakMemoryBytes,
    errors: [...pulls, ...again].flatMap(({ result, error }) => (result === 'complete' ? [] : [error ?? result])),
  };
}

/** The same bytes without any cache: fetched and hashed by programs in C, one process each. */
export async function measurePipe(name: string, setup: IngestSetup): Promise<IngestSample> {
  const { upstream, image, round } = setup;
  const blob = image.blobs.at(-1);
  if (blob === undefined) throw new Error('the image has no layer');
  await upstream.reset();
  const before = { cpuMs: await childrenCpuMs(), upstreamMs: await upstream.cpuMs(), machineMs: machineBusyMs() };
  const startedAt = performance.now();
  const url = `${upstream.url}/v2/${image.repository}/blobs/${blob.digest}`;
  const { stdout, stderr } = await run('sh', ['-c', 'curl -sS "$1" | sha256sum', 'sh', url]);
  const seconds = (performance.now() - startedAt) / 1000;
  const isRight = `sha256:${stdout.split(' ')[0]}` === blob.digest;
  return {
    round,
    subject: name,
    bytes: blob.sizeBytes,
    seconds,
    subjectMs: (await childrenCpuMs()) - before.cpuMs,
    upstreamMs: (await upstream.cpuMs()) - before.upstreamMs,
    clientMs: 0,
    machineMs: Math.round(machineBusyMs() - before.machineMs),
    peakMemoryBytes: undefined,
    errors: isRight ? [] : [`wrong digest: ${stdout} ${stderr}`],
  };
}

const stepMs = 200;
const mostSteps = 100;
/** Of CPU time within a step: less is idling. */
const idleMs = 10;

/** Once it has nothing to do any more: what it has used. */
async function quiet({ pid }: RunningSubject): Promise<ProcessUse | undefined> {
  let use = await treeUse(pid);
  for (let step = 0; step < mostSteps; step++) {
    await delay(stepMs);
    const next = await treeUse(pid);
    const isIdle = next === undefined || use === undefined || next.cpuMs - use.cpuMs <= idleMs;
    use = next;
    if (isIdle) break;
  }
  return use;
}
