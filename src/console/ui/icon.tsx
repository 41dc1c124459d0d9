import type { JSX } from 'preact';

/** Drawn in strokes on a field of 20 by 20; in the colour of the words they stand beside. */
const paths = {
  monitored: 'M10 4a6 6 0 1 0 0 12a6 6 0 0 0 0-12z M10 8a2 2 0 1 0 0 4a2 2 0 0 0 0-4z',
  private: 'M6 9V7a4 4 0 0 1 8 0v2 M5 9h10v7H5z',
  refused: 'M10 3.5a6.5 6.5 0 1 0 0 13a6.5 6.5 0 0 0 0-13z M5.5 5.5l9 9',
  waiting: 'M10 3.5a6.5 6.5 0 1 0 0 13a6.5 6.5 0 0 0 0-13z M10 6.5V10l2.5 2',
  good: 'M4.5 10.5l3.5 3.5l7.5-8',
  warn: 'M10 3.5l7 12.5H3z M10 8v4 M10 13.9v.2',
  bad: 'M6.5 3.5h7l3 3v7l-3 3h-7l-3-3v-7z M10 6.5v4.5 M10 13.4v.2',
  note: 'M10 3.5a6.5 6.5 0 1 0 0 13a6.5 6.5 0 0 0 0-13z M10 9v4.5 M10 6.4v.2',
  plain: 'M10 9.5a.5.5 0 1 0 0 1a.5.5 0 0 0 0-1z',
  lock: 'M6 9V7a4 4 0 0 1 8 0v2 M5 9h10v7H5z M10 12v1.5',
  menu: 'M3.5 6h13 M3.5 10h13 M3.5 14h13',
  close: 'M5 5l10 10 M15 5L5 15',
  up: 'M10 15V5 M6 9l4-4l4 4',
  down: 'M10 5v10 M6 11l4 4l4-4',
  both: 'M7 8l3-3l3 3 M7 12l3 3l3-3',
  right: 'M8 5l5 5l-5 5',
  left: 'M12 5l-5 5l5 5',
  download: 'M10 3.5v9 M6 9l4 4l4-4 M4 16.5h12',
  person: 'M10 4a3 3 0 1 0 0 6a3 3 0 0 0 0-6z M4.5 16.5c.6-3 2.8-4.2 5.5-4.2s4.9 1.2 5.5 4.2',
  sun: 'M10 7a3 3 0 1 0 0 6a3 3 0 0 0 0-6z M10 2.5v1.7 M10 15.8v1.7 M2.5 10h1.7 M15.8 10h1.7 M4.7 4.7l1.2 1.2 M14.1 14.1l1.2 1.2 M4.7 15.3l1.2-1.2 M14.1 5.9l1.2-1.2',
  moon: 'M15.5 12.2A6.3 6.3 0 0 1 7.8 4.5a6.3 6.3 0 1 0 7.7 7.7z',
  half: 'M10 3.5a6.5 6.5 0 1 0 0 13a6.5 6.5 0 0 0 0-13z M10 3.5v13 M10 6.5h4 M10 10h6.3 M10 13.5h4',
  phone:
    'M5 3.5h2.5l1.2 3.5l-1.7 1.2c.8 2 2.3 3.5 4.3 4.3l1.2-1.7l3.5 1.2v2.5c0 1-.8 1.8-1.8 1.7C8.5 15.8 4.2 11.5 3.3 5.3C3.2 4.3 4 3.5 5 3.5z',
  search: 'M9 4a5 5 0 1 0 0 10a5 5 0 0 0 0-10z M12.7 12.7l3.8 3.8',
} as const;
export type IconName = keyof typeof paths;

/** A sign beside words; it says nothing by itself. */
export const Icon = ({ name }: { readonly name: IconName }): JSX.Element => (
  <svg class="icon" viewBox="0 0 20 20" width="20" height="20" aria-hidden="true" focusable="false">
    <path d={paths[name]} />
  </svg>
);
