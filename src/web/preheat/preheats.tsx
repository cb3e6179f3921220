import { useState } from 'preact/hooks';
import { More } from '../parts/more.tsx';
import type { ShownPreheat } from '../state/live-state.ts';
import { live } from '../state/store.ts';
import { CancelDialog } from './cancel-dialog.tsx';
import { PreheatCard } from './preheat-card.tsx';
import { PreheatDialog } from './preheat-dialog.tsx';
import type { PreheatDraft } from './preheat-request.ts';

const nothingTyped: PreheatDraft = { images: '', platforms: '' };

/** Images that are pulled before anybody asks for them: those preheats that run, and the last that ended. */
export function Preheats() {
  const preheats = live.value.preheats ?? [];
  const [draft, setDraft] = useState(nothingTyped);
  const [isAsking, setAsking] = useState(false);
  const [leaving, setLeaving] = useState<ShownPreheat>();
  const [done, setDone] = useState('');
  const again = ({ images, platforms }: ShownPreheat) => {
    setDraft({ images: images.map(({ image }) => image).join('\n'), platforms: platforms.join(', ') });
    setAsking(true);
  };
  return (
    <section aria-labelledby="preheats">
      <div class="heading-row">
        <h2 id="preheats">Preheats</h2>
        <p class="done-words" role="status">
          {done}
        </p>
        <button type="button" onClick={() => setAsking(true)}>
          Preheat images
        </button>
      </div>
      {preheats.length === 0 ? (
        <p class="nothing">None of late. A preheat pulls images before anybody asks for them.</p>
      ) : (
        <More items={preheats} step={3} what="preheat">
          {(shown) => (
            <ul class="preheats">
              {shown.map((preheat) => (
                <li key={preheat.id}>
                  <PreheatCard preheat={preheat} onCancel={() => setLeaving(preheat)} onAgain={() => again(preheat)} />
                </li>
              ))}
            </ul>
          )}
        </More>
      )}
      {isAsking && (
        <PreheatDialog
          draft={draft}
          onDraft={setDraft}
          onEnd={(words) => {
            setAsking(false);
            if (words === undefined) return;
            setDraft(nothingTyped);
            setDone(words);
          }}
        />
      )}
      {leaving !== undefined && (
        <CancelDialog
          preheat={leaving}
          onEnd={(words) => {
            setLeaving(undefined);
            if (words !== undefined) setDone(words);
          }}
        />
      )}
    </section>
  );
}
