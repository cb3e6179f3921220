import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from '../../test/support/loopback.ts';
import { ClientFleet } from '../support/clients/client-fleet.ts';
import { treeUse } from '../support/process-tree.ts';
import { RemoteProgram } from '../support/remote-calls.ts';
import { registryName } from '../support/subjects/onepull.ts';
import { onepullServer } from '../support/subjects/onepull-server.ts';
import type { RunningSubject } from '../support/subjects/subject.ts';
import { Upstream } from '../support/upstream/upstream.ts';
import type { Case } from '../throughput/cases.ts';
import { addContent, type Content, pathsOf } from '../throughput/content.ts';
import { measureLoad } from '../throughput/measure-load.ts';
import { startWarm } from '../throughput/stage.ts';
import type { DripMethods } from './drip-child.ts';
import { measurePage, type PageOutcome } from './measure-page.ts';
import type { Parameters } from './parameters.ts';
import type { ViewersMethods, ViewersOutcome } from './viewers-child.ts';

/** What the server does besides. */
export type LoadName = 'nothing' | 'manifest' | 'blob';

export interface AdminSample {
  readonly round: number;
  readonly load: LoadName;
  readonly viewers: number;
  readonly seconds: number;
  /** Of the load: answers, and body bytes. */
  readonly requests: number;
  readonly bytes: number;
  readonly errors: readonly string[];
  /** CPU time of the server, of all its threads. */
  readonly cpuMs: number;
  readonly told: ViewersOutcome;
}

export interface AdminOutcome {
  readonly samples: readonly AdminSample[];
  readonly page: PageOutcome;
}

interface Stage {
  readonly parameters: Parameters;
  readonly running: RunningSubject;
  readonly admin: string;
  readonly content: Content;
  readonly fleet: ClientFleet;
  readonly viewers: RemoteProgram<ViewersMethods>;
}

/** An upstream sends no more bodies at once before it has brought one to its end, so that there have to be several. */
const pullsOfUpstream = 16;
const programs = {
  drip: new URL('./drip-child.ts', import.meta.url),
  viewers: new URL('./viewers-child.ts', import.meta.url),
};
/** Lets what the last measurement left behind pass. */
const settleMs = 300;
const pullsDeadlineMs = 60_000;

/** Fills the server with pulls that go on all the while, then measures loads with and without viewers, in turn, and the page. */
export async function runAdmin(parameters: Parameters, progress: (line: string) => void): Promise<AdminOutcome> {
  await using stack = new AsyncDisposableStack();
  const upstream = stack.use(await Upstream.start());
  const drip = stack.use(new RemoteProgram<DripMethods>(programs.drip));
  const viewers = stack.use(new RemoteProgram<ViewersMethods>(programs.viewers));
  const fleet = stack.use(new ClientFleet(1));
  const { layers, layerBytesPerSecond, blobBytes, pulls } = parameters;
  const dripUrl = await drip.call('begin', { layers, layerBytesPerSecond });
  const setup = { rounds: 1, seconds: 1, smallBlobBytes: 100_000, rangeBytes: 2 ** 20, blobBytes };
  const content = await addContent(upstream, {
    ...setup,
    manifestConnections: [],
    blobConnections: [],
    blobThreads: [],
  });
  const adminHost = `127.0.0.1:${await freePort()}`;
  const server = onepullServer({
    name: 'onepull',
    title: 'onepull',
    settings: settingsOf(parameters, upstream.url, dripUrl, adminHost),
  });
  const running = stack.use(await startWarm(server, upstream, pathsOf(content)));
  const admin = `http://${adminHost}`;
  progress(`begins ${pulls} pulls`);
  await viewers.call('pull', { origin: running.origin, registries: dripNames(pulls), pulls });
  await untilAllArePulled({ viewers, admin }, pulls);
  const samples = await measureAll({ parameters, running, admin, content, fleet, viewers }, progress);
  const { pageRounds: rounds, pageSeconds: seconds } = parameters;
  return { samples, page: await measurePage({ admin, rounds, seconds }, progress) };
}

function dripNames(pulls: number): string[] {
  return Array.from({ length: Math.ceil(pulls / pullsOfUpstream) }, (_, n) => `drip-${n}.example`);
}

function settingsOf({ pulls }: Parameters, upstreamUrl: string, dripUrl: string, admin: string) {
  return {
    admin,
    upstreams: {
      [registryName]: { url: upstreamUrl, default: true },
      ...Object.fromEntries(dripNames(pulls).map((name) => [name, { url: dripUrl }])),
    },
    pull: { minProgress: '0', stallTimeout: '1h', maxSplit: 1, maxFlights: pulls + 100 },
    log: { access: false },
    storage: { scrubRate: '0', minFree: '0', maxSize: '1000GiB' },
  };
}

async function untilAllArePulled({ viewers, admin }: Pick<Stage, 'viewers' | 'admin'>, pulls: number): Promise<void> {
  for (const startedAt = performance.now(); ; await delay(200)) {
    const inProgress = await viewers.call('inProgress', admin);
    if (inProgress >= pulls) return;
    if (performance.now() - startedAt > pullsDeadlineMs)
      throw new Error(`${inProgress} pulls are in progress, of ${pulls}`);
  }
}

async function measureAll(stage: Stage, progress: (line: string) => void): Promise<AdminSample[]> {
  const { rounds, viewers } = stage.parameters;
  const samples: AdminSample[] = [];
  for (let round = 1; round <= rounds; round++) {
    for (const load of ['nothing', 'manifest', 'blob'] satisfies LoadName[]) {
      // Whoever comes second finds the machine as the first one left it: they take turns at that.
      for (const watching of round % 2 === 1 ? viewers : viewers.toReversed()) {
        await delay(settleMs);
        const sample = await measure(stage, { round, load, watching });
        samples.push(sample);
        progress(`round ${round}/${rounds}  ${sampleText(sample)}`);
      }
    }
  }
  return samples;
}

async function measure(
  stage: Stage,
  { round, load, watching }: { round: number; load: LoadName; watching: number },
): Promise<AdminSample> {
  const { parameters, running, admin, viewers } = stage;
  if (watching > 0) await viewers.call('view', { admin, viewers: watching, scrapeMs: parameters.scrapeMs });
  const before = await treeUse(running.pid);
  const outcome = await loaded(stage, load, round);
  const after = await treeUse(running.pid);
  const told = (watching > 0 && (await viewers.call('end'))) || { events: 0, bytes: 0, scrapes: 0 };
  return { round, load, viewers: watching, ...outcome, cpuMs: (after?.cpuMs ?? 0) - (before?.cpuMs ?? 0), told };
}

async function loaded({ parameters, running, content, fleet }: Stage, load: LoadName, round: number) {
  const { seconds, manifestConnections, blobConnections } = parameters;
  if (load === 'nothing') {
    await delay(seconds * 1000);
    return { seconds, requests: 0, bytes: 0, errors: [] };
  }
  const common = { method: 'GET', subjects: [] } as const;
  const one: Case =
    load === 'manifest'
      ? {
          ...common,
          group: 'manifests',
          what: 'manifest by digest',
          client: 'wrk -t1',
          connections: manifestConnections,
          unit: 'requests',
        }
      : { ...common, group: 'blobs', what: 'blob', client: 'lean', connections: blobConnections, unit: 'bytes' };
  const setup = { fleet, content, case: one, round, seconds, rangeBytes: 2 ** 20 };
  const sample = await measureLoad({ name: 'onepull', running }, setup);
  return { seconds: sample.seconds, requests: sample.requests, bytes: sample.bytes, errors: sample.errors };
}

function sampleText({ load, viewers, requests, bytes, seconds, cpuMs, told, errors }: AdminSample): string {
  const rate =
    load === 'nothing' ? '' : `${(requests / seconds).toFixed(0)}/s, ${(bytes / seconds / 1e6).toFixed(0)} MB/s, `;
  const events = `${told.events} events of ${(told.bytes / 1e3 / Math.max(1, told.events)).toFixed(0)} KB`;
  return `${load.padEnd(8)} ${viewers} viewers: ${rate}${(cpuMs / seconds / 10).toFixed(1)}% of a core, ${events} ${errors.join('; ')}`;
}
