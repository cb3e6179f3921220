import { useEffect, useState } from 'preact/hooks';

const shownMs = 3000;

/** Says that it was copied, or that the browser does not let a page do so (it wants HTTPS or loopback). */
export function CopyButton({ text, what }: { readonly text: string; readonly what: string }) {
  const [said, setSaid] = useState('');
  useEffect(() => {
    if (said === '') return;
    const timer = setTimeout(() => setSaid(''), shownMs);
    return () => clearTimeout(timer);
  }, [said]);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      setSaid('Copied');
    } catch {
      setSaid('Not allowed here: select the text');
    }
  };
  return (
    <span class="copy">
      <span role="status">{said}</span>
      <button type="button" class="quiet" aria-label={`Copy ${what}`} onClick={() => void copy()}>
        Copy
      </button>
    </span>
  );
}
