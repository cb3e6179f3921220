import type { PreheatImageEntry } from '../../admin/state-document.ts';
import { counted, percent, size } from '../format/amounts.ts';
import type { ShownState } from '../parts/progress.tsx';
import type { ShownPreheat } from '../state/live-state.ts';

/** What it is of: `docker.io/library/nginx:1.29`, `12 images`. */
export function preheatName({ images }: ShownPreheat): string {
  const [only] = images;
  return images.length === 1 && only !== undefined ? only.image : counted(images.length, 'image');
}

/** 0 to 1. Of images whose size is not known yet, nothing is here; each counts as much as any other. */
export function preheatShare({ images }: ShownPreheat): number {
  return images.reduce((sum, image) => sum + (imageShare(image) ?? 0), 0) / Math.max(1, images.length);
}

/** Undefined: its size is not known yet. */
export function imageShare({ state, filledBytes, sizeBytes }: PreheatImageEntry): number | undefined {
  if (state === 'done') return 1;
  return sizeBytes === 0 ? undefined : filledBytes / sizeBytes;
}

export function imageState({ state, waitingFor }: PreheatImageEntry): ShownState {
  return state === 'pulling' && waitingFor !== undefined ? 'waiting' : state;
}

/** Its state for people, with the cause where it waits or has failed. */
export function imageWords(image: PreheatImageEntry): string {
  const { state, waitingFor, error, warning, filledBytes, sizeBytes } = image;
  switch (state) {
    case 'waiting':
      return 'waiting for its turn';
    case 'pulling':
      if (waitingFor !== undefined) return `waiting for ${waitingFor}`;
      return sizeBytes === 0 ? 'asking what belongs to it' : `pulling, ${percent(filledBytes, sizeBytes)}`;
    case 'failed':
      return `failed: ${error ?? 'the cause is not known any more'}`;
    case 'done':
    case 'cancelled':
      return warning === undefined ? state : `${state}, but ${warning}`;
  }
}

/** `12.0 MiB of 56.0 MiB`; undefined: nothing is known of it. */
export function amountWords({
  filledBytes,
  sizeBytes,
}: Pick<PreheatImageEntry, 'filledBytes' | 'sizeBytes'>): string | undefined {
  if (sizeBytes === 0) return undefined;
  return filledBytes === sizeBytes ? size(sizeBytes) : `${size(filledBytes)} of ${size(sizeBytes)}`;
}

/** As of an image; as long as it is not known how much is to come, what is here. */
export function preheatAmount(preheat: ShownPreheat): string | undefined {
  const isOpen = preheat.images.some(
    ({ state, sizeBytes }) => sizeBytes === 0 && (state === 'waiting' || state === 'pulling'),
  );
  if (!isOpen) return amountWords(preheat);
  return preheat.sizeBytes === 0 ? undefined : `${size(preheat.filledBytes)} so far`;
}

export function preheatState(preheat: ShownPreheat): ShownState {
  if (preheat.state !== 'running') return preheat.state;
  const states = preheat.images.map(imageState);
  return states.includes('pulling') ? 'pulling' : 'waiting';
}

/** `2 of 5 images here, 1 failed`, or what its only image does. */
export function preheatWords(preheat: ShownPreheat): string {
  const { state, images, imageCounts } = preheat;
  const [only] = images;
  if (images.length === 1 && only !== undefined) return imageWords(only);
  const parts = [
    state === 'done' ? `all ${images.length} images here` : `${imageCounts.done} of ${images.length} images here`,
    ...(imageCounts.failed > 0 ? [`${imageCounts.failed} failed`] : []),
    ...(state === 'cancelled' ? [`${imageCounts.cancelled} cancelled`] : []),
  ];
  return parts.join(', ');
}

/** Of several images the first that failed, and why; of one alone its words say it. */
export function failureOf({ images, imageCounts: { failed } }: ShownPreheat): string | undefined {
  const first = images.find(({ state }) => state === 'failed');
  if (first === undefined || images.length === 1) return undefined;
  const more = failed > 1 ? `; and ${counted(failed - 1, 'other')} failed` : '';
  return `${first.image}: ${first.error ?? 'the cause is not known any more'}${more}`;
}

export function isRunning({ state, endedAtMs }: ShownPreheat): boolean {
  return state === 'running' && endedAtMs === undefined;
}
