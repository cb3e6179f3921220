import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import type { PreheatImageEntry } from '../../admin/state-document.ts';
import { counted, percent } from '../format/amounts.ts';
import { duration } from '../format/times.ts';
import { ImageName } from '../parts/image-name.tsx';
import { More } from '../parts/more.tsx';
import { Progress, StateMark } from '../parts/progress.tsx';
import { Ago } from '../parts/time.tsx';
import type { ShownPreheat } from '../state/live-state.ts';
import {
  amountWords,
  failureOf,
  imageShare,
  imageState,
  imageWords,
  isRunning,
  preheatAmount,
  preheatName,
  preheatShare,
  preheatState,
  preheatWords,
} from './preheat-figures.ts';

interface PreheatCardProps {
  readonly preheat: ShownPreheat;
  readonly onCancel: () => void;
  readonly onAgain: () => void;
}

const imagesStep = 20;

export function PreheatCard({ preheat, onCancel, onAgain }: PreheatCardProps) {
  const { images, platforms } = preheat;
  // Looked at once: a card does not open or close by itself.
  const [isOpen, setOpen] = useState(isRunning(preheat));
  const [only] = images;
  const name = preheatName(preheat);
  const state = preheatState(preheat);
  const words = preheatWords(preheat);
  const failure = failureOf(preheat);
  const isOne = images.length === 1 && only !== undefined;
  return (
    <article class="preheat" aria-label={`Preheat of ${name}`} tabIndex={-1}>
      <h3 class="preheat-title">{isOne ? <ImageName image={only.image} /> : <b>{name}</b>}</h3>
      <p class="preheat-amount num">
        {isOne && <b>{percent(preheatShare(preheat), 1)}</b>} <span class="dim">{preheatAmount(preheat)}</span>
      </p>
      <Strip preheat={preheat} words={words} />
      <div class="preheat-facts">
        <StateMark state={state} words={words} />
        <span class="dim">{platforms.length === 0 ? 'all platforms' : platforms.join(', ')}</span>
        <Times preheat={preheat} />
      </div>
      <div class="preheat-buttons">
        {!isOne && (
          <button
            type="button"
            class="quiet pull-toggle"
            aria-expanded={isOpen}
            aria-label={`${name} of this preheat`}
            onClick={() => setOpen(!isOpen)}
          >
            {counted(images.length, 'image')}
          </button>
        )}
        {/* The one takes the place of the other: what ends moves nothing. */}
        {isRunning(preheat) ? (
          <CancelButton name={name} onCancel={onCancel} />
        ) : (
          <button type="button" class="quiet" aria-label={`Preheat ${name} again`} onClick={onAgain}>
            Again
          </button>
        )}
      </div>
      {failure !== undefined && (!isOpen || images.length > imagesStep) && <p class="failure">{failure}</p>}
      {!isOne && isOpen && (
        <More items={images} step={imagesStep} what="image">
          {(shown) => (
            <ul class="preheat-images">
              {shown.map((image) => (
                <ImageRow key={image.image} image={image} />
              ))}
            </ul>
          )}
        </More>
      )}
    </article>
  );
}

/** An image is a part of the bar, each as wide as any other: how large one is shows only when it is its turn. */
function Strip({ preheat, words }: { readonly preheat: ShownPreheat; readonly words: string }) {
  const { images } = preheat;
  return (
    <div
      class={`strip${images.length > 30 ? ' is-fine' : ''}`}
      role="progressbar"
      aria-label={`Preheat of ${preheatName(preheat)}`}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={Math.floor(100 * preheatShare(preheat))}
      aria-valuetext={words}
    >
      {images.map((image) => (
        <span key={image.image} class={`bar bar-${imageState(image)}`}>
          <span class="bar-fill" style={{ transform: `scaleX(${Math.min(1, imageShare(image) ?? 0)})` }} />
        </span>
      ))}
    </div>
  );
}

function Times({ preheat: { startedAtMs, endedAtMs } }: { readonly preheat: ShownPreheat }) {
  return (
    <span class="dim">
      {endedAtMs === undefined ? (
        <>
          started <Ago atMs={startedAtMs} />
        </>
      ) : (
        <>
          ended <Ago atMs={endedAtMs} />, took {duration(endedAtMs - startedAtMs)}
        </>
      )}
    </span>
  );
}

/** Goes when nothing is left to cancel; whoever stood on it then stands on the preheat. */
function CancelButton({ name, onCancel }: { readonly name: string; readonly onCancel: () => void }) {
  const element = useRef<HTMLButtonElement>(null);
  useLayoutEffect(() => {
    const button = element.current;
    return () => {
      if (button === document.activeElement) button?.closest('article')?.focus({ preventScroll: true });
    };
  }, []);
  return (
    <button
      ref={element}
      type="button"
      class="quiet is-danger"
      aria-label={`Cancel the preheat of ${name}`}
      onClick={onCancel}
    >
      Cancel
    </button>
  );
}

function ImageRow({ image }: { readonly image: PreheatImageEntry }) {
  const words = imageWords(image);
  const state = imageState(image);
  return (
    <li class="preheat-image">
      <ImageName image={image.image} />
      <Progress label={image.image} state={state} share={imageShare(image)} words={words} />
      <span class="preheat-size num">{amountWords(image) ?? '–'}</span>
      <StateMark state={state} words={words} />
    </li>
  );
}
