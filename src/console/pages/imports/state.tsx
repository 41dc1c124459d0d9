import type { JSX } from 'preact';
import { useWords } from '../../app/words.js';
import { Badge } from '../../ui/badge.js';
import type { Tone } from '../../ui/tone.js';
import { type ImportShown, isUnderWay, type StateName } from './types.js';
import { words as all } from './words.js';

const tones: Readonly<Record<StateName, Tone>> = {
  receiving: 'plain',
  staging: 'plain',
  faulty: 'bad',
  staged: 'plain',
  compared: 'note',
  applying: 'plain',
  applied: 'good',
  undoing: 'plain',
  undone: 'plain',
  abandoned: 'plain',
};

/** Where an import is, in a word. */
export const StateBadge = ({ of }: { readonly of: ImportShown }): JSX.Element => {
  const words = useWords(all);
  const { done, undone } = of.changes;
  if (done.proposed + undone.proposed > 0 && !isUnderWay(of)) return <Badge tone="warn">{words.waits}</Badge>;
  return <Badge tone={tones[of.state]}>{words.states[of.state]}</Badge>;
};
