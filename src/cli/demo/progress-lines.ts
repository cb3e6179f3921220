import type { Terminal } from '../terminal.ts';
import type { PhaseDisplay, PhaseView } from './phase.ts';

const printEveryMs = 3000;

/** For pipes and files: a plain line every few seconds, and one at the end. */
export class ProgressLines implements PhaseDisplay {
  readonly #terminal: Pick<Terminal, 'print'>;
  #printedAt: number = performance.now();
  #last: string | undefined;

  constructor(terminal: Pick<Terminal, 'print'>) {
    this.#terminal = terminal;
  }

  show(view: PhaseView): void {
    this.#last = lineOf(view);
    if (performance.now() - this.#printedAt >= printEveryMs) this.#print();
  }

  [Symbol.dispose](): void {
    this.#print();
  }

  #print(): void {
    if (this.#last !== undefined) this.#terminal.print(this.#last);
    this.#last = undefined;
    this.#printedAt = performance.now();
  }
}

function lineOf({ layers, nodes, nodesDone, share, note }: PhaseView): string {
  const percent = (value: number) => `${Math.floor(100 * value)}%`.padStart(5);
  const parts = layers.map((layer) => percent(layer.share)).join('');
  return `  nodes done ${nodesDone}/${nodes}, ${percent(share).trim()}; layers${parts}; ${note}`;
}
