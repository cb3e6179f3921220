import { setTimeout as delay } from 'node:timers/promises';
import { processUse } from '../support/cpu-time.ts';
import { processMemory } from '../support/process-memory.ts';
import { RemoteProgram } from '../support/remote-calls.ts';
import type { RunningSubject, Subject } from '../support/subjects/subject.ts';
import { tcpMemoryBytes, untilTcpMemoryIsSteady } from '../support/tcp-memory.ts';
import type { Upstream } from '../support/upstream/upstream.ts';
import type { UpstreamImage } from '../support/upstream/upstream-child.ts';
import type { ReadersMethods } from './readers-child.ts';
import type { SlowReadersState } from './slow-readers.ts';

const readersProgram = new URL('./readers-child.ts', import.meta.url);
const pollMs = 50;

/** One cold blob, with so many slow readers and one fast one. */
export interface MemorySample {
  readonly round: number;
  readonly subject: string;
  readonly slowReaders: number;
  /** Of the process: before the first request, and the most that it ever had. Undefined where it does not say. */
  readonly startBytes: number | undefined;
  readonly peakBytes: number | undefined;
  /** What the system held for TCP connections besides, its and all others, when it had stopped growing. */
  readonly tcpBytes: number | undefined;
  /** Of the fast reader: cold, with the slow ones coming in; and then again and again, for as long as it is measured. */
  readonly coldBytesPerSecond: number;
  readonly warmBytesPerSecond: number;
  /** Of the slow readers, while the fast one read. */
  readonly slowBytesPerSecond: number;
  readonly answered: number;
  readonly failed: number;
  readonly errors: readonly string[];
  /** Bodies of the blob that upstream was asked for. */
  readonly bodies: number;
  readonly cpu: { readonly subjectMs: number; readonly wallMs: number };
}

export interface MemorySetup {
  readonly upstream: Upstream;
  readonly subject: Subject;
  readonly image: UpstreamImage;
  readonly round: number;
  readonly slowReaders: number;
  readonly slowBytesPerSecond: number;
  readonly warmMs: number;
  readonly capMs: number;
  readonly steadyCapMs: number;
}

export async function measureMemory(setup: MemorySetup): Promise<MemorySample> {
  const { upstream, subject, image, slowReaders } = setup;
  await upstream.reset();
  await using running = await subject.start(upstream.url);
  // The fast reader shares no process with the slow ones: it is what is compared.
  await using slow = new RemoteProgram<ReadersMethods>(readersProgram);
  await using fast = new RemoteProgram<ReadersMethods>(readersProgram);
  const blob = image.blobs.reduce((one, other) => (other.sizeBytes > one.sizeBytes ? other : one));
  const target = { origin: running.origin, path: `/v2/${image.repository}/blobs/${blob.digest}` };
  await fast.call('readFast', { ...target, path: `/v2/${image.repository}/manifests/${image.tag}` });
  const startBytes = (await processMemory(running.pid))?.residentBytes;
  const before = await processUse(running.pid);
  const startedAt = performance.now();
  if (slowReaders > 0) {
    await slow.call('begin', { ...target, readers: slowReaders, bytesPerSecond: setup.slowBytesPerSecond });
  }
  const cold = await fast.call('readFast', target);
  await untilAll(slow, slowReaders, setup.capMs);
  // Until then they are no slow readers: the system takes for each, as fast as it comes, what it will hold for them.
  await untilTcpMemoryIsSteady(setup.steadyCapMs);
  const tcpBytes = await tcpMemoryBytes();
  const slowBefore = await slow.call('state');
  const warm = { bytes: 0, ms: 0 };
  while (warm.ms < setup.warmMs) {
    const { bytes, ms } = await fast.call('readFast', target);
    warm.bytes += bytes;
    warm.ms += ms;
  }
  const state = await slow.call('end');
  return {
    round: setup.round,
    subject: subject.name,
    slowReaders,
    startBytes,
    peakBytes: (await processMemory(running.pid))?.peakBytes,
    tcpBytes,
    coldBytesPerSecond: (cold.bytes / cold.ms) * 1000,
    warmBytesPerSecond: (warm.bytes / warm.ms) * 1000,
    slowBytesPerSecond: (((state?.bytes ?? 0) - (slowBefore?.bytes ?? 0)) / warm.ms) * 1000,
    answered: state?.answered ?? 0,
    failed: (state?.failed ?? 0) + (slowReaders - (state?.answered ?? 0)),
    errors: state?.errors ?? [],
    bodies: (await upstream.report()).maxBodiesPerBlob,
    cpu: await cpuSince(running, before, startedAt),
  };
}

/** Every slow reader has had its first bytes, or has failed. */
async function untilAll(slow: RemoteProgram<ReadersMethods>, readers: number, capMs: number): Promise<void> {
  const isDone = (state: SlowReadersState | undefined) => (state?.answered ?? 0) + (state?.failed ?? 0) >= readers;
  for (const startedAt = performance.now(); performance.now() - startedAt < capMs; ) {
    if (isDone(await slow.call('state'))) return;
    await delay(pollMs);
  }
}

async function cpuSince(running: RunningSubject, before: { cpuMs: number } | undefined, startedAt: number) {
  const after = await processUse(running.pid);
  return { subjectMs: (after?.cpuMs ?? 0) - (before?.cpuMs ?? 0), wallMs: performance.now() - startedAt };
}
