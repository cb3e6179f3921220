import { signal } from '@preact/signals';

export const places = ['now', 'effect', 'upstreams', 'cache', 'cluster', 'clients'] as const;
export type Place = (typeof places)[number];

/** Which view is shown: the address says it, so that it can be bookmarked and the browser's buttons work. */
export const place = signal<Place>('now');
/** What the address named last, where there is no such view; undefined: there is. */
export const unknownPlace = signal<string | undefined>(undefined);

/** Another view, or at the start any, is shown. */
export function startPlaces(moved: (isStart: boolean) => void): void {
  look();
  moved(true);
  addEventListener('hashchange', () => {
    look();
    moved(false);
  });
}

/** An address of no view is put right: what is shown can be bookmarked, and the way back does not lead to the wrong one again. */
function look(): void {
  const name = location.hash.replace(/^#\/?/, '');
  const known = places.find((one) => one === name);
  place.value = known ?? 'now';
  unknownPlace.value = known === undefined && name !== '' ? name.slice(0, 100) : undefined;
  if (unknownPlace.value !== undefined) history.replaceState(null, '', '#/now');
}
