import cliProgress, { type MultiBar, type Options, type Params } from 'cli-progress';
import { formatSize } from '../../core/units.ts';
import type { Terminal } from '../terminal.ts';
import type { PhaseDisplay, PhaseView } from './phase.ts';

interface Line {
  readonly label: string;
  readonly amount: string;
  readonly share: number;
  readonly note: string;
}

/** All but the bar: margin, label, amount, percentage, the longest note, and the spaces between. */
const otherColumns = 66;
const labelColumns = 8;
const amountColumns = 9;

/** One line for each layer and one for the crowd, drawn over itself; the last state stays on the screen. */
export class ProgressBars implements PhaseDisplay {
  readonly #multiBar: MultiBar;
  readonly #bars: readonly ReturnType<MultiBar['create']>[];

  constructor(terminal: Terminal, first: PhaseView) {
    const lines = linesOf(first);
    this.#multiBar = new cliProgress.MultiBar({
      stream: uncut(terminal),
      format: (options: Options, { progress }: Params, line: Line) => format(terminal, options, progress, line),
      barsize: Math.min(40, Math.max(8, terminal.columns - otherColumns)),
      barCompleteChar: terminal.hasUnicode ? '█' : '=',
      barIncompleteChar: terminal.hasUnicode ? '░' : '-',
      hideCursor: true,
      fps: 10,
    });
    this.#bars = lines.map((line) => this.#multiBar.create(1, line.share, line));
  }

  show(view: PhaseView): void {
    for (const [n, line] of linesOf(view).entries()) this.#bars[n]?.update(line.share, line);
  }

  [Symbol.dispose](): void {
    this.#multiBar.stop();
  }
}

function linesOf({ layers, nodes, nodesDone, share, note }: PhaseView): readonly Line[] {
  const layerLines = layers.map((layer, n) => {
    return { label: `layer ${n + 1}`, amount: formatSize(layer.sizeBytes), share: layer.share, note: layer.note };
  });
  return [...layerLines, { label: 'nodes', amount: `${nodesDone}/${nodes}`, share, note }];
}

function format(terminal: Terminal, options: Options, progress: number, { label, amount, note }: Line): string {
  const { paint, output } = terminal;
  const isCrowd = label === 'nodes';
  const percent = `${Math.floor(100 * progress)}%`.padStart(4);
  const text = `${label.padEnd(labelColumns)} ${amount.padStart(amountColumns)}`;
  const bar = cliProgress.Format.BarFormat(progress, options);
  const left = (output.columns ?? terminal.columns) - `  ${text}  ${bar} ${percent}  `.length;
  const shortNote = note.slice(0, Math.max(0, left));
  const paintedBar = paint(progress >= 1 ? 'green' : 'cyan', bar);
  return `  ${isCrowd ? paint('bold', text) : text}  ${paintedBar} ${percent}  ${isCrowd ? shortNote : paint('dim', shortNote)}`;
}

/** cli-progress cuts its last lines to the width counting colours as text; what `format` gives it fits already. */
function uncut({ output }: Terminal): NodeJS.WritableStream {
  const stream = { isTTY: true, columns: Number.MAX_SAFE_INTEGER, write: (text: string) => output.write(text) };
  return stream as unknown as NodeJS.WritableStream;
}
