import { type Spread, spread } from '../support/statistics.ts';
import type { MemorySample } from './measure-memory.ts';

/** All rounds of one subject with so many slow readers. */
export interface MemoryRow {
  readonly subject: string;
  readonly slowReaders: number;
  readonly rounds: number;
  readonly startBytes: Spread;
  readonly peakBytes: Spread;
  readonly tcpBytes: Spread;
  readonly coldBytesPerSecond: Spread;
  readonly warmBytesPerSecond: Spread;
  /** The fast reader's rate over that without slow readers, of the same subject in the same round. */
  readonly coldRatio: Spread;
  readonly warmRatio: Spread;
  readonly slowBytesPerSecond: Spread;
  readonly failed: number;
  readonly errors: readonly string[];
  readonly maxBodies: number;
  /** Of one core, while it was measured. */
  readonly cores: Spread;
}

export function summarise(samples: readonly MemorySample[]): MemoryRow[] {
  const groups = Map.groupBy(samples, ({ subject, slowReaders }) => `${subject} ${slowReaders}`);
  const rows = [...groups.values()].flatMap((group) => {
    const [first] = group;
    return first === undefined ? [] : [rowOf(first, group, samples)];
  });
  return rows.sort((a, b) => b.subject.localeCompare(a.subject) || a.slowReaders - b.slowReaders);
}

function rowOf(
  { subject, slowReaders }: MemorySample,
  group: readonly MemorySample[],
  all: readonly MemorySample[],
): MemoryRow {
  const alone = (round: number) =>
    all.find((one) => one.subject === subject && one.round === round && one.slowReaders === 0);
  const figure = (of: (sample: MemorySample) => number | undefined) =>
    spread(group.map(of).filter((value) => value !== undefined));
  return {
    subject,
    slowReaders,
    rounds: group.length,
    startBytes: figure(({ startBytes }) => startBytes),
    peakBytes: figure(({ peakBytes }) => peakBytes),
    tcpBytes: figure(({ tcpBytes }) => tcpBytes),
    coldBytesPerSecond: figure((one) => one.coldBytesPerSecond),
    warmBytesPerSecond: figure((one) => one.warmBytesPerSecond),
    coldRatio: figure((one) => one.coldBytesPerSecond / (alone(one.round)?.coldBytesPerSecond ?? Number.NaN)),
    warmRatio: figure((one) => one.warmBytesPerSecond / (alone(one.round)?.warmBytesPerSecond ?? Number.NaN)),
    slowBytesPerSecond: figure((one) => one.slowBytesPerSecond),
    failed: group.reduce((sum, { failed }) => sum + failed, 0),
    errors: [...new Set(group.flatMap(({ errors }) => errors))],
    maxBodies: Math.max(...group.map(({ bodies }) => bodies)),
    cores: figure(({ cpu }) => cpu.subjectMs / cpu.wallMs),
  };
}
