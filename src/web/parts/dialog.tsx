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
  const titleId = useId();
  useEffect(() => {
    const dialog = element.current;
    const opener = document.activeElement;
    const around = [opener, opener?.closest('article'), document.getElementById('main')];
    if (dialog?.open === false) dialog.showModal();
    return () => {
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
    >
      <h2 id={titleId}>{title}</h2>
      {children}
    </dialog>
  );
}
