import { markdownTable } from '../markdown-table.ts';
import type { CpuProfile, SelfTime } from './cpu-profile.ts';

/** The functions that took the most time themselves, as a Markdown table. */
export function profileTable({ functions, busyMs, idleMs, threads }: CpuProfile, top = 25): string {
  const table = markdownTable<SelfTime>(
    [
      { title: 'Self time', align: 'right', cell: ({ share }) => `${(share * 100).toFixed(1)} %` },
      { title: 'ms', align: 'right', cell: ({ selfMs }) => selfMs.toFixed(0) },
      { title: 'Function', cell: ({ name }) => name },
      { title: 'Where', cell: ({ place }) => place },
    ],
    functions.slice(0, top),
  );
  const each = threads.map((thread) => thread.busyMs.toFixed(0)).join(', ');
  return `${table}\n\n${busyMs.toFixed(0)} ms busy and ${idleMs.toFixed(0)} ms idle, of all threads together; busy of each: ${each} ms.`;
}
