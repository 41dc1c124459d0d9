import type { ComponentChildren, JSX } from 'preact';
import { useWords } from '../../app/words.js';
import { Badge } from '../../ui/badge.js';
import { Notice } from '../../ui/notice.js';
import type { Tone } from '../../ui/tone.js';
import { Facts, Time } from '../../ui/value.js';
import type { OwnNumber } from './data.js';
import { words as all } from './words.js';

type Standing = 'unproved' | 'protected' | 'pending' | 'not-protected' | 'lapsed' | 'contested' | 'yielded';

/** How a number stands, in the one word that matters most to whose it is. */
const standingOf = ({ state, protection }: OwnNumber): Standing =>
  state === 'proved' ? (protection?.answer ?? 'not-protected') : state;

const tones: Readonly<Record<Standing, Tone>> = {
  unproved: 'plain',
  protected: 'good',
  pending: 'note',
  'not-protected': 'bad',
  lapsed: 'warn',
  contested: 'warn',
  yielded: 'plain',
};

export const StandingBadge = ({ own }: { readonly own: OwnNumber }): JSX.Element => {
  const words = useWords(all);
  const standing = standingOf(own);
  return (
    <Badge tone={tones[standing]} {...(standing === 'protected' ? { icon: 'lock' as const } : {})}>
      {words.state[standing]}
    </Badge>
  );
};

/** What is known of it, and what to do about it. */
export const StandingText = ({ own }: { readonly own: OwnNumber }): JSX.Element => {
  const words = useWords(all);
  const standing = standingOf(own);
  const { protection, recorded } = own;
  const facts: (readonly [string, ComponentChildren])[] = [];
  if (protection?.since !== undefined && protection.since !== null)
    facts.push([words.since, <Time at={protection.since} />], [words.scope, words.everywhere]);
  if (protection?.until !== undefined && protection.until !== null)
    facts.push([words.until, <Time at={protection.until} />]);
  if (own.provedAt !== null) facts.push([words.provedAt, <Time at={own.provedAt} />]);
  if (own.provedUntil !== null && own.state === 'proved')
    facts.push([words.provedUntil, <Time at={own.provedUntil} show="day" />]);
  const rejected = own.proposal === 'rejected' || own.proposal === 'withdrawn';
  return (
    <div class="stack">
      {recorded !== null && recorded.calls > 0 && (
        <Notice tone="bad" title={words.recordedTitle(recorded.calls)} loud>
          {words.recordedText}
        </Notice>
      )}
      {facts.length > 0 && <Facts facts={facts} />}
      {standing === 'pending' && (
        <Notice tone={rejected ? 'warn' : 'note'}>{rejected ? words.rejectedText : words.waitingText}</Notice>
      )}
      {standing === 'lapsed' && <Notice tone="warn">{words.lapsedText}</Notice>}
      {standing === 'contested' && <Notice tone="warn">{words.contestedText}</Notice>}
      {standing === 'yielded' && <Notice>{words.yieldedText}</Notice>}
      {own.endsSoon && <Notice tone="warn">{words.endsSoon}</Notice>}
    </div>
  );
};
