import type { LayerAnswer, PreheatAnswer } from './admin-answers.ts';
import type { PreheatDisplay } from './preheat.ts';
import { amountText, shortDigest } from './progress-text.ts';
import type { Terminal } from './terminal.ts';

/** For pipes and files: a line where an image or a layer comes to another state. */
export class PreheatLines implements PreheatDisplay {
  readonly #terminal: Pick<Terminal, 'print'>;
  readonly #told = new Map<string, string>();

  constructor(terminal: Pick<Terminal, 'print'>) {
    this.#terminal = terminal;
  }

  show({ images }: PreheatAnswer): void {
    for (const { image, state, error, layers } of images) {
      for (const layer of layers) {
        this.#tell(`${image}  ${shortDigest(layer.digest)}`, layer.state, layerNote(layer));
      }
      this.#tell(image, state, error === undefined ? '' : `: ${error}`);
    }
  }

  [Symbol.dispose](): void {}

  #tell(what: string, state: string, note: string): void {
    if (this.#told.get(what) === state) return;
    this.#told.set(what, state);
    this.#terminal.print(`${what}  ${state}${note}`.replace(/[\r\n]/g, ' '));
  }
}

function layerNote({ state, sizeBytes, error }: LayerAnswer): string {
  if (state === 'failed') return error === undefined ? '' : `: ${error}`;
  return sizeBytes === undefined ? '' : `  ${amountText(sizeBytes, sizeBytes)}`;
}
