import type { JSX } from 'preact';
import { useCell } from '../../app/cell.js';
import { language } from '../../app/settings.js';
import { useWords } from '../../app/words.js';
import { reasonWords } from '../../codes/reason-words.js';
import { Badge, Verdict } from '../../ui/badge.js';
import { Icon } from '../../ui/icon.js';
import { Facts, Num, numberText } from '../../ui/value.js';
import { spanishRows, words as all } from './words.js';

/** `POST /v1/explain`. */
export interface Explained {
  readonly number: string;
  readonly verdict: 'monitored' | 'private' | 'refused';
  readonly class: string | null;
  readonly ending: string | null;
  readonly row: number;
  readonly reasons: readonly {
    readonly code: string;
    readonly detail: string | null;
    readonly words: string;
  }[];
  readonly epoch: { readonly id: number; readonly digest: string } | null;
  readonly heartbeatAgeMs: number | null;
  readonly policy: string;
  readonly rows: readonly {
    readonly order: number;
    readonly question: string;
    readonly outcome: string;
    readonly said: 'no' | 'decides' | 'not-asked';
  }[];
  readonly lists: readonly {
    readonly list: 'privileged' | 'snapshot' | 'pending' | 'block' | 'allow';
    readonly state: 'listed' | 'absent' | 'unknown';
    readonly why: string | null;
    readonly entries: readonly {
      readonly id: string;
      readonly class: string | null;
      readonly match: string | null;
      readonly scope: string | null;
      readonly cause: string | null;
    }[];
  }[];
}

/** The rows of the table in their order; `lit` of them have been asked so far. */
export const DecisionRows = ({
  answer,
  lit,
}: {
  readonly answer: Explained;
  readonly lit: number;
}): JSX.Element => {
  const words = useWords(all);
  const of = useCell(language);
  return (
    <ol class="why-rows">
      {answer.rows.map(({ order, question, outcome, said }) => {
        const asked = order <= lit ? said : 'not-asked';
        const text = of === 'es' ? spanishRows[order] : undefined;
        return (
          <li
            key={order}
            class={`why-row why-${asked}${asked === 'decides' ? ` verdict-${answer.verdict}` : ''}`}
            {...(asked === 'decides' ? { 'aria-current': 'step' as const } : {})}
          >
            <span class="why-order">{order}</span>
            <span class="why-question">
              {text?.question ?? question}
              <span class="why-outcome">{text?.outcome ?? outcome}</span>
            </span>
            <span class="why-said">
              {asked === 'decides' && <Icon name={answer.verdict} />}
              {words.said[asked]}
            </span>
          </li>
        );
      })}
    </ol>
  );
};

export const Answer = ({ answer }: { readonly answer: Explained }): JSX.Element => {
  const words = useWords(all);
  const of = useCell(language);
  const { verdict, reasons, row, epoch, heartbeatAgeMs, policy, number, ending, class: cls } = answer;
  return (
    <>
      <div class={`why-verdict verdict-${verdict}`}>
        <Verdict verdict={verdict} />
        {cls !== null && <Badge>{cls}</Badge>}
        <p>{words.would[verdict]}</p>
        <p class="soft small">{words.decidedBy(row)}</p>
      </div>
      <div>
        <h3>{words.because}</h3>
        <ul class="why-reasons">
          {reasons.map(({ code, detail, words: english }) => (
            <li key={`${code} ${detail ?? ''}`}>
              {reasonWords(code, english, of)}
              <span class="soft small">
                {' '}
                <code>{code}</code>
                {detail !== null && <> ({detail})</>}
              </span>
            </li>
          ))}
        </ul>
      </div>
      <Facts
        facts={[
          [words.read, <code key="number">{number}</code>],
          [words.epoch, epoch === null ? words.none : <Num value={epoch.id} />],
          [
            words.heartbeat,
            heartbeatAgeMs === null
              ? words.none
              : words.seconds(numberText(Math.max(0, heartbeatAgeMs) / 1000, of, 1)),
          ],
          [words.digest, <code key="digest">{epoch?.digest.slice(0, 16) ?? '–'}</code>],
          [words.policy, <code key="policy">{policy.slice(0, 16)}</code>],
          ...(ending === null
            ? []
            : ([[words.ending, <code key="ending">{ending}</code>]] as const)),
        ]}
      />
    </>
  );
};

const tones = { listed: 'note', absent: 'plain', unknown: 'warn' } as const;

export const ListsSaid = ({ answer }: { readonly answer: Explained }): JSX.Element => {
  const words = useWords(all);
  return (
    <ul class="why-lists">
      {answer.lists.map(({ list, state, why, entries }) => (
        <li key={list}>
          <span>{words.listNames[list]}</span>
          <Badge tone={tones[state]}>
            {words.states[state]}
            {why !== null && ` (${why})`}
          </Badge>
          {entries.length > 0 && (
            <ul class="why-entries">
              {entries.map(({ id, class: cls, match, scope, cause }) => (
                <li key={id}>
                  {[cls, cause, match === null ? null : words.by(match.replaceAll('-', ' ')), scope]
                    .filter((one) => one !== null)
                    .join(', ')}{' '}
                  <code title={id}>{id.slice(0, 12)}</code>
                </li>
              ))}
            </ul>
          )}
        </li>
      ))}
    </ul>
  );
};
