import type { Terminal } from './terminal.ts';
import { type Line, lineText } from './text-line.ts';

const csi = '\u001b[';
const hideCursor = `${csi}?25l`;
const showCursor = `${csi}?25h`;
const ownScreen = `${csi}?1049h`;
const screenBefore = `${csi}?1049l`;
/** A terminal that knows these shows what is between them at once; others do as before. */
const [beginUpdate, endUpdate] = [`${csi}?2026h`, `${csi}?2026l`];
const restOfLine = `${csi}K`;
const restOfScreen = `${csi}J`;

/**
 * Lines that are drawn over themselves: on a screen of their own (`whole`), or below what the terminal shows (`below`), where
 * the last ones stay. Never clears what it draws over first, so nothing flickers, and never writes into the last column, so
 * nothing wraps.
 */
export class LiveScreen implements Disposable {
  readonly #terminal: Terminal;
  readonly #place: 'whole' | 'below';
  readonly #onResize: () => void;
  /** How wide each line on the screen is. */
  #drawn: number[] = [];
  #isOver = false;

  /** `onResize` draws again, for another size has other lines. */
  constructor(terminal: Terminal, place: 'whole' | 'below', onResize: () => void) {
    this.#terminal = terminal;
    this.#place = place;
    this.#onResize = onResize;
    terminal.output.write(`${place === 'whole' ? ownScreen : ''}${hideCursor}`);
    terminal.output.on('resize', this.#onResize);
  }

  get columns(): number {
    return this.#terminal.output.columns ?? this.#terminal.columns;
  }

  /** Lines that there is room for. */
  get rows(): number {
    return Math.max(2, (this.#terminal.output.rows ?? 24) - (this.#place === 'below' ? 1 : 0));
  }

  draw(lines: readonly Line[]): void {
    if (this.#isOver) return;
    const { columns, rows } = this;
    const shown = lines.slice(0, rows);
    const texts = shown.map((line) => `${lineText(line, this.#terminal, columns - 1)}${restOfLine}`);
    const below = `${texts.join('\n')}${texts.length === 0 ? '' : '\n'}${restOfScreen}`;
    const whole = `${texts.join('\n')}${restOfScreen}`;
    const text = `${this.#home(columns)}${this.#place === 'below' ? below : whole}`;
    this.#terminal.output.write(`${beginUpdate}${text}${endUpdate}`);
    this.#drawn = shown.map((line) =>
      Math.min(
        columns - 1,
        line.reduce((sum, part) => sum + part.text.length, 0),
      ),
    );
  }

  [Symbol.dispose](): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#terminal.output.off('resize', this.#onResize);
    this.#terminal.output.write(`${showCursor}${this.#place === 'whole' ? screenBefore : ''}`);
  }

  /** To where the first line begins. A terminal that became narrower has wrapped what it shows. */
  #home(columns: number): string {
    if (this.#place === 'whole') return `${csi}H`;
    const up = this.#drawn.reduce((sum, width) => sum + Math.max(1, Math.ceil(width / Math.max(1, columns))), 0);
    return `\r${up === 0 ? '' : `${csi}${up}A`}`;
  }
}
