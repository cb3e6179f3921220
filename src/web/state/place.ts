import { signal } from '@preact/signals';

export const places = ['now', 'effect', 'upstreams', 'cache', 'cluster', 'clients'] as const;
export type Place = (typeof places)[number];

/** Which view is shown: the address says it, so that it can be bookmarked and the browser's buttons work. */
export const place = signal<Place>(placeOf(location.hash));

function placeOf(hash: string): Place {
  const name = hash.replace(/^#\/?/, '');
  return places.find((known) => known === name) ?? 'now';
}

export function startPlaces(moved: () => void): void {
  addEventListener('hashchange', () => {
    place.value = placeOf(location.hash);
    moved();
  });
}
