import type { ComponentChildren, JSX } from 'preact';
import { Icon, type IconName } from './icon.js';

export interface ButtonProps {
  readonly children: ComponentChildren;
  /** `main`: what the page is for, one of them at most; `danger`: what cannot be taken back or stops calls. */
  readonly kind?: 'plain' | 'main' | 'danger' | 'quiet';
  readonly type?: 'button' | 'submit';
  readonly icon?: IconName;
  /** Under way: it says so and takes no press. */
  readonly busy?: boolean;
  readonly disabled?: boolean;
  readonly small?: boolean;
  readonly onPress?: (event: MouseEvent) => void;
  /** What it is about, where its words alone do not say. */
  readonly label?: string;
  readonly describedBy?: string;
  readonly pressed?: boolean;
  readonly expanded?: boolean;
  readonly controls?: string;
  readonly autoFocus?: boolean;
}

/** A button. While it is busy it keeps its place and its focus. */
export const Button = ({
  children,
  kind = 'plain',
  type = 'button',
  icon,
  busy = false,
  disabled = false,
  small = false,
  onPress,
  label,
  describedBy,
  pressed,
  expanded,
  controls,
  autoFocus,
}: ButtonProps): JSX.Element => (
  <button
    type={type}
    class={`button button-${kind}${small ? ' button-small' : ''}`}
    aria-disabled={busy || disabled ? 'true' : undefined}
    aria-busy={busy ? 'true' : undefined}
    aria-label={label}
    aria-describedby={describedBy}
    aria-pressed={pressed}
    aria-expanded={expanded}
    aria-controls={controls}
    autofocus={autoFocus}
    onClick={(event: MouseEvent) => {
      // Not `disabled`: who stands on it with the keyboard would be nowhere then.
      if (busy || disabled) event.preventDefault();
      else onPress?.(event);
    }}
  >
    {busy ? <span class="spinner" aria-hidden="true" /> : icon === undefined ? null : <Icon name={icon} />}
    <span>{children}</span>
  </button>
);
