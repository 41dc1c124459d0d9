import type { JSX } from 'preact';
import { useCell } from '../../app/cell.js';
import { Link } from '../../app/place.js';
import { language } from '../../app/settings.js';
import { useWords } from '../../app/words.js';
import { Badge } from '../../ui/badge.js';
import { Table } from '../../ui/table.js';
import type { Tone } from '../../ui/tone.js';
import { Duration, numberText, Time } from '../../ui/value.js';
import { keptPicked, type LinkStart, linkStart } from './kept.js';
import type { FlagName, FoundCall } from './shapes.js';
import { words } from './words.js';

const MOST_PICKED = 500;

const tones: Readonly<Partial<Record<FlagName, Tone>>> = { threat: 'bad', violence: 'bad', cleared: 'good' };

export const FlagBadge = ({ flag }: { readonly flag: FlagName }): JSX.Element => {
  const w = useWords(words);
  return <Badge tone={tones[flag] ?? 'note'}>{w.flagNames[flag]}</Badge>;
};

/** Leads to the links of a caller or a number. */
export const LinksOf = ({ kind, value }: LinkStart): JSX.Element => {
  const w = useWords(words);
  return (
    <Link to="/search/links" title={w.link.follow(value)} onGo={() => linkStart.set({ kind, value })}>
      {value}
    </Link>
  );
};

/** How much speaks for a third party, as a number and a bar of it. */
export const Score = ({ value }: { readonly value: number }): JSX.Element => (
  <span class="search-score">
    <span class="num">{value}</span>
    <meter min={0} max={100} high={60} optimum={0} value={value} aria-hidden="true" />
  </span>
);

/** Calls that were found. One is picked for an export by its box, and opened by its time. */
export const CallTable = ({ rows }: { readonly rows: readonly FoundCall[] }): JSX.Element => {
  const w = useWords(words);
  const now = useCell(language);
  const picked = useCell(keptPicked());
  const pick = (callId: string, on: boolean): void => {
    const others = picked.filter((one) => one !== callId);
    keptPicked().set((on ? [...others, callId] : others).slice(-MOST_PICKED));
  };
  return (
    <Table
      caption={w.results}
      hideCaption
      rows={rows}
      rowKey={(row) => row.callId}
      empty={w.nothing}
      columns={[
        {
          key: 'pick',
          head: w.col.pick,
          cell: (row) => (
            <input
              type="checkbox"
              class="search-pick"
              aria-label={w.pickOne(row.callId)}
              checked={picked.includes(row.callId)}
              onChange={(event) => pick(row.callId, event.currentTarget.checked)}
            />
          ),
        },
        {
          key: 'began',
          head: w.col.began,
          rowHead: true,
          cell: (row) => (
            <Link to={`/search/calls/${row.callId}`}>
              <Time at={row.began} />
            </Link>
          ),
        },
        {
          key: 'caller',
          head: w.col.caller,
          cell: (row) =>
            row.caller === null ? (
              <span class="soft">{w.unknownCaller}</span>
            ) : (
              <LinksOf kind="caller" value={row.caller} />
            ),
        },
        {
          key: 'number',
          head: w.col.number,
          cell: (row) => (
            <span class="mono search-numbers">
              {row.numbers.map((number) => (
                <LinksOf key={number} kind="number" value={number} />
              ))}
            </span>
          ),
        },
        {
          key: 'place',
          head: w.col.place,
          cell: (row) => [row.facility, row.unit, row.phone].filter((one) => one !== null).join(' / '),
        },
        {
          key: 'length',
          head: w.col.length,
          numeric: true,
          cell: (row) => <Duration ms={row.connectedMs} />,
        },
        { key: 'score', head: w.col.threeWay, numeric: true, cell: (row) => <Score value={row.threeWay} /> },
        {
          key: 'marks',
          head: w.col.marks,
          cell: (row) => (
            <span class="search-marks">
              {row.flags.map((flag) => (
                <FlagBadge key={flag} flag={flag} />
              ))}
              {row.notes > 0 && <span class="soft small">{w.notesCount(numberText(row.notes, now))}</span>}
            </span>
          ),
        },
      ]}
    />
  );
};
