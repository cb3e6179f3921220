import type { ClientFile, NoConfiguration } from '../../clients/cache-facts.ts';
import type { ClientAdvice } from '../../clients/client-advice.ts';
import { CopyButton } from './copy-button.tsx';

/** What there is to say of one client: what to know first, then its files, then what else to do. */
export function ShownAdvice({ advice }: { readonly advice: ClientAdvice | NoConfiguration }) {
  if (advice.kind === 'none') {
    return (
      <div class="notice no-advice">
        <p class="why">{advice.why}</p>
        {advice.hint !== undefined && <p class="hint">{advice.hint}</p>}
      </div>
    );
  }
  const { files, next, notes } = advice;
  return (
    <div class="advice">
      {notes.length > 0 && <Sentences name="What to know" kind="notes notice" sentences={notes} />}
      {files.map((file) => (
        <File key={file.path} file={file} />
      ))}
      <Sentences name="What to do then" kind="next" sentences={next} />
    </div>
  );
}

interface SentencesProps {
  readonly name: string;
  readonly kind: string;
  readonly sentences: readonly string[];
}

function Sentences({ name, kind, sentences }: SentencesProps) {
  return (
    <ul class={kind} aria-label={name}>
      {sentences.map((sentence) => (
        <li key={sentence}>{sentence}</li>
      ))}
    </ul>
  );
}

function File({ file: { path, content } }: { readonly file: ClientFile }) {
  return (
    <figure class="file panel">
      <figcaption>
        <code>{path}</code>
        <CopyButton text={content} what={path} />
      </figcaption>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by keyboard */}
      <section class="file-text" tabIndex={0} aria-label={path}>
        <pre>{content}</pre>
      </section>
    </figure>
  );
}
