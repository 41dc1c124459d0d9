import type { JSX } from 'preact';
import { useCell } from '../../app/cell.js';
import { language } from '../../app/settings.js';
import { useWords } from '../../app/words.js';
import { numberText } from '../../ui/value.js';
import { plainWords } from '../calls/shapes.js';
import { type Counts, sumOf } from './shapes.js';
import { statementWords } from './words.js';

const MOST_SHOWN = 12;

/** Counts by name, the most frequent first, each with a bar as long as it is frequent. */
export const CountList = ({
  title,
  counts,
  nameOf = plainWords,
}: {
  readonly title: string;
  readonly counts: Counts;
  readonly nameOf?: (code: string) => string;
}): JSX.Element => {
  const words = useWords(statementWords);
  const of = useCell(language);
  const all = Object.entries(counts)
    .filter(([, count]) => count > 0)
    .sort(([one, a], [other, b]) => b - a || (one < other ? -1 : 1));
  const most = Math.max(1, ...all.map(([, count]) => count));
  const rest = all.slice(MOST_SHOWN);
  return (
    <section class="counts">
      <h3>{title}</h3>
      {all.length === 0 && <p class="soft">{words.none}</p>}
      <dl>
        {all.slice(0, MOST_SHOWN).map(([name, count]) => (
          <div key={name} class="count">
            <dt>{nameOf(name)}</dt>
            <dd class="num">{numberText(count, of)}</dd>
            <div class="count-bar" aria-hidden="true" style={{ width: `${(100 * count) / most}%` }} />
          </div>
        ))}
      </dl>
      {rest.length > 0 && (
        <p class="soft small">
          {words.more(rest.length)} ({numberText(sumOf(Object.fromEntries(rest)), of)})
        </p>
      )}
    </section>
  );
};
