import { useState } from 'preact/hooks';
import type { PreheatSummary } from '../../pull/preheat/preheat-snapshot.ts';
import { Dialog } from '../parts/dialog.tsx';
import { change, failureWords } from '../state/admin-call.ts';
import type { ShownPreheat } from '../state/live-state.ts';
import { preheatName } from './preheat-figures.ts';

interface CancelDialogProps {
  readonly preheat: ShownPreheat;
  /** With what was done, in words; undefined: nothing. */
  readonly onEnd: (done: string | undefined) => void;
}

export function CancelDialog({ preheat, onEnd }: CancelDialogProps) {
  const [failure, setFailure] = useState<string>();
  const [isBusy, setBusy] = useState(false);
  const name = preheatName(preheat);
  const act = async () => {
    setBusy(true);
    setFailure(undefined);
    try {
      const path = `/api/v1/preheats/${encodeURIComponent(preheat.id)}`;
      const answer = await change<PreheatSummary>('DELETE', path);
      if (answer !== undefined) return onEnd(endWords(name, answer));
    } catch (error) {
      setFailure(failureWords(error));
    }
    setBusy(false);
  };
  return (
    <Dialog title="Cancel this preheat?" onClose={() => onEnd(undefined)}>
      <p class="image-name">{name}</p>
      <p>What is here already stays. What a client is waiting for goes on for it.</p>
      {failure !== undefined && (
        <p class="failure" role="alert">
          {failure}
        </p>
      )}
      <div class="dialog-buttons">
        <button type="button" onClick={() => onEnd(undefined)}>
          Let it go on
        </button>
        <button type="button" class="danger" disabled={isBusy} onClick={() => void act()}>
          Cancel preheat
        </button>
      </div>
    </Dialog>
  );
}

function endWords(name: string, { state }: PreheatSummary): string {
  return state === 'cancelled' ? `The preheat of ${name} was cancelled.` : `The preheat of ${name} had ended already.`;
}
