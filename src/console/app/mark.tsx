import type { JSX } from 'preact';

/** Two doors of which one is shut. */
export const Mark = (): JSX.Element => (
  <svg class="mark" viewBox="0 0 32 32" width="28" height="28" aria-hidden="true" focusable="false">
    <rect x="2" y="3" width="28" height="26" rx="5" class="mark-frame" />
    <path d="M9 8h6v16H9z" class="mark-shut" />
    <path d="M18 8l6-2.5v21L18 24z" class="mark-open" />
  </svg>
);
