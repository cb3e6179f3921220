import cliProgress from 'cli-progress';
import { formatSize } from '../core/units.ts';
import type { FlightAnswer, LayerAnswer, PullAnswer } from './admin-answers.ts';
import { shortenedImage } from './image-name.ts';
import type { Terminal } from './terminal.ts';
import { type Format, type Line, piece } from './text-line.ts';

type Style = Pick<Terminal, 'hasUnicode'>;

const stateFormats: Readonly<Record<string, Format>> = {
  waiting: 'yellow',
  pulling: 'cyan',
  verifying: 'cyan',
  done: 'green',
  failed: 'red',
};

/** States of which something is still to come. */
export function isActive({ state }: { readonly state: string }): boolean {
  return state === 'waiting' || state === 'pulling' || state === 'verifying';
}

/** Somebody waits for it, or it comes. An image of which something is missing that nobody wants any more is not. */
export function isUnderWay(pull: PullAnswer): boolean {
  return pull.layers.some(isActive) || (isActive(pull) && pull.waiters > 0);
}

export function stateFormat(state: string): Format | undefined {
  return stateFormats[state];
}

/** `43%`; all of it is 100 only when nothing is missing. */
export function percentText(filledBytes: number, sizeBytes: number | undefined): string {
  if (sizeBytes === undefined || sizeBytes <= 0) return '';
  return `${Math.floor(100 * Math.min(1, filledBytes / sizeBytes))}%`;
}

export function amountText(filledBytes: number, sizeBytes: number | undefined): string {
  if (sizeBytes === undefined) return formatSize(filledBytes);
  return filledBytes >= sizeBytes ? formatSize(sizeBytes) : `${formatSize(filledBytes)} of ${formatSize(sizeBytes)}`;
}

/** One line for an image: its name as far as there is room, and how it stands. */
export function pullLine(pull: PullAnswer, columns: number, style: Style): Line {
  const { image, state, filledBytes, sizeBytes, waiters } = pull;
  const percent = percentText(filledBytes, sizeBytes);
  const amount = state === 'done' ? formatSize(sizeBytes) : `${percent.padStart(4)} of ${formatSize(sizeBytes)}`;
  const waiting = waiters === 0 ? '' : `${waiters.toLocaleString('en')} waiting`;
  const room = Math.max(16, Math.min(100, columns - 45));
  return [
    piece(shortenedImage(image, room, style).padEnd(room), 'bold'),
    piece(`  ${state.padEnd(10)}`, stateFormat(state)),
    piece(`  ${amount.padEnd(17)}  ${waiting}`),
  ];
}

/** One line for a layer: a bar while it comes, and in words why it does not. Where there is no room for both, the words. */
export function layerLine(layer: LayerAnswer, flight: FlightAnswer | undefined, columns: number, style: Style): Line {
  const { digest, state, filledBytes, sizeBytes } = layer;
  const share = sizeBytes === undefined || sizeBytes === 0 ? 0 : Math.min(1, filledBytes / sizeBytes);
  const rate = flight === undefined ? '' : `${formatSize(flight.rateBytesPerSecond)}/s`;
  const blob = piece(`  ${shortDigest(digest)}  `, 'dim');
  const note = piece(noteOf(layer), state === 'failed' ? 'red' : 'dim');
  const figures = [
    piece(barText(state === 'done' ? 1 : share, columns, style), stateFormat(state)),
    piece(`  ${amountText(filledBytes, sizeBytes).padStart(22)}`),
    piece(state === 'pulling' ? `  ${rate.padStart(12)}  ` : '  '),
  ];
  const isWide = [blob, ...figures, note].reduce((sum, { text }) => sum + text.length, 0) < columns;
  return isWide || state === 'pulling' || state === 'done' ? [blob, ...figures, note] : [blob, note];
}

/** The twelve letters by which people tell blobs apart. */
export function shortDigest(digest: string): string {
  return digest.replace(/^[a-z0-9+._-]+:/, '').slice(0, 12);
}

function barText(share: number, columns: number, { hasUnicode }: Style): string {
  const barsize = Math.max(6, Math.min(40, columns - 70));
  const options = {
    barsize,
    barCompleteString: (hasUnicode ? '█' : '=').repeat(barsize),
    barIncompleteString: (hasUnicode ? '░' : '-').repeat(barsize),
    barGlue: '',
  };
  return cliProgress.Format.BarFormat(share, options);
}

function noteOf({ state, waitingFor, waiters = 0, error }: LayerAnswer): string {
  if (state === 'failed') return error ?? 'failed';
  if (state === 'waiting') return waitingFor === undefined ? 'waiting' : `waiting for ${waitingFor}`;
  if (state === 'verifying') return 'verifying';
  return waiters === 0 ? '' : `${waiters} waiting`;
}
