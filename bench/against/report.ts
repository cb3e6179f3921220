import { type Machine, machineText } from '../support/machine.ts';
import { type Column, markdownTable } from '../support/markdown-table.ts';
import { spreadText } from '../support/statistics.ts';
import type { Comparison } from './figures.ts';

export interface AgainstInput {
  readonly machine: Machine;
  readonly revision: string;
  readonly commit: string;
  readonly rounds: number;
  readonly comparisons: readonly Comparison[];
  readonly problems: readonly string[];
}

/** The whole result as Markdown. */
export function againstReport({ machine, revision, commit, rounds, comparisons, problems }: AgainstInput): string {
  const own = machine.commit === undefined ? '' : ` (commit ${machine.commit})`;
  return `# This revision against ${revision}

Made by \`${machine.command}\` on ${machine.date} UTC: ${machineText(machine)}.
This: the files as they are${own}. The other: ${revision} (commit ${commit.slice(0, 9)}). Both run in each of ${rounds} round${rounds === 1 ? '' : 's'}, right after each other.

${markdownTable(columns(revision), comparisons)}

Medians of the rounds, smallest and largest in parentheses. Ratio: of the medians; then of this over the other in each round.
A change is called one where all rounds agree and the median of their ratios is at least 3 % from 1.
${problems.map((line) => `\n- ${line}`).join('')}
`;
}

function columns(revision: string): Column<Comparison>[] {
  const digits = (value: number) => (value >= 1000 ? Math.round(value).toLocaleString('en-US') : value.toPrecision(3));
  return [
    { title: 'Figure', cell: ({ figure }) => figure },
    { title: 'This', align: 'right', cell: ({ one, unit }) => spreadText(one, digits, ` ${unit}`) },
    { title: revision, align: 'right', cell: ({ other, unit }) => spreadText(other, digits, ` ${unit}`) },
    { title: 'Ratio', align: 'right', cell: ({ ratio }) => `${ratio.toFixed(2)}x` },
    { title: 'Of each round', align: 'right', cell: ({ ratios }) => spreadText(ratios, (v) => v.toFixed(2), 'x') },
    { title: 'Change', cell: ({ change }) => change },
  ];
}
