import type { ComponentChildren, JSX } from 'preact';
import { useEffect, useId, useRef } from 'preact/hooks';
import { useWords } from '../app/words.js';
import { Icon } from './icon.js';
import { uiWords } from './words.js';

interface DialogProps {
  readonly open: boolean;
  readonly title: string;
  /** Closed by the person: by the key, the cross or a press beside it. */
  readonly onClose: () => void;
  readonly children: ComponentChildren;
  /** Buttons at its foot. */
  readonly actions?: ComponentChildren;
  readonly wide?: boolean;
  /** Nothing but its buttons closes it: while something is under way. */
  readonly held?: boolean;
}

/** The browser's own modal dialog: it keeps the focus in, and gives it back. What is in it is there only while it is open. */
export const Dialog = ({
  open,
  title,
  onClose,
  children,
  actions,
  wide = false,
  held = false,
}: DialogProps): JSX.Element | null => {
  const words = useWords(uiWords);
  const id = useId();
  const element = useRef<HTMLDialogElement>(null);
  const before = useRef<Element | null>(null);
  const close = (): void => {
    if (!held) onClose();
  };
  const latest = useRef(close);
  latest.current = close;
  useEffect(() => {
    const dialog = element.current;
    if (dialog === null || !open) return;
    before.current = document.activeElement;
    dialog.showModal();
    // A press beside it closes it too; the key that does so is the browser's own.
    const beside = (event: MouseEvent): void => {
      if (event.target === dialog) latest.current();
    };
    dialog.addEventListener('click', beside);
    return () => {
      dialog.removeEventListener('click', beside);
      dialog.close();
      if (before.current instanceof HTMLElement) before.current.focus();
    };
  }, [open]);
  if (!open) return null;
  return (
    <dialog
      ref={element}
      class={`dialog${wide ? ' dialog-wide' : ''}`}
      aria-labelledby={id}
      onCancel={(event: Event) => {
        event.preventDefault();
        close();
      }}
    >
      <div class="dialog-inside">
        <header class="dialog-head">
          <h2 id={id}>{title}</h2>
          <button type="button" class="button button-quiet" aria-label={words.close} onClick={close}>
            <Icon name="close" />
          </button>
        </header>
        <div class="dialog-body">{children}</div>
        {actions !== undefined && <footer class="dialog-foot">{actions}</footer>}
      </div>
    </dialog>
  );
};
