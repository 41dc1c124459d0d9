import type { ComponentChildren, JSX } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import type { ApiProblem } from '../api/client.js';
import { useWords } from '../app/words.js';
import { Button } from './button.js';
import { Dialog } from './dialog.js';
import { Check } from './field.js';
import { ProblemNotice } from './notice.js';
import { uiWords } from './words.js';

interface ConfirmProps {
  readonly open: boolean;
  readonly title: string;
  /** What will happen, in words. */
  readonly children: ComponentChildren;
  /** What is ticked before it can be confirmed: that it was read and is meant. */
  readonly tick: string;
  /** Word of the button that does it. */
  readonly word: string;
  readonly danger?: boolean;
  /** How long it may be confirmed, in seconds from when it was opened; null for as long as one likes. */
  readonly seconds?: number | null;
  readonly busy?: boolean;
  readonly problem?: ApiProblem | null;
  readonly onConfirm: () => void;
  readonly onClose: () => void;
}

/**
 * The second of two steps: what will happen is shown, a box is ticked, and only then the button does it. The focus is
 * never on that button at first.
 */
export const Confirm = ({
  open,
  title,
  children,
  tick,
  word,
  danger = false,
  seconds = null,
  busy = false,
  problem = null,
  onConfirm,
  onClose,
}: ConfirmProps): JSX.Element => {
  const words = useWords(uiWords);
  const [read, setRead] = useState(false);
  const [left, setLeft] = useState<number | null>(seconds);
  useEffect(() => {
    setRead(false);
    setLeft(seconds);
    if (!open || seconds === null) return;
    const until = performance.now() + seconds * 1000;
    const timer = setInterval(() => setLeft(Math.max(0, Math.ceil((until - performance.now()) / 1000))), 250);
    return () => clearInterval(timer);
  }, [open, seconds]);
  const late = left !== null && left <= 0;
  return (
    <Dialog
      open={open}
      title={title}
      onClose={onClose}
      held={busy}
      actions={
        <>
          {left !== null && (
            <span class={`dialog-aside${late ? ' field-error' : ''}`} role="timer">
              {late ? words.tooLate : words.secondsLeft(left)}
            </span>
          )}
          <Button onPress={onClose} disabled={busy}>
            {words.cancel}
          </Button>
          <Button kind={danger ? 'danger' : 'main'} busy={busy} disabled={!read || late} onPress={onConfirm}>
            {word}
          </Button>
        </>
      }
    >
      {children}
      <Check label={tick} checked={read} onCheck={setRead} />
      <ProblemNotice problem={problem} />
    </Dialog>
  );
};
