import { useEffect, useRef, useState } from 'preact/hooks';
import { connection, live } from '../state/store.ts';

/** What is wrong with the node as a whole, on top of every view. */
export function Notices() {
  const { status } = live.value;
  if (status === undefined) return null;
  const { state, reasons, warnings } = status;
  if (state === 'ready' && warnings.length === 0) return null;
  return (
    <div class="notices">
      {state === 'not ready' && <p class="notice is-bad">Not ready: {reasons.join('; ')}</p>}
      {warnings.map((warning) => (
        <p key={warning} class="notice">
          {warning}
        </p>
      ))}
    </div>
  );
}

/**
 * For screen readers: a pull that failed, and the connection. Progress is not announced: a bar is there to be asked. What had
 * failed before the page was opened is no news.
 */
export function Announcer() {
  const known = useRef<Set<string> | undefined>(undefined);
  const [words, setWords] = useState('');
  const { pulls } = live.value;
  const { kind } = connection.value;
  useEffect(() => {
    if (pulls === undefined) return;
    const failed = pulls.filter(({ state }) => state === 'failed');
    const news = known.current === undefined ? [] : failed.filter(({ id }) => !known.current?.has(id));
    known.current = new Set(failed.map(({ id }) => id));
    const [first] = news;
    if (first === undefined) return;
    const cause = first.layers.find(({ state }) => state === 'failed')?.error ?? 'the cause is not known';
    setWords(`Pull of ${first.image} failed: ${cause}${news.length > 1 ? `; and ${news.length - 1} more failed` : ''}`);
  }, [pulls]);
  useEffect(() => {
    if (kind === 'lost') setWords('Not connected to onepull any more. What is shown is not current.');
    else if (kind === 'live') setWords((before) => (before.startsWith('Not connected') ? 'Connected again.' : before));
  }, [kind]);
  return (
    <div class="hidden" role="status">
      {words}
    </div>
  );
}
