import type { JSX } from 'preact';
import { Button } from '../ui/button.js';
import { useCell } from './cell.js';
import { language, theme, themes } from './settings.js';
import { shellWords } from './shell-words.js';
import { useWords } from './words.js';

const icons = { auto: 'half', light: 'sun', dark: 'moon' } as const;

/** From one appearance to the next; it says which one is on. */
export const ThemePicker = (): JSX.Element => {
  const words = useWords(shellWords);
  const now = useCell(theme);
  const next = themes[(themes.indexOf(now) + 1) % themes.length] ?? 'auto';
  return (
    <Button
      kind="quiet"
      small
      icon={icons[now]}
      label={`${words.theme}: ${words.themes[now]}`}
      onPress={() => theme.set(next)}
    >
      <span class="heard-only">{words.themes[now]}</span>
    </Button>
  );
};

const names = { en: 'English', es: 'Español' } as const;

export const LanguagePicker = (): JSX.Element => {
  const now = useCell(language);
  const other = now === 'en' ? 'es' : 'en';
  return (
    <Button kind="quiet" small onPress={() => language.set(other)}>
      <span lang={other}>{names[other]}</span>
    </Button>
  );
};
