import { cell } from './cell.js';

/** What a person chose for this browser. It is kept there and nowhere else. */

export const languages = ['en', 'es'] as const;
export type Language = (typeof languages)[number];
export const themes = ['auto', 'light', 'dark'] as const;
export type Theme = (typeof themes)[number];

const kept = (name: string): string | null => {
  try {
    return localStorage.getItem(`sallyport.${name}`);
  } catch {
    // A browser that keeps nothing still shows everything.
    return null;
  }
};
const keep = (name: string, value: string): void => {
  try {
    localStorage.setItem(`sallyport.${name}`, value);
  } catch {
    // The same.
  }
};
const oneOf = <T extends string>(all: readonly T[], text: string | null): T | undefined =>
  all.find((one) => one === text);

const spoken = (): Language => (navigator.language.toLowerCase().startsWith('es') ? 'es' : 'en');

export const language = cell<Language>(oneOf(languages, kept('language')) ?? spoken());
export const theme = cell<Theme>(oneOf(themes, kept('theme')) ?? 'auto');

const show = (): void => {
  const { documentElement: root } = document;
  root.lang = language.get();
  if (theme.get() === 'auto') root.removeAttribute('data-theme');
  else root.dataset.theme = theme.get();
};

/** Once, before anything is drawn. */
export const applySettings = (): void => {
  show();
  language.watch(() => {
    keep('language', language.get());
    show();
  });
  theme.watch(() => {
    keep('theme', theme.get());
    show();
  });
};
