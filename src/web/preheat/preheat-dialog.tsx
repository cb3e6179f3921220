import type { RefObject } from 'preact';
import { useId, useRef, useState } from 'preact/hooks';
import { preheatLimits } from '../../core/preheat-limits.ts';
import type { PreheatSnapshot } from '../../pull/preheat/preheat-snapshot.ts';
import { counted } from '../format/amounts.ts';
import { Dialog } from '../parts/dialog.tsx';
import { change } from '../state/admin-call.ts';
import { type PreheatDraft, type Problem, problemOf, refusalOf, requestOf } from './preheat-request.ts';

interface PreheatDialogProps {
  /** It outlives the dialog: what was typed is not lost when it is closed. */
  readonly draft: PreheatDraft;
  readonly onDraft: (draft: PreheatDraft) => void;
  /** With what was done, in words; undefined: nothing. */
  readonly onEnd: (done: string | undefined) => void;
}

export function PreheatDialog({ draft, onDraft, onEnd }: PreheatDialogProps) {
  const [problem, setProblem] = useState<Problem>();
  const [isBusy, setBusy] = useState(false);
  const fields = { images: useRef<HTMLTextAreaElement>(null), platforms: useRef<HTMLInputElement>(null) };
  const show = (found: Problem) => {
    setProblem(found);
    if (found.field !== 'none') fields[found.field].current?.focus();
  };
  const start = async () => {
    const request = requestOf(draft);
    const found = problemOf(request);
    if (found !== undefined) return show(found);
    setBusy(true);
    setProblem(undefined);
    try {
      const answer = await change<PreheatSnapshot>('POST', '/api/v1/preheats', request);
      if (answer !== undefined) return onEnd(`Preheat of ${counted(answer.images.length, 'image')} started.`);
    } catch (error) {
      show(refusalOf(error));
    }
    setBusy(false);
  };
  const wordsOf = (field: Problem['field']) => (problem?.field === field ? problem.words : undefined);
  return (
    <Dialog title="Preheat images" onClose={() => onEnd(undefined)}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (!isBusy) void start();
        }}
      >
        <p>They are pulled now, before anybody asks for them, also when this page is closed.</p>
        <ImagesField
          element={fields.images}
          value={draft.images}
          problem={wordsOf('images')}
          onInput={(images) => onDraft({ ...draft, images })}
        />
        <PlatformsField
          element={fields.platforms}
          value={draft.platforms}
          problem={wordsOf('platforms')}
          onInput={(platforms) => onDraft({ ...draft, platforms })}
        />
        <FieldProblem id="" words={wordsOf('none')} />
        <div class="dialog-buttons">
          <button type="button" onClick={() => onEnd(undefined)}>
            Close
          </button>
          <button type="submit" class="primary" disabled={isBusy}>
            Preheat
          </button>
        </div>
      </form>
    </Dialog>
  );
}

interface FieldProps<Element> {
  readonly element: RefObject<Element | null>;
  readonly value: string;
  readonly problem: string | undefined;
  readonly onInput: (value: string) => void;
}

function ImagesField({ element, value, problem, onInput }: FieldProps<HTMLTextAreaElement>) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>Images</label>
      <textarea
        id={id}
        ref={element}
        rows={5}
        spellcheck={false}
        autoCapitalize="off"
        aria-invalid={problem !== undefined}
        aria-describedby={`${id}-hint ${id}-problem`}
        value={value}
        onInput={(event) => onInput(event.currentTarget.value)}
      />
      <FieldProblem id={`${id}-problem`} words={problem} />
      <p id={`${id}-hint`} class="hint">
        One per line, {preheatLimits.images} at most, as clients name them: <code>nginx:1.29</code>,{' '}
        <code>ghcr.io/org/app@sha256:…</code>. Without a tag: <code>latest</code>.
      </p>
    </div>
  );
}

function PlatformsField({ element, value, problem, onInput }: FieldProps<HTMLInputElement>) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>Platforms</label>
      <input
        id={id}
        ref={element}
        type="text"
        spellcheck={false}
        autoCapitalize="off"
        autoComplete="off"
        aria-invalid={problem !== undefined}
        aria-describedby={`${id}-hint ${id}-problem`}
        value={value}
        onInput={(event) => onInput(event.currentTarget.value)}
      />
      <FieldProblem id={`${id}-problem`} words={problem} />
      <p id={`${id}-hint`} class="hint">
        With commas between them: <code>linux/amd64, linux/arm64</code>. Left empty: all that an image has.
      </p>
    </div>
  );
}

/** It is there before it says something, so that what comes into it is read out. */
function FieldProblem({ id, words }: { readonly id: string; readonly words: string | undefined }) {
  return (
    <p id={id === '' ? undefined : id} class="failure" role="alert">
      {words}
    </p>
  );
}
