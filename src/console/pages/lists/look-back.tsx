import type { JSX } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { ApiProblem, api } from '../../api/client.js';
import { useCell } from '../../app/cell.js';
import { language } from '../../app/settings.js';
import { useWords } from '../../app/words.js';
import { Button } from '../../ui/button.js';
import { Select } from '../../ui/field.js';
import { Busy, Notice, ProblemNotice } from '../../ui/notice.js';
import { Panel } from '../../ui/page.js';
import { Table } from '../../ui/table.js';
import { Num, numberText, Time, timeText } from '../../ui/value.js';
import { NumberText, wordFor } from './parts.js';
import type { LookBack } from './shapes.js';
import { words as pageWords } from './words.js';

const EVERY_MS = 400;
const spans = ['7', '30', '90', '365'] as const;
type Span = (typeof spans)[number];

/** What is looked back from: changes that wait, or steps that nobody proposed yet. */
export type LookedAt = { readonly changes: readonly string[] } | { readonly ops: readonly object[] };

interface Looking {
  readonly job: LookBack | null;
  readonly problem: ApiProblem | null;
}

/** A look back of its own for each `asked`: begun, watched, and ended where nobody waits for it any more. */
const useLookBack = (
  asked: { readonly of: LookedAt; readonly days: number; readonly turn: number } | null,
): Looking => {
  const [state, setState] = useState<Looking>({ job: null, problem: null });
  const key = JSON.stringify(asked);
  useEffect(() => {
    if (asked === null) return;
    const stop = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    let id: string | null = null;
    const failed = (error: unknown): void => {
      if (stop.signal.aborted) return;
      const problem = error instanceof ApiProblem ? error : new ApiProblem(0, 'failed', String(error));
      setState({ job: null, problem });
    };
    const take = (job: LookBack): void => {
      id = job.id;
      if (stop.signal.aborted) {
        forget(id);
        return;
      }
      setState({ job, problem: null });
      if (job.state !== 'waiting' && job.state !== 'running') return;
      timer = setTimeout(() => {
        api
          .get<LookBack>(`/v1/what-if/${job.id}`, { unattended: true, signal: stop.signal })
          .then(take, failed);
      }, EVERY_MS);
    };
    setState({ job: null, problem: null });
    api.post<LookBack>('/v1/what-if', { ...asked.of, days: asked.days }).then(take, failed);
    return () => {
      stop.abort();
      clearTimeout(timer);
      if (id !== null) forget(id);
    };
  }, [key]);
  return asked === null ? { job: null, problem: null } : state;
};

/** Whoever leaves needs it no more; where this does not arrive, it ends by itself after a while. */
const forget = (id: string): void => {
  void api.delete(`/v1/what-if/${id}`).catch(() => undefined);
};

/** What a change would have done to past calls, in numbers and in a small list. */
export const LookBackPanel = ({
  of,
  auto = false,
}: {
  readonly of: LookedAt;
  /** Begun at once: for whoever is to approve. */
  readonly auto?: boolean;
}): JSX.Element => {
  const words = useWords(pageWords);
  const now = useCell(language);
  const [days, setDays] = useState<Span>('30');
  const [turn, setTurn] = useState(auto ? 1 : 0);
  const { job, problem } = useLookBack(turn === 0 ? null : { of, days: Number(days), turn });
  const running =
    turn > 0 && problem === null && (job === null || job.state === 'running' || job.state === 'waiting');
  return (
    <Panel title={words.lookBack}>
      <p class="soft">{words.lookBackLead}</p>
      <div class="form-row lists-look">
        <Select
          label={words.days}
          value={days}
          options={spans.map((value) => ({ value, text: words.daysOf(Number(value)) }))}
          onPick={(picked) => setDays(picked)}
        />
        {running ? (
          <Button icon="close" onPress={() => setTurn(0)}>
            {words.stop}
          </Button>
        ) : (
          <Button icon="search" onPress={() => setTurn(turn + 1)}>
            {turn === 0 ? words.look : words.lookAgain}
          </Button>
        )}
      </div>
      <ProblemNotice problem={problem} />
      {running && (
        <Busy
          what={
            job === null || job.state === 'waiting'
              ? words.waitingTurn
              : words.reading(numberText(job.rows, now))
          }
        />
      )}
      {job?.state === 'failed' && (
        <Notice tone="bad" title={words.lookFailed} loud>
          <p>{wordFor(words.lookCodes, job.code ?? '')}</p>
        </Notice>
      )}
      {job?.found !== null && job?.found !== undefined && (
        <Found found={job.found} from={timeText(job.from, now, 'day')} to={timeText(job.to, now, 'day')} />
      )}
    </Panel>
  );
};

/** A reader needs to see at once whether anything grave is among it. */
const grave: ReadonlySet<string> = new Set([
  'private-recorded',
  'private-undetermined',
  'private-unprotected',
]);

const gravity = (change: string): string =>
  grave.has(change) ? 'lists-grave' : change === 'recording-forbidden' ? 'lists-warned' : '';

type FoundCalls = NonNullable<LookBack['found']>;

const Found = ({
  found,
  from,
  to,
}: {
  readonly found: FoundCalls;
  readonly from: string;
  readonly to: string;
}): JSX.Element => {
  const words = useWords(pageWords);
  const counts = Object.entries(found.counts).filter(([, count]) => count > 0);
  const all = counts.reduce((sum, [, count]) => sum + count, 0);
  const cannot = Object.values(found.notReplayable).reduce((sum, count) => sum + count, 0);
  return (
    <div class="stack" role="status">
      <dl class="lists-tiles">
        <Tile name={words.counted} value={found.decisions} />
        <Tile name={words.touched} value={found.touched} />
        {counts.map(([change, count]) => (
          <Tile key={change} name={wordFor(words.changes, change)} value={count} kind={gravity(change)} />
        ))}
        {all > 0 && <Tile name={words.recordings} value={found.recordings} />}
      </dl>
      <p class="soft small">
        {words.period}: {from} – {to}
      </p>
      {found.decisions === 0 && <Notice tone="warn">{words.noCalls}</Notice>}
      {found.decisions > 0 && all === 0 && <Notice tone="good">{words.none30}</Notice>}
      {found.truncated && <Notice tone="warn">{words.truncated}</Notice>}
      {cannot > 0 && <Notice tone="note">{words.notReplayable(cannot)}</Notice>}
      {found.calls.length > 0 && <Calls found={found} all={all} />}
      {found.near.length > 0 && <Near found={found} />}
    </div>
  );
};

const Tile = ({
  name,
  value,
  kind = '',
}: {
  readonly name: string;
  readonly value: number;
  readonly kind?: string;
}): JSX.Element => (
  <div class={`lists-tile ${kind}`}>
    <dt>{name}</dt>
    <dd>
      <Num value={value} />
    </dd>
  </div>
);

const MOST_SHOWN = 10;

const Calls = ({ found, all }: { readonly found: FoundCalls; readonly all: number }): JSX.Element => {
  const words = useWords(pageWords);
  const [most, setMost] = useState(MOST_SHOWN);
  const end = useRef<HTMLDivElement>(null);
  const shown = found.calls.slice(0, most);
  const { callHeads: heads } = words;
  return (
    <div class="stack" ref={end}>
      <Table
        caption={words.callsShown(shown.length, all)}
        columns={[
          { key: 'at', head: heads.at, rowHead: true, cell: ({ at }) => <Time at={at} /> },
          { key: 'number', head: heads.number, cell: ({ number }) => <NumberText text={number} /> },
          { key: 'facility', head: heads.facility, cell: ({ facility }) => facility },
          {
            key: 'change',
            head: heads.change,
            cell: ({ change }) => <span class={gravity(change)}>{wordFor(words.changes, change)}</span>,
          },
          {
            key: 'recording',
            head: heads.recording,
            cell: ({ recording }) =>
              recording === null ? words.yesNo.unknown : recording ? words.yesNo.yes : words.yesNo.no,
          },
        ]}
        rows={shown}
        rowKey={(row) => row.callId}
      />
      {shown.length < found.calls.length && (
        <div class="lists-more">
          <Button small onPress={() => setMost(found.calls.length)}>
            {words.more}
          </Button>
        </div>
      )}
    </div>
  );
};

const Near = ({ found }: { readonly found: FoundCalls }): JSX.Element => {
  const words = useWords(pageWords);
  const { nearHeads: heads } = words;
  return (
    <Table
      caption={words.near}
      columns={[
        {
          key: 'number',
          head: heads.number,
          rowHead: true,
          cell: ({ number }) => <NumberText text={number} />,
        },
        { key: 'why', head: heads.why, cell: ({ why }) => wordFor(words.nearness, why) },
        { key: 'calls', head: heads.calls, numeric: true, cell: ({ calls }) => <Num value={calls} /> },
        {
          key: 'callers',
          head: heads.callers,
          numeric: true,
          cell: ({ callers }) => <Num value={callers} />,
        },
        { key: 'last', head: heads.last, cell: ({ last }) => <Time at={last} show="day" /> },
      ]}
      rows={found.near.slice(0, MOST_SHOWN)}
      rowKey={(row) => row.number + row.to}
    />
  );
};
