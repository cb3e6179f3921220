import { setTimeout as delay } from 'node:timers/promises';
import { TemporaryDirectory } from '../../test/support/loopback.ts';
import { needs } from '../../test/support/need.ts';
import { makeCertificate, needsForCertificate } from '../support/certificate.ts';
import { ClientFleet } from '../support/clients/client-fleet.ts';
import type { Absent, RunningSubject, Subject } from '../support/subjects/subject.ts';
import { Upstream } from '../support/upstream/upstream.ts';
import type { Case } from './cases.ts';
import { addContent, type Content, pathsOf } from './content.ts';
import { type LoadSample, measureLoad } from './measure-load.ts';
import type { Parameters } from './parameters.ts';
import { startWarm } from './stage.ts';
import type { SubjectsSetup } from './subjects.ts';

export interface Measurements {
  readonly samples: readonly LoadSample[];
  readonly subjects: readonly Pick<Subject, 'name' | 'title' | 'version'>[];
  /** What could not take part, and why; and what was not as it should be. */
  readonly absent: readonly string[];
  readonly manifestBytes: number;
}

/** How a subject comes about by its name: the peers and variants, or the revisions that are compared. */
export type MakeSubject = (name: string, setup: SubjectsSetup) => Promise<Subject | Absent>;

export interface Plan {
  readonly parameters: Parameters;
  readonly cases: readonly Case[];
  readonly make: MakeSubject;
}

/** Lets what the last measurement left behind (sockets, connections that close) pass. */
const settleMs = 200;

/** Starts and warms all subjects, then measures case by case, subjects in turn. `progress` is told of each. */
export async function runThroughput(plan: Plan, progress: (line: string) => void): Promise<Measurements> {
  const { parameters } = plan;
  await using stack = new AsyncDisposableStack();
  const upstream = stack.use(await Upstream.start());
  const fleet = stack.use(new ClientFleet(1));
  const content = await addContent(upstream, parameters);
  const folder = stack.use(await TemporaryDirectory.make());
  const certificate = needsForCertificate() === false ? await makeCertificate(folder.path) : undefined;
  const started = await startAll(plan, { upstream, content, certificate, stack, progress });
  const cases = plan.cases.filter(({ client }) => client === 'lean' || needs('wrk') === false);
  const samples: LoadSample[] = [];
  for (let round = 1; round <= parameters.rounds; round++) {
    for (const [n, one] of cases.entries()) {
      const { seconds, rangeBytes } = parameters;
      for (const name of inTurn(one.subjects, round + n)) {
        const running = started.running.get(name);
        if (running === undefined) continue;
        await delay(settleMs);
        const setup = { fleet, content, case: one, round, seconds, rangeBytes };
        const sample = await measureLoad({ name, running }, setup);
        samples.push(sample);
        progress(`round ${round}/${parameters.rounds}  ${sampleText(sample)}`);
      }
    }
  }
  const { getBlob } = await upstream.report();
  const absent = [
    ...started.absent,
    ...(cases.length < plan.cases.length ? [`Nothing was measured with wrk (${needs('wrk')})`] : []),
    ...(getBlob > 0 ? [`What should have been hot was not: upstream was asked for blobs ${getBlob} times`] : []),
  ];
  return { samples, subjects: started.subjects, absent, manifestBytes: content['manifest by digest'].sizeBytes };
}

interface Stage {
  readonly upstream: Upstream;
  readonly content: Content;
  readonly certificate: SubjectsSetup['certificate'];
  readonly stack: AsyncDisposableStack;
  readonly progress: (line: string) => void;
}

/** One that cannot start, or does not serve what it should, does not take part. */
async function startAll({ cases, make }: Plan, { upstream, content, certificate, stack, progress }: Stage) {
  const paths = pathsOf(content);
  const running = new Map<string, RunningSubject>();
  const subjects: Pick<Subject, 'name' | 'title' | 'version'>[] = [];
  const absent: string[] = [];
  for (const name of new Set(cases.flatMap((one) => one.subjects))) {
    const subject = await make(name, { paths, certificate });
    try {
      if ('absent' in subject) throw new Error(subject.absent);
      progress(`starts and fills ${subject.title}`);
      running.set(name, stack.use(await startWarm(subject, upstream, paths)));
      subjects.push({ name, title: subject.title, version: subject.version });
    } catch (error) {
      const { message } = error as Error;
      absent.push(`${name} was not measured (${message.split('\n')[0]})`);
      progress(`${name} was not measured: ${message}`);
    }
  }
  return { running, subjects, absent };
}

/** Whoever comes second finds the machine as the first one left it: they take turns at that. */
function inTurn<T>(items: readonly T[], turn: number): T[] {
  const first = turn % Math.max(1, items.length);
  return [...items.slice(first), ...items.slice(0, first)];
}

function sampleText(sample: LoadSample): string {
  const { requests, bytes, seconds, cpu, errors } = sample;
  const rates = `${(requests / seconds).toFixed(0).padStart(6)}/s ${(bytes / seconds / 1e9).toFixed(3)} GB/s`;
  const cores = `${((cpu.subjectMs ?? 0) / seconds / 1000).toFixed(2)} cores`;
  return `${sample.case.padEnd(44)} ${sample.subject.padEnd(20)} ${errors.length > 0 ? errors.join('; ') : `${rates}, ${cores}`}`;
}
