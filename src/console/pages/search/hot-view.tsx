import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import { api } from '../../api/client.js';
import { useMay, useSession } from '../../api/session.js';
import { useApi, useDoing } from '../../api/use-api.js';
import { useLive } from '../../api/use-live.js';
import { tell } from '../../app/notices.js';
import { Link } from '../../app/place.js';
import { useWords } from '../../app/words.js';
import { Badge } from '../../ui/badge.js';
import { Button } from '../../ui/button.js';
import { Dialog } from '../../ui/dialog.js';
import { TextField } from '../../ui/field.js';
import { Notice, ProblemNotice } from '../../ui/notice.js';
import { Panel } from '../../ui/page.js';
import { Table } from '../../ui/table.js';
import type { Tone } from '../../ui/tone.js';
import { Time } from '../../ui/value.js';
import type { HotAlert, HotNumber } from './shapes.js';
import { words } from './words.js';

const tones: Readonly<Record<HotNumber['state'], Tone>> = {
  proposed: 'warn',
  watched: 'good',
  expired: 'plain',
  ended: 'plain',
};

/** Numbers that somebody is told of, and what happened with them. */
export const HotView = (): JSX.Element => {
  const w = useWords(words);
  const list = useApi<{ readonly rows: readonly HotNumber[] }>('/v1/search/hot-numbers');
  const watches = useMay('GET /v1/search/alerts');
  const proposes = useMay('POST /v1/search/hot-numbers');
  const alerts = useApi<{ readonly rows: readonly HotAlert[] }>(watches ? '/v1/search/alerts' : null, {
    everyMs: 15_000,
  });
  useLive(watches ? '/v1/search/alerts/live' : null, {
    alert: (data) => {
      const { facility = '' } = (data ?? {}) as { readonly facility?: string };
      tell('warn', w.hot.now(facility));
      void alerts.again();
    },
  });
  return (
    <div class="stack">
      <p class="soft">{w.hot.lead}</p>
      {watches && (
        <Panel title={w.hot.alerts}>
          <ProblemNotice problem={alerts.problem} onAgain={() => void alerts.again()} />
          <Table
            caption={w.hot.alerts}
            hideCaption
            busy={alerts.busy}
            rows={alerts.data?.rows ?? []}
            rowKey={(row) => `${row.hot} ${row.callId}`}
            empty={w.hot.noAlerts}
            columns={[
              {
                key: 'when',
                head: w.col.when,
                rowHead: true,
                cell: (row) => (
                  <Link to={`/search/calls/${row.callId}`}>
                    <Time at={row.at} />
                  </Link>
                ),
              },
              { key: 'number', head: w.col.number, cell: (row) => <span class="mono">{row.number}</span> },
              { key: 'caller', head: w.col.caller, cell: (row) => row.caller ?? w.unknownCaller },
              { key: 'place', head: w.col.place, cell: (row) => row.facility },
            ]}
          />
        </Panel>
      )}
      <Numbers
        rows={list.data?.rows ?? []}
        busy={list.busy}
        onDone={() => void list.again()}
        problem={<ProblemNotice problem={list.problem} onAgain={() => void list.again()} />}
      />
      {proposes && <Propose onDone={() => void list.again()} />}
    </div>
  );
};

const Numbers = ({
  rows,
  busy,
  problem,
  onDone,
}: {
  readonly rows: readonly HotNumber[];
  readonly busy: boolean;
  readonly problem: JSX.Element;
  readonly onDone: () => void;
}): JSX.Element => {
  const w = useWords(words);
  const { account } = useSession();
  const [ending, setEnding] = useState<HotNumber | null>(null);
  const [why, setWhy] = useState('');
  const agrees = useMay('POST /v1/search/hot-numbers/:hot/approve');
  const ends = useMay('POST /v1/search/hot-numbers/:hot/end');
  const approve = useDoing(async (id: string) => {
    await api.post(`/v1/search/hot-numbers/${id}/approve`);
    onDone();
  });
  const end = useDoing(async (id: string) => {
    await api.post(`/v1/search/hot-numbers/${id}/end`, { why: why.trim() });
    setEnding(null);
    onDone();
  });
  const isOpen = ({ state }: HotNumber): boolean => state === 'proposed' || state === 'watched';
  return (
    <Panel title={w.hot.list}>
      {problem}
      <ProblemNotice problem={approve.problem} />
      <Table
        caption={w.hot.list}
        hideCaption
        busy={busy}
        rows={rows}
        rowKey={(row) => row.id}
        empty={w.hot.none}
        columns={[
          {
            key: 'number',
            head: w.col.number,
            rowHead: true,
            cell: (row) => <span class="mono">{row.number}</span>,
          },
          {
            key: 'state',
            head: w.col.state,
            cell: (row) => <Badge tone={tones[row.state]}>{w.hot.states[row.state]}</Badge>,
          },
          { key: 'reason', head: w.col.reason, cell: (row) => row.reason, wrap: true },
          {
            key: 'people',
            head: w.col.people,
            cell: (row) => [row.proposedBy, row.approvedBy ?? '–'].join(', '),
          },
          { key: 'expires', head: w.col.expires, cell: (row) => <Time at={row.expires} /> },
          {
            key: 'actions',
            head: w.col.actions,
            cell: (row) => (
              <span class="actions">
                {agrees && row.state === 'proposed' && row.proposedBy !== account && (
                  <Button small busy={approve.busy} onPress={() => void approve.run(row.id)}>
                    {w.hot.approve}
                  </Button>
                )}
                {ends && isOpen(row) && (
                  <Button
                    small
                    kind="quiet"
                    label={`${w.hot.end} ${row.number}`}
                    onPress={() => {
                      setWhy('');
                      end.clear();
                      setEnding(row);
                    }}
                  >
                    {w.hot.end}
                  </Button>
                )}
              </span>
            ),
          },
        ]}
      />
      <Dialog
        open={ending !== null}
        title={w.hot.endTitle}
        onClose={() => setEnding(null)}
        actions={
          <Button
            kind="main"
            busy={end.busy}
            disabled={why.trim().length < 3}
            onPress={() => void end.run(ending?.id ?? '')}
          >
            {w.hot.end}
          </Button>
        }
      >
        <p class="mono">{ending?.number}</p>
        <TextField label={w.hot.endWhy} value={why} maxLength={500} onText={setWhy} />
        <ProblemNotice problem={end.problem} />
      </Dialog>
    </Panel>
  );
};

const Propose = ({ onDone }: { readonly onDone: () => void }): JSX.Element => {
  const w = useWords(words);
  const [number, setNumber] = useState('');
  const [reason, setReason] = useState('');
  const [until, setUntil] = useState('');
  const at = new Date(until);
  const ready = number.trim() !== '' && reason.trim().length >= 3 && !Number.isNaN(at.getTime());
  const propose = useDoing(async () => {
    await api.post('/v1/search/hot-numbers', {
      ...{ number: number.trim(), reason: reason.trim(), expires: at.toISOString() },
    });
    setNumber('');
    setReason('');
    tell('good', w.hot.proposed);
    onDone();
  });
  return (
    <Panel title={w.hot.propose}>
      <form
        class="stack"
        onSubmit={(event) => {
          event.preventDefault();
          if (ready) void propose.run();
        }}
      >
        <div class="search-fields">
          <TextField
            label={w.hot.number}
            value={number}
            mono
            inputMode="tel"
            maxLength={80}
            onText={setNumber}
          />
          <TextField label={w.hot.reason} value={reason} maxLength={500} onText={setReason} />
          <TextField label={w.hot.until} type="datetime-local" value={until} onText={setUntil} />
        </div>
        <Notice>{w.hot.another}</Notice>
        <div class="actions">
          <Button kind="main" type="submit" busy={propose.busy} disabled={!ready}>
            {w.hot.send}
          </Button>
        </div>
        <ProblemNotice problem={propose.problem} />
      </form>
    </Panel>
  );
};
