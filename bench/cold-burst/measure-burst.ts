import type { Burst, ClientFleet } from '../support/clients/client-fleet.ts';
import { processUse } from '../support/cpu-time.ts';
import { machineBusyMs } from '../support/machine-load.ts';
import type { Subject } from '../support/subjects/subject.ts';
import type { Upstream } from '../support/upstream/upstream.ts';
import type { UpstreamImage } from '../support/upstream/upstream-child.ts';
import type { UpstreamReport } from '../support/upstream/upstream-report.ts';

/** One cold burst as it was. */
export interface BurstSample {
  readonly round: number;
  readonly subject: string;
  readonly imageBytes: number;
  readonly clients: number;
  /** Each pull's time from its start to its last byte, and to the first byte of a blob; complete pulls only. */
  readonly totalMs: readonly number[];
  readonly firstByteMs: readonly number[];
  readonly failed: number;
  /** Pulls that were still running when their time was up. */
  readonly unfinished: number;
  /** What failed pulls said, each message once. */
  readonly errors: readonly string[];
  readonly upstream: UpstreamReport;
  readonly wallMs: number;
  readonly cpu: CpuUse;
}

export interface CpuUse {
  readonly busiestClientsMs: number;
  readonly clientsMs: number;
  readonly upstreamMs: number;
  /** Undefined where the subject does not tell its process. */
  readonly subjectMs: number | undefined;
  /** Of all programs on the machine, ours included. */
  readonly machineMs: number;
  readonly subjectPeakMemoryBytes: number | undefined;
}

export interface BurstSetup {
  readonly upstream: Upstream;
  readonly fleet: ClientFleet;
  readonly subject: Subject;
  readonly image: UpstreamImage;
  readonly round: number;
  readonly clients: number;
  readonly verify: number;
  readonly capMs: number;
}

/** Starts the subject with nothing in its store, has all clients pull at once, and tells what that cost. */
export async function measureBurst(setup: BurstSetup): Promise<BurstSample> {
  const { upstream, fleet, image, clients, verify, capMs: deadlineMs } = setup;
  await upstream.reset();
  await using subject = await setup.subject.start(upstream.url);
  const before = {
    upstreamMs: await upstream.cpuMs(),
    subject: await processUse(subject.pid),
    machine: machineBusyMs(),
  };
  const { origin } = subject;
  const burst = await fleet.burst({
    origin,
    repository: image.repository,
    tag: image.tag,
    clients,
    verify,
    deadlineMs,
  });
  const machineMs = machineBusyMs() - before.machine;
  const report = await upstream.report();
  const use = await processUse(subject.pid);
  return {
    round: setup.round,
    subject: setup.subject.name,
    imageBytes: image.totalBytes,
    clients,
    ...outcomes(burst),
    upstream: report,
    wallMs: tenths(burst.wallMs),
    cpu: {
      busiestClientsMs: tenths(burst.busiestCpuMs),
      clientsMs: tenths(burst.cpuMs),
      upstreamMs: (await upstream.cpuMs()) - before.upstreamMs,
      subjectMs: use && before.subject && use.cpuMs - before.subject.cpuMs,
      machineMs: tenths(machineMs),
      subjectPeakMemoryBytes: use?.peakMemoryBytes,
    },
  };
}

function outcomes({ pulls }: Burst) {
  const complete = pulls.filter(({ result }) => result === 'complete');
  const errors = new Set(pulls.flatMap(({ result, error }) => (result === 'failed' && error ? [error] : [])));
  return {
    totalMs: complete.map(({ totalMs }) => tenths(totalMs)),
    firstByteMs: complete.map(({ firstByteMs }) => tenths(firstByteMs ?? 0)),
    failed: pulls.filter(({ result }) => result === 'failed').length,
    unfinished: pulls.filter(({ result }) => result === 'unfinished').length,
    errors: [...errors].slice(0, 5),
  };
}

function tenths(ms: number): number {
  return Math.round(ms * 10) / 10;
}
