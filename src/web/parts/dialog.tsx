import type { ComponentChildren } from 'preact';
import { useEffect, useId, useRef } from 'preact/hooks';

interface DialogProps {
  readonly title: string;
  readonly children: ComponentChildren;
  /** Escape, or the button that leaves everything as it is. */
  readonly onClose: () => void;
}

/**
 * A modal dialog. The browser keeps the focus in it. When it closes, what opened it gets the focus back, or, where that is gone
 * by then, what was around it.
 */
export function Dialog({ title, children, onClose }: DialogProps) {
  const element = useRef<HTMLDialogElement>(null);
  const isGone = useRef(false);
  const titleId = useId();
  useEffect(() => {
    const dialog = element.current;
    const opener = document.activeElement;
    const around = [opener, opener?.closest('[tabindex="-1"]'), document.getElementById('main')];
    if (dialog?.open === false) dialog.showModal();
    return () => {
      isGone.current = true;
      dialog?.close();
      const left = around.find((element) => element instanceof HTMLElement && element.isConnected);
      if (left instanceof HTMLElement) left.focus();
    };
  }, []);
  return (
    <dialog
      ref={element}
      aria-labelledby={titleId}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      // A browser may close it without asking first.
      onClose={() => {
        if (!isGone.current) onClose();
      }}
    >
      <h2 id={titleId}>{title}</h2>
      {children}
    </dialog>
  );
}
