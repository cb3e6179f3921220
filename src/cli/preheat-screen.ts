import type { PreheatAnswer } from './admin-answers.ts';
import { shortenedImage } from './image-name.ts';
import { LiveScreen } from './live-screen.ts';
import type { PreheatDisplay } from './preheat.ts';
import { amountText, isActive, layerLine, percentText, stateFormat } from './progress-text.ts';
import type { Terminal } from './terminal.ts';
import { type Line, piece } from './text-line.ts';

type Image = PreheatAnswer['images'][number];

/** A line for each image and, below it, a bar for each layer; what is done gives way where there is no room. */
export class PreheatScreen implements PreheatDisplay {
  readonly #terminal: Terminal;
  readonly #screen: LiveScreen;
  #last: PreheatAnswer | undefined;

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
    this.#screen = new LiveScreen(terminal, 'below', () => this.#draw());
  }

  show(preheat: PreheatAnswer): void {
    this.#last = preheat;
    this.#draw();
  }

  [Symbol.dispose](): void {
    this.#screen[Symbol.dispose]();
  }

  #draw(): void {
    const { columns, rows } = this.#screen;
    if (this.#last !== undefined) this.#screen.draw(preheatLines(this.#last, { columns, rows, style: this.#terminal }));
  }
}

interface PreheatLayout {
  readonly columns: number;
  readonly rows: number;
  readonly style: Pick<Terminal, 'hasUnicode'>;
}

/** In as many lines as there is room for: images before layers, what is under way before what is over. */
export function preheatLines({ images }: PreheatAnswer, { columns, rows, style }: PreheatLayout): Line[] {
  const isOver = ({ state }: Image) => !isActive({ state }) && state !== 'queued';
  const room = Math.max(1, rows);
  const hidden = Math.max(0, images.length - room + 1);
  const leaving = new Set(hidden <= 1 ? [] : [...images.filter(isOver), ...images.toReversed()].slice(0, hidden));
  const shown = images.filter((image) => !leaving.has(image));
  const more = images.length - shown.length;
  let left = room - shown.length - (more > 0 ? 1 : 0);
  const nameColumns = Math.max(...shown.map(({ image }) => image.length));
  const lines: Line[] = [];
  for (const image of shown) {
    lines.push(imageLine(image, { nameColumns, columns, style }));
    // With room for all of them, layers stay until the end; otherwise those that are done make room.
    const all = images.reduce((sum, { layers }) => sum + layers.length, 0) <= room - images.length;
    const layers = all
      ? image.layers
      : image.layers.filter((layer) => layer.state !== 'done' && layer.state !== 'missing');
    const taken = layers.slice(0, Math.max(0, left));
    left -= taken.length;
    lines.push(...taken.map((layer) => layerLine(layer, undefined, columns, style)));
  }
  return more > 0 ? [...lines, [piece(`and ${more} images more`, 'dim')]] : lines;
}

function imageLine(
  { image, state, error, layers }: Image,
  { nameColumns, columns, style }: { nameColumns: number } & Pick<PreheatLayout, 'columns' | 'style'>,
): Line {
  const sizes = layers.map(({ sizeBytes = 0 }) => sizeBytes);
  const sizeBytes = sizes.reduce((sum, size) => sum + size, 0);
  const filledBytes = layers.reduce((sum, layer) => sum + layer.filledBytes, 0);
  const figures =
    layers.length === 0
      ? ''
      : `${percentText(filledBytes, sizeBytes).padStart(4)}  ${amountText(filledBytes, sizeBytes)}`;
  const room = Math.min(nameColumns, Math.max(16, columns - 41));
  return [
    piece(shortenedImage(image, room, style).padEnd(room), 'bold'),
    piece(`  ${state.padEnd(9)}`, stateFormat(state)),
    piece(`  ${state === 'failed' ? (error ?? '') : figures}`),
  ];
}
