/** Measures and colours of the printed statement, in points (1/72 inch) on US Letter. */
export const page = { width: 612, height: 792, left: 54, right: 54, top: 76, bottom: 62 } as const;
export const bodyWidth = page.width - page.left - page.right;
export const bodyBottom = page.height - page.bottom;

export const colours = {
  ink: '#1c2430',
  soft: '#5a6472',
  faint: '#8a929d',
  rule: '#c9ced6',
  band: '#f1f3f6',
  accent: '#1f3a5f',
  good: '#2e6f4a',
  bad: '#a3322a',
  // Told apart by colour-blind readers and in grey print: dark, middle, light, lightest.
  monitored: '#27486e',
  private: '#4b9a78',
  refused: '#dd9a4a',
  undecided: '#c4c9d1',
} as const;

export const fonts = { text: 'Helvetica', bold: 'Helvetica-Bold', code: 'Courier' } as const;
export const sizes = { title: 22, h1: 14, h2: 11, text: 9.5, table: 8.5, small: 7.5 } as const;

/** What the standard fonts can show (Windows-1252); anything else would come out as another sign. */
const SHOWN = /[\u0020-\u007e\u00a0-\u00ff€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]/;

export const shown = (text: string): string =>
  [...text].map((sign) => (SHOWN.test(sign) ? sign : '?')).join('');

const groups = /\B(?=(\d{3})+$)/g;
/** 1234567 as 1,234,567: no locale of the machine has a say. */
export const number = (value: number): string => String(Math.round(value)).replace(groups, ',');

/** The share in percent; nothing of nothing is a dash. All is only said of all, and none only of none. */
export const share = (part: number, whole: number): string => {
  if (whole === 0) return '–';
  const percent = (part / whole) * 100;
  if (part > 0 && percent < 0.01) return 'under 0.01 %';
  if (part < whole && percent > 99.99) return 'over 99.99 %';
  return `${percent.toFixed((percent > 0 && percent < 1) || (percent > 99 && percent < 100) ? 2 : 1)} %`;
};

/** `2026-05-01 06:30:00 UTC` of a journal's time; seconds are left out where `short`. */
export const time = (at: string, short = false): string =>
  `${at.slice(0, 10)} ${at.slice(11, short ? 16 : 19)}${short ? '' : ' UTC'}`;

/** A length of time in words people use. */
export const duration = (ms: number): string => {
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 120) return `${minutes} min`;
  const hours = ms / 3_600_000;
  return hours < 72 ? `${hours.toFixed(1)} h` : `${(hours / 24).toFixed(1)} days`;
};
