import { formatSize } from '../core/units.ts';
import type { PullAnswer } from './admin-answers.ts';
import { isUnderWay, layerLine, pullLine } from './progress-text.ts';
import { clusterLine, count, effectLines } from './status-text.ts';
import type { Terminal } from './terminal.ts';
import { type Line, piece } from './text-line.ts';
import type { WatchState } from './watch-state.ts';

export interface WatchLayout {
  readonly address: string;
  readonly columns: number;
  readonly rows: number;
  /** Why nothing new comes, while that is so. */
  readonly lost?: string | undefined;
  readonly style: Pick<Terminal, 'hasUnicode'>;
}

/** The whole screen of `onepull watch`, in as many lines as there is room for. */
export function watchLines(state: WatchState, layout: WatchLayout): Line[] {
  const { columns, rows, lost, style } = layout;
  const head = [...headLines(state, layout), ...(lost === undefined ? [] : [[piece(lost, 'red')]]), []];
  const body: Line[] = [];
  const room = rows - head.length;
  const { pulls } = state;
  let shown = 0;
  for (const pull of pulls) {
    const lines = [pullLine(pull, columns, style), ...layersOf(pull, state, layout)];
    // The last line is kept for what there is no room for.
    const isLast = shown === pulls.length - 1;
    const left = room - body.length - (isLast ? 0 : 1);
    if (left < 1) break;
    body.push(...lines.slice(0, left));
    shown++;
  }
  if (pulls.length === 0)
    body.push([piece('Nothing was pulled yet. How to point clients here: onepull clients --help', 'dim')]);
  if (shown < pulls.length) body.push([piece(`and ${count(pulls.length - shown, 'image')} more`, 'dim')]);
  return [...head, ...body].slice(0, rows);
}

function headLines(state: WatchState, { address }: WatchLayout): Line[] {
  const { status, pulls, cluster } = state;
  const number = (wanted: string) => pulls.filter(({ state }) => state === wanted).length;
  const failed = number('failed');
  // Seldom there, and the line is full.
  const incomplete = number('incomplete') === 0 ? '' : `${number('incomplete')} incomplete, `;
  const ready = status?.state ?? '';
  return [
    [
      piece(`onepull ${status?.version ?? ''}`.trim(), 'bold'),
      piece('  '),
      piece(ready, ready === 'ready' ? 'green' : 'red'),
      piece(`  ${address}  `),
      piece('q quits', 'dim'),
    ],
    [
      piece(
        `${number('pulling')} pulling, ${number('waiting')} waiting, ${number('verifying')} verifying, ${number('done')} done, ${incomplete}`,
      ),
      piece(`${failed} failed`, failed > 0 ? 'red' : undefined),
      piece(`   ${formatSize(state.bytesPerSecond)}/s from upstream`),
    ],
    ...(status === undefined ? [] : effectLines(status).slice(0, 1)),
    ...(cluster === undefined ? [] : [[piece('cluster: ', 'dim'), ...clusterLine(cluster)]]),
    ...[...(status?.reasons ?? []), ...(status?.warnings ?? [])].map((text) => [piece(text, 'yellow')]),
  ];
}

/** Of an image under way the layers that are not here yet, and of one that failed those that did. */
function layersOf(pull: PullAnswer, state: WatchState, { columns, style }: WatchLayout): Line[] {
  const wanted = isUnderWay(pull)
    ? pull.layers.filter((layer) => layer.state !== 'done')
    : pull.layers.filter((layer) => layer.state === 'failed');
  return wanted.map((layer) => layerLine(layer, state.flightOf(layer.digest), columns, style));
}
