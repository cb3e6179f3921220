import { median, type Spread, spread } from '../support/statistics.ts';

/** One measured value of one of the two. */
export interface FigureSample {
  readonly figure: string;
  /** In which of the two it was measured. */
  readonly subject: string;
  readonly round: number;
  readonly value: number;
  readonly unit: string;
  /** Whether more of it is better, or less. */
  readonly better: 'more' | 'less';
}

/** One figure of both. */
export interface Comparison {
  readonly figure: string;
  readonly unit: string;
  readonly better: 'more' | 'less';
  readonly one: Spread;
  readonly other: Spread;
  /** Of the medians. */
  readonly ratio: number;
  /** One over the other in each round, both measured right after each other. */
  readonly ratios: Spread;
  readonly change: 'better' | 'worse' | 'no clear change';
}

/** What a median has to differ by before it is called a change, besides that all rounds agree. */
const leastChange = 0.03;

/** Each figure that both have, in the order of the samples. */
export function compare(samples: readonly FigureSample[], one: string, other: string): Comparison[] {
  const figures = Map.groupBy(samples, ({ figure }) => figure);
  return [...figures].flatMap(([figure, group]) => {
    const [first] = group;
    const valuesOf = (subject: string) => {
      return new Map(group.filter((s) => s.subject === subject).map(({ round, value }) => [round, value]));
    };
    const [ones, others] = [valuesOf(one), valuesOf(other)];
    if (first === undefined || ones.size === 0 || others.size === 0) return [];
    const rounds = [...ones.keys()].filter((round) => others.has(round));
    const ratios = spread(rounds.map((round) => (ones.get(round) ?? Number.NaN) / (others.get(round) ?? Number.NaN)));
    const { unit, better } = first;
    return {
      figure,
      unit,
      better,
      one: spread([...ones.values()]),
      other: spread([...others.values()]),
      ratio: median([...ones.values()]) / median([...others.values()]),
      ratios,
      change: changeOf(ratios, better),
    };
  });
}

function changeOf({ median, min, max }: Spread, better: 'more' | 'less'): Comparison['change'] {
  if (min > 1 && median >= 1 + leastChange) return better === 'more' ? 'better' : 'worse';
  if (max < 1 && median <= 1 - leastChange) return better === 'less' ? 'better' : 'worse';
  return 'no clear change';
}
