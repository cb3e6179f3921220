import { useState } from 'preact/hooks';
import type { ImageSnapshot, PurgeSnapshot } from '../../pull/image-snapshot.ts';
import { counted, size } from '../format/amounts.ts';
import { Dialog } from '../parts/dialog.tsx';
import { ImageName } from '../parts/image-name.tsx';
import { failureWords } from '../state/admin-call.ts';
import type { ImageList } from './image-list.ts';

export interface Wish {
  readonly what: 'purge' | 'pin' | 'unpin';
  readonly image: ImageSnapshot;
}

interface ConfirmProps {
  readonly wish: Wish;
  readonly list: ImageList;
  /** With what was done, in words; undefined: nothing. */
  readonly onEnd: (done: string | undefined) => void;
}

const texts = {
  purge: {
    title: 'Purge this image?',
    button: 'Purge',
    words:
      'It leaves the cache of this node alone. Content that other images use stays; the next pull fetches the rest again.',
  },
  /** A purge that would be refused: nobody is asked for a token first. */
  kept: {
    title: 'A pinned image is not purged',
    button: 'Unpin',
    words: 'It stays until it is unpinned. Then it can be purged.',
  },
  pin: {
    title: 'Pin this image?',
    button: 'Pin',
    words: 'It stays in the cache, also when room is needed, until you unpin it.',
  },
  unpin: { title: 'Unpin this image?', button: 'Unpin', words: 'It may leave the cache when room is needed.' },
} as const;

export function ConfirmDialog({ wish, list, onEnd }: ConfirmProps) {
  const [failure, setFailure] = useState<string>();
  const [isBusy, setBusy] = useState(false);
  const isKept = wish.what === 'purge' && wish.image.isPinned;
  const { title, button, words } = texts[isKept ? 'kept' : wish.what];
  // Not disabled while it is busy: it would lose the focus, and the token's dialog could not give it back.
  const act = async () => {
    if (isBusy) return;
    setBusy(true);
    setFailure(undefined);
    try {
      const done = await carryOut(isKept ? { ...wish, what: 'unpin' } : wish, list);
      if (done === undefined) setBusy(false);
      else onEnd(done);
    } catch (error) {
      setFailure(failureWords(error));
      setBusy(false);
    }
  };
  return (
    <Dialog title={title} onClose={() => onEnd(undefined)}>
      <p>
        <ImageName image={wish.image.image} /> <span class="dim">({size(wish.image.sizeBytes)})</span>
      </p>
      <p>{words}</p>
      {failure !== undefined && (
        <p class="failure" role="alert">
          {failure}
        </p>
      )}
      <div class="dialog-buttons">
        <button type="button" onClick={() => onEnd(undefined)}>
          Cancel
        </button>
        <button
          type="button"
          class={wish.what === 'purge' && !isKept ? 'danger' : 'primary'}
          aria-disabled={isBusy}
          onClick={() => void act()}
        >
          {button}
        </button>
      </div>
    </Dialog>
  );
}

async function carryOut({ what, image: { image } }: Wish, list: ImageList): Promise<string | undefined> {
  if (what === 'purge') {
    const answer = await list.purge(image);
    return answer && purgeWords(answer);
  }
  const isPinned = what === 'pin';
  return (await list.pin(image, isPinned)) ? `${image} is ${isPinned ? 'pinned' : 'not pinned any more'}.` : undefined;
}

function purgeWords({ removed, freedBytes, following }: PurgeSnapshot): string {
  const words = `${removed.join(', ')} ${removed.length === 1 ? 'was' : 'were'} purged; that freed ${size(freedBytes)}.`;
  if (following.length === 0) return words;
  return `${words} ${counted(following.length, 'blob')} of it ${following.length === 1 ? 'is' : 'are'} still being read or fetched, and will free the rest.`;
}
