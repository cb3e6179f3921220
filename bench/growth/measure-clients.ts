import { processMemory } from '../support/process-memory.ts';
import type { RemoteProgram } from '../support/remote-calls.ts';
import type { RunningSubject } from '../support/subjects/subject.ts';
import type { CrowdOutcome } from './crowd.ts';
import type { CrowdMethods } from './crowd-child.ts';

export type HotContent = 'manifest' | 'blob';

/** So many connections that ask for one thing all over again. */
export interface ClientsSample
  extends Pick<CrowdOutcome, 'p50Ms' | 'p99Ms' | 'fairness' | 'failed' | 'errors' | 'cpuMs' | 'seconds'> {
  readonly round: number;
  readonly connections: number;
  readonly content: HotContent;
  readonly perSecond: number;
  readonly bytesPerSecond: number;
  /** Of the process, with all connections open still. */
  readonly residentBytes: number | undefined;
}

export interface ClientsSetup {
  readonly crowd: RemoteProgram<CrowdMethods>;
  readonly running: RunningSubject;
  readonly path: string;
  readonly content: HotContent;
  readonly round: number;
  readonly connections: number;
  readonly loadMs: number;
}

const warmUpMs = 500;
/** Before its end: the connections are there, and answers are under way. */
const lookBeforeEndMs = 200;

export async function measureClients(setup: ClientsSetup): Promise<ClientsSample> {
  const { crowd, running, path, content, round, connections, loadMs } = setup;
  const opening = connections * 0.1 + warmUpMs;
  const memory = new Promise<number | undefined>((resolve, reject) => {
    const look = () => processMemory(running.pid).then((found) => resolve(found?.residentBytes), reject);
    setTimeout(look, opening + Math.max(0, loadMs - lookBeforeEndMs));
  });
  const load = { origin: running.origin, path, connections, durationMs: loadMs, warmUpMs };
  const outcome = await crowd.call('same', load);
  const { answers, bytes, seconds, p50Ms, p99Ms, fairness, failed, errors, cpuMs } = outcome;
  return {
    round,
    connections,
    content,
    perSecond: answers / seconds,
    bytesPerSecond: bytes / seconds,
    ...{ p50Ms, p99Ms, fairness, failed, errors, cpuMs, seconds },
    residentBytes: await memory,
  };
}
