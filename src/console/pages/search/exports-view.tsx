import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import { api } from '../../api/client.js';
import { useMay, useSession } from '../../api/session.js';
import { useApi, useDoing } from '../../api/use-api.js';
import { useCell } from '../../app/cell.js';
import { Link } from '../../app/place.js';
import { language } from '../../app/settings.js';
import { useWords } from '../../app/words.js';
import { Badge } from '../../ui/badge.js';
import { Button } from '../../ui/button.js';
import { Confirm } from '../../ui/confirm.js';
import { Check, TextField } from '../../ui/field.js';
import { ProblemNotice } from '../../ui/notice.js';
import { Panel } from '../../ui/page.js';
import { Table } from '../../ui/table.js';
import type { Tone } from '../../ui/tone.js';
import { numberText, Time } from '../../ui/value.js';
import { keptPicked, keptWhy } from './kept.js';
import type { ExportJob } from './shapes.js';
import { words } from './words.js';

const tones: Readonly<Record<ExportJob['state'], Tone>> = {
  waiting: 'note',
  checking: 'note',
  writing: 'note',
  done: 'good',
  failed: 'bad',
  gone: 'plain',
};
const isOpen = ({ state }: ExportJob): boolean =>
  state === 'waiting' || state === 'checking' || state === 'writing';

/** Exports: what to, what for, confirm, and how far it is. */
export const ExportsView = (): JSX.Element => {
  const w = useWords(words);
  const asks = useMay('POST /v1/search/exports');
  const [fast, setFast] = useState(true);
  const list = useApi<{ readonly rows: readonly ExportJob[] }>('/v1/search/exports', {
    everyMs: fast ? 1_000 : 10_000,
  });
  const rows = list.data?.rows ?? [];
  const open = rows.some(isOpen);
  if (list.data !== null && open !== fast) setFast(open);
  return (
    <div class="stack">
      <p class="soft">{w.exp.lead}</p>
      {asks && (
        <Wizard
          onBegun={() => {
            setFast(true);
            void list.again();
          }}
        />
      )}
      <Panel title={w.exp.list}>
        <ProblemNotice problem={list.problem} onAgain={() => void list.again()} />
        <Exports rows={rows} busy={list.busy} />
      </Panel>
    </div>
  );
};

const Wizard = ({ onBegun }: { readonly onBegun: () => void }): JSX.Element => {
  const w = useWords(words);
  const now = useCell(language);
  const picked = useCell(keptPicked());
  const [why, setWhy] = useState(keptWhy().get());
  const [reference, setReference] = useState('');
  const [recordings, setRecordings] = useState(true);
  const [confirming, setConfirming] = useState(false);
  const count = numberText(picked.length, now);
  const ready = picked.length > 0 && reference.trim() !== '' && why.trim().length >= 3;
  const begin = useDoing(async () => {
    await api.post('/v1/search/exports', {
      ...{ calls: picked, recordings, case: reference.trim(), why: why.trim() },
    });
    setConfirming(false);
    keptPicked().set([]);
    onBegun();
  });
  return (
    <Panel title={w.exp.begin}>
      {picked.length === 0 ? (
        <p>
          {w.exp.none} <Link to="/search/calls">{w.tabs.calls}</Link>
        </p>
      ) : (
        <ol class="search-steps">
          <li>
            <h3>{w.exp.step1}</h3>
            <p>{w.exp.picked(count)}</p>
            <Check label={w.exp.recordings} checked={recordings} onCheck={setRecordings} />
          </li>
          <li>
            <h3>{w.exp.step2}</h3>
            <div class="search-fields">
              <TextField label={w.exp.case} value={reference} maxLength={100} onText={setReference} />
              <TextField label={w.exp.why} value={why} maxLength={200} onText={setWhy} />
            </div>
          </li>
          <li>
            <h3>{w.exp.step3}</h3>
            <p class="soft">{w.exp.written}</p>
            <Button kind="main" disabled={!ready} onPress={() => setConfirming(true)}>
              {w.exp.next}
            </Button>
          </li>
        </ol>
      )}
      <Confirm
        open={confirming}
        title={w.exp.confirm}
        tick={w.exp.tick}
        word={w.exp.confirm}
        busy={begin.busy}
        problem={begin.problem}
        onConfirm={() => void begin.run()}
        onClose={() => {
          begin.clear();
          setConfirming(false);
        }}
      >
        <p>{w.exp.summary(count, reference.trim())}</p>
        <p class="soft">{w.exp.written}</p>
      </Confirm>
    </Panel>
  );
};

const Exports = ({
  rows,
  busy,
}: {
  readonly rows: readonly ExportJob[];
  readonly busy: boolean;
}): JSX.Element => {
  const w = useWords(words);
  return (
    <Table
      caption={w.exp.list}
      hideCaption
      busy={busy}
      rows={rows}
      rowKey={(row) => row.id}
      empty={w.exp.empty}
      columns={[
        { key: 'when', head: w.col.when, rowHead: true, cell: (row) => <Time at={row.askedAt} /> },
        { key: 'case', head: w.col.case, cell: (row) => row.case, wrap: true },
        { key: 'who', head: w.col.who, cell: (row) => row.by },
        {
          key: 'state',
          head: w.col.state,
          cell: (row) => <Badge tone={tones[row.state]}>{w.exp.states[row.state]}</Badge>,
        },
        { key: 'what', head: w.col.what, cell: (row) => <Progress job={row} /> },
        { key: 'actions', head: w.col.actions, cell: (row) => <Fetching job={row} /> },
      ]}
    />
  );
};

const Progress = ({ job }: { readonly job: ExportJob }): JSX.Element => {
  const w = useWords(words);
  const now = useCell(language);
  const text = (value: number): string => numberText(value, now);
  if (isOpen(job)) {
    const said = w.exp.progress(text(job.checked), text(job.calls));
    return (
      <span class="search-progress">
        <progress max={job.calls} value={job.checked} aria-label={said} />
        <span class="small">{said}</span>
      </span>
    );
  }
  if (job.state === 'failed') return <span>{w.exp.failed(job.code ?? '')}</span>;
  return (
    <span class="search-outcome">
      <span>{w.exp.result(text(job.exported.length), text(job.withheld.length))}</span>
      {job.without.length > 0 && <span class="soft small">{w.exp.without(text(job.without.length))}</span>}
      {job.withheld.length > 0 && (
        <details>
          <summary>{w.exp.withheld}</summary>
          <ul class="small mono">
            {job.withheld.map((one) => (
              <li key={one}>{one}</li>
            ))}
          </ul>
        </details>
      )}
    </span>
  );
};

/** Fetched by the page: a refusal is shown in words, where a plain link would lead away to it. */
const Fetching = ({ job }: { readonly job: ExportJob }): JSX.Element | null => {
  const w = useWords(words);
  const { account } = useSession();
  const fetching = useDoing(async () => {
    const bytes = await api.bytes(`/v1/search/exports/${job.id}/bundle`, { timeoutMs: 600_000 });
    const url = URL.createObjectURL(new Blob([bytes], { type: 'application/x-tar' }));
    const link = document.createElement('a');
    link.href = url;
    link.download = `${job.id}.tar`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
  });
  if (job.state !== 'done' || job.by !== account || job.exported.length === 0) return null;
  return (
    <span class="search-outcome">
      <Button small icon="download" busy={fetching.busy} onPress={() => void fetching.run()}>
        {w.exp.download}
      </Button>
      <ProblemNotice problem={fetching.problem} />
    </span>
  );
};
