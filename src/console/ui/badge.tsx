import type { ComponentChildren, JSX } from 'preact';
import { useWords } from '../app/words.js';
import { Icon, type IconName } from './icon.js';
import type { Tone } from './tone.js';
import { uiWords } from './words.js';

/** A state in a word or two, with a sign: colour alone says nothing here. */
export const Badge = ({
  tone = 'plain',
  icon,
  children,
}: {
  readonly tone?: Tone;
  readonly icon?: IconName;
  readonly children: ComponentChildren;
}): JSX.Element => (
  <span class={`badge tone-${tone}`}>
    <Icon name={icon ?? tone} />
    <span>{children}</span>
  </span>
);

const verdicts = ['monitored', 'private', 'refused'] as const;

/** What was decided of a call. Whatever is none of the three shows as undecided. */
export const Verdict = ({ verdict }: { readonly verdict: string }): JSX.Element => {
  const words = useWords(uiWords);
  const known = verdicts.find((one) => one === verdict);
  return (
    <span class={`badge verdict-${known ?? 'undecided'}`}>
      <Icon name={known ?? 'waiting'} />
      <span>{words.verdict[known ?? 'undecided']}</span>
    </span>
  );
};
