import { machineBusyMs } from '../support/machine-load.ts';
import { monotonicNs } from '../support/monotonic.ts';
import type { UpstreamImage } from '../support/upstream/upstream-child.ts';
import type { UpstreamReport } from '../support/upstream/upstream-report.ts';
import type { ShapedScene, Subjects } from './shaped-scene.ts';

/** `cluster`: a onepull on each node, that share an engine; `direct`: each pulls from upstream; `shared`: one onepull for all. */
export const spreadSubjects = ['cluster', 'direct', 'shared'] as const;
export type SpreadSubject = (typeof spreadSubjects)[number];

/** A client on each of so many nodes wants the same image at the same moment, and nobody has any of it. */
export interface SpreadSample {
  readonly round: number;
  /** All links were slower by this. */
  readonly scale: number;
  readonly subject: SpreadSubject;
  readonly nodes: number;
  readonly imageBytes: number;
  /** When each of them had it whole and checked, from the moment at which all were told to begin; complete pulls only. */
  readonly hasMs: readonly number[];
  readonly failed: number;
  readonly unfinished: number;
  /** What failed pulls said, each message once. */
  readonly errors: readonly string[];
  readonly upstream: UpstreamReport;
  /** What each host sent over its link, frames with all their headers: that of the shared cache, if there is one, last. */
  readonly sentBytes: readonly number[];
  readonly wallMs: number;
  readonly cpu: SpreadCpu;
}

export interface SpreadCpu {
  /** Of all onepulls together. */
  readonly nodesMs: number;
  readonly clientsMs: number;
  readonly upstreamMs: number;
  /** Of all programs on the machine, ours included. */
  readonly machineMs: number;
}

export interface SpreadSetup {
  readonly scene: ShapedScene;
  readonly subject: SpreadSubject;
  readonly nodes: number;
  readonly scale: number;
  readonly round: number;
  readonly image: UpstreamImage;
  readonly warmUp: UpstreamImage;
  readonly capMs: number;
}

/** Starts what the subject needs, has it pull another image first, and then tells what the pull of this one came to. */
export async function measureSpread(setup: SpreadSetup): Promise<SpreadSample> {
  const { scene, nodes, image, capMs } = setup;
  await using subjects = await scene.start(setup.subject, nodes);
  await pullAll(scene, { ...subjects, origins: subjects.toWarmUp }, setup.warmUp, capMs);
  await scene.upstream.reset();
  const before = await used(scene, subjects);
  const startedNs = monotonicNs();
  const pulls = await pullAll(scene, subjects, image, capMs);
  const wallMs = (monotonicNs() - startedNs) / 1e6;
  const machineMs = machineBusyMs() - before.machineMs;
  const after = await used(scene, subjects);
  const complete = pulls.filter(({ result }) => result === 'complete');
  const errors = new Set(pulls.flatMap(({ result, error }) => (result === 'failed' && error ? [error] : [])));
  return {
    round: setup.round,
    scale: setup.scale,
    subject: setup.subject,
    nodes,
    imageBytes: image.totalBytes,
    hasMs: complete.map(({ endedNs }) => tenths((endedNs - startedNs) / 1e6)),
    failed: pulls.filter(({ result }) => result === 'failed').length,
    unfinished: pulls.filter(({ result }) => result === 'unfinished').length,
    errors: [...errors].slice(0, 5),
    upstream: await scene.upstream.report(),
    sentBytes: after.sentBytes.map((bytes, n) => bytes - (before.sentBytes[n] ?? 0)),
    wallMs: tenths(wallMs),
    cpu: {
      nodesMs: after.nodesMs - before.nodesMs,
      clientsMs: tenths(after.clientsMs - before.clientsMs),
      upstreamMs: after.upstreamMs - before.upstreamMs,
      machineMs: tenths(machineMs),
    },
  };
}

function pullAll(scene: ShapedScene, { origins }: Subjects, { repository, tag }: UpstreamImage, deadlineMs: number) {
  const target = { repository, tag, deadlineMs };
  return Promise.all(origins.map((origin, n) => scene.client(n).call('pull', { ...target, origin })));
}

async function used(scene: ShapedScene, { origins, others, cpuMs }: Subjects) {
  const clients = [...origins.keys(), ...others].map((n) => scene.client(n));
  const [sentBytes, clientsMs] = await Promise.all([
    Promise.all(clients.map((client) => client.call('sentBytes'))),
    Promise.all(clients.map((client) => client.call('cpuMs'))),
  ]);
  return {
    sentBytes,
    clientsMs: clientsMs.reduce((sum, ms) => sum + ms, 0),
    nodesMs: await cpuMs(),
    upstreamMs: await scene.upstream.cpuMs(),
    machineMs: machineBusyMs(),
  };
}

function tenths(ms: number): number {
  return Math.round(ms * 10) / 10;
}
