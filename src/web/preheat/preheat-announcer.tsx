import { useEffect, useRef, useState } from 'preact/hooks';
import { live } from '../state/store.ts';
import { failureOf, preheatName, preheatWords } from './preheat-figures.ts';

/** For screen readers: a preheat that ended, whatever view is shown. What had ended before the page was opened is no news. */
export function PreheatAnnouncer() {
  const known = useRef<ReadonlySet<string> | undefined>(undefined);
  const [words, setWords] = useState('');
  const { preheats } = live.value;
  useEffect(() => {
    if (preheats === undefined) return;
    const ended = preheats.filter(({ endedAtMs }) => endedAtMs !== undefined);
    const news = ended.find(({ id }) => known.current?.has(id) === false);
    known.current = new Set(ended.map(({ id }) => id));
    if (news === undefined) return;
    const failure = failureOf(news);
    setWords(`Preheat of ${preheatName(news)}: ${preheatWords(news)}${failure === undefined ? '' : `. ${failure}`}`);
  }, [preheats]);
  return (
    <div class="hidden" role="status">
      {words}
    </div>
  );
}
