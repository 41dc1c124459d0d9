import type { JSX } from 'preact';
import { useWords } from '../../app/words.js';
import { Verdict } from '../../ui/badge.js';
import { Icon } from '../../ui/icon.js';
import { Time } from '../../ui/value.js';
import { toldOf } from './row-told.js';
import type { OneCall, Row } from './shapes.js';
import { timelineWords } from './timeline-words.js';
import { callWords } from './words.js';

/** What is longer takes a line of its own. */
const LONG = 48;

/** `1.25 s`, `840 ms`: how far from the call's arrival something was. */
const distance = (ms: number): string =>
  ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(ms < 60_000 ? 2 : 0)} s`;

const Entry = ({ row, arrived }: { readonly row: Row; readonly arrived: number }): JSX.Element => {
  const words = useWords(callWords);
  const told = useWords(timelineWords);
  const { title, tone, verdict, facts } = toldOf(row, told);
  const ms = Date.parse(row.at) - arrived;
  return (
    <li class={`event tone-${tone}`}>
      <div class="event-sign">
        <Icon name={tone === 'plain' ? 'note' : tone} />
      </div>
      <div class="event-body">
        <div class="event-head">
          <h3>{title}</h3>
          {verdict !== null && verdict !== '' && <Verdict verdict={verdict} />}
          <span class="soft small">
            <Time at={row.at} />
            {Number.isFinite(ms) && ` · ${ms < 0 ? told.before(distance(-ms)) : told.after(distance(ms))}`}
            {` · ${row.node}, ${words.row} ${row.seq}`}
          </span>
        </div>
        {facts.length > 0 && (
          <dl class="facts">
            {facts.map(([name, value]) => (
              <div key={name} class={value.length > LONG ? 'fact-wide' : undefined}>
                <dt>{name}</dt>
                <dd>{value}</dd>
              </div>
            ))}
          </dl>
        )}
        <details>
          <summary>{words.asWritten}</summary>
          {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard. */}
          <pre class="as-written" tabIndex={0}>
            {JSON.stringify(row.body, null, 2)}
          </pre>
        </details>
      </div>
    </li>
  );
};

/** Every row of a call in the order of the journal, and those about its media nodes among them. */
export const Timeline = ({ one }: { readonly one: OneCall }): JSX.Element => {
  const rows = [...one.rows, ...one.context].sort((a, b) => a.seq - b.seq);
  const arrived = Date.parse(one.call?.arrivedAt ?? one.rows[0]?.at ?? '');
  return (
    <ol class="events">
      {rows.map((row) => (
        <Entry key={`${row.node} ${row.seq}`} row={row} arrived={arrived} />
      ))}
    </ol>
  );
};
