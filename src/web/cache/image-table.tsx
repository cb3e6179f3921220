import { useLayoutEffect, useRef } from 'preact/hooks';
import type { ImageSnapshot, PartialPlatform } from '../../pull/image-snapshot.ts';
import { count, size } from '../format/amounts.ts';
import { shortDigest } from '../format/names.ts';
import { ImageName } from '../parts/image-name.tsx';
import { Ago } from '../parts/time.tsx';
import type { Wish } from './confirm-dialogs.tsx';
import type { ImageList } from './image-list.ts';

interface ImageTableProps {
  readonly list: ImageList;
  readonly onWish: (wish: Wish) => void;
}

export function ImageTable({ list, onWish }: ImageTableProps) {
  const state = list.state.value;
  if (state.kind === 'loading') return <p class="nothing">Looking &hellip;</p>;
  if (state.kind === 'failed') {
    return (
      <p class="failure">
        The list cannot be shown: {state.message}.{' '}
        <button type="button" class="quiet" onClick={() => void list.load()}>
          Try again
        </button>
      </p>
    );
  }
  const { images, total } = state;
  if (images.length === 0) {
    return (
      <p class="nothing">
        {list.query.value.search === '' ? 'No image is in the cache.' : 'No image has this in its name.'}
      </p>
    );
  }
  return (
    <>
      <div class="table-frame panel">
        <table class="wide">
          <thead>
            <tr>
              <th scope="col">Image</th>
              <th scope="col" class="num">
                Size
              </th>
              <th scope="col" class="num">
                Pulls
              </th>
              <th scope="col">Last used</th>
              <th scope="col">In the cache since</th>
              <th scope="col">
                <span class="hidden">What to do</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {images.map((image) => (
              <ImageRow key={`${image.image} ${image.manifest}`} image={image} onWish={onWish} />
            ))}
          </tbody>
        </table>
      </div>
      {images.length < total && (
        <p class="more">
          and {count(total - images.length)} more{' '}
          {state.after !== undefined && (
            <button type="button" class="quiet" onClick={() => void list.more()}>
              Show more images
            </button>
          )}
        </p>
      )}
    </>
  );
}

function fewOf(names: readonly string[]): string {
  return `${names.slice(0, 4).join(', ')}${names.length > 4 ? ` and ${count(names.length - 4)} more` : ''}`;
}

function partialWords({ platform, sizeBytes, storedBytes }: PartialPlatform): string {
  return sizeBytes === undefined ? platform : `${platform} (${size(storedBytes)} of ${size(sizeBytes)} is)`;
}

function ImageRow({ image, onWish }: { readonly image: ImageSnapshot; readonly onWish: ImageTableProps['onWish'] }) {
  const { sizeBytes, storedBytes, platforms, otherPlatforms } = image;
  const row = useRef<HTMLTableRowElement>(null);
  // An image that leaves does not take the focus with it.
  useLayoutEffect(() => {
    const left = row.current;
    return () => {
      const around = left?.closest('section');
      if (left?.contains(document.activeElement)) around?.focus({ preventScroll: true });
    };
  }, []);
  return (
    <tr ref={row}>
      <th scope="row">
        <ImageName image={image.image} />
        {image.isPinned && <span class="pinned">pinned</span>}
        <small class="dim block">
          <code title={image.manifest}>{shortDigest(image.manifest)}</code>
          {platforms.length > 0 && ` ${fewOf(platforms)}`}
          {otherPlatforms.length > 0 && (
            <span class="block">not here: {fewOf(otherPlatforms.map((other) => partialWords(other)))}</span>
          )}
        </small>
      </th>
      <td data-name="Size" class="num">
        {size(sizeBytes)}
        {storedBytes < sizeBytes && <small class="dim block">{size(storedBytes)} here</small>}
      </td>
      <td data-name="Pulls" class="num">
        {image.pulls === undefined ? '–' : count(image.pulls)}
      </td>
      <td data-name="Last used">{image.lastUsedAtMs === undefined ? '–' : <Ago atMs={image.lastUsedAtMs} />}</td>
      <td data-name="Since">{image.cachedAtMs === undefined ? '–' : <Ago atMs={image.cachedAtMs} />}</td>
      <td class="row-buttons">
        <button
          type="button"
          class="quiet"
          aria-label={`${image.isPinned ? 'Unpin' : 'Pin'} ${image.image}`}
          onClick={() => onWish({ what: image.isPinned ? 'unpin' : 'pin', image })}
        >
          {image.isPinned ? 'Unpin' : 'Pin'}
        </button>
        <button
          type="button"
          class="quiet is-danger"
          aria-label={`Purge ${image.image}`}
          onClick={() => onWish({ what: 'purge', image })}
        >
          Purge
        </button>
      </td>
    </tr>
  );
}
