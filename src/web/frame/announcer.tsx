import { useEffect, useRef, useState } from 'preact/hooks';
import { count } from '../format/amounts.ts';
import { connection, live } from '../state/store.ts';

/**
 * For screen readers: a pull that failed, what is wrong with the node, and the connection. Progress is not announced: a bar is
 * there to be asked. What was so before the page was opened is no news.
 */
export function Announcer() {
  const [words, setWords] = useState('');
  useFailedPulls(setWords);
  useTrouble(setWords);
  useConnection(setWords);
  return (
    <div class="hidden" role="status">
      {words}
    </div>
  );
}

type Say = (words: string | ((before: string) => string)) => void;

function useFailedPulls(say: Say): void {
  const known = useRef<Set<string> | undefined>(undefined);
  const { pulls } = live.value;
  useEffect(() => {
    if (pulls === undefined) return;
    const failed = pulls.filter(({ state }) => state === 'failed');
    const news = known.current === undefined ? [] : failed.filter(({ id }) => !known.current?.has(id));
    known.current = new Set(failed.map(({ id }) => id));
    const [first] = news;
    if (first === undefined) return;
    const cause = first.layers.find(({ state }) => state === 'failed')?.error ?? 'the cause is not known';
    say(
      `Pull of ${first.image} failed: ${cause}${news.length > 1 ? `; and ${count(news.length - 1)} more failed` : ''}`,
    );
  }, [pulls]);
}

function useTrouble(say: Say): void {
  const known = useRef<Map<string, string> | undefined>(undefined);
  const { status } = live.value;
  useEffect(() => {
    if (status === undefined) return;
    const now = new Map([...status.reasons, ...status.warnings].map((words) => [kindOf(words), words]));
    const before = known.current ?? now;
    known.current = now;
    const news = [...now].filter(([kind]) => !before.has(kind)).map(([, words]) => words);
    if (news.length > 0) say(`Warning: ${news.join('; ')}`);
    else if (before.size > 0 && now.size === 0) say('The node has no warnings any more.');
  }, [status]);
}

/** A cause in other words, such as of each attempt, is no news. */
function kindOf(words: string): string {
  return words.replace(/[:(].*/s, '');
}

function useConnection(say: Say): void {
  const { kind } = connection.value;
  useEffect(() => {
    if (kind === 'lost') say('Not connected to onepull any more. What is shown is not current.');
    else if (kind === 'live') say((before) => (before.startsWith('Not connected') ? 'Connected again.' : before));
  }, [kind]);
}
