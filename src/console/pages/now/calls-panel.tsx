import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import { api } from '../../api/client.js';
import { useMay } from '../../api/session.js';
import { useDoing } from '../../api/use-api.js';
import { tell } from '../../app/notices.js';
import { useWords } from '../../app/words.js';
import { stageOf, stages, stageWords } from '../../codes/phases.js';
import { Verdict } from '../../ui/badge.js';
import { Button } from '../../ui/button.js';
import { Confirm } from '../../ui/confirm.js';
import { TextField } from '../../ui/field.js';
import { Panel } from '../../ui/page.js';
import { type Column, Table } from '../../ui/table.js';
import { Duration, Num } from '../../ui/value.js';
import type { ShownCall } from './calls.js';
import { words as all } from './words.js';

/** Enough of an id to tell calls apart by eye. */
const shortId = (callId: string): string => callId.slice(0, 9);

/** The steps of a call: those behind it, the one it is at, and those before it. */
const Track = ({ call }: { readonly call: ShownCall }): JSX.Element => {
  const names = useWords(stageWords);
  const words = useWords(all);
  if (call.over !== null)
    return <span class="soft">{words.ended(call.over.how.replaceAll('-', ' '))}</span>;
  const at = stageOf(call.phase);
  const here = stages.indexOf(at);
  return (
    <span class="now-track">
      <span class="now-steps" aria-hidden="true">
        {stages.slice(0, 5).map((stage, index) => (
          <span key={stage} class={index < here ? 'behind' : index === here ? 'here' : 'before'} />
        ))}
      </span>
      <span>{names[at]}</span>
    </span>
  );
};

export const CallsPanel = ({
  calls,
  now,
}: {
  readonly calls: readonly ShownCall[];
  readonly now: number;
}): JSX.Element => {
  const words = useWords(all);
  const mayEnd = useMay('POST /v1/calls/:call/end');
  const [ending, setEnding] = useState<ShownCall | null>(null);
  const columns: Column<ShownCall>[] = [
    { key: 'call', head: words.call, cell: ({ callId }) => <code>{shortId(callId)}</code>, rowHead: true },
    { key: 'facility', head: words.facility, cell: ({ facility }) => facility, sort: ({ facility }) => facility },
    {
      key: 'verdict',
      head: words.verdict,
      cell: ({ verdict }) => <Verdict verdict={verdict} />,
      sort: ({ verdict }) => verdict,
    },
    {
      key: 'stage',
      head: words.stage,
      cell: (call) => <Track call={call} />,
      sort: ({ phase, over }) => (over === null ? stages.indexOf(stageOf(phase)) : 9),
    },
    {
      key: 'time',
      head: words.time,
      numeric: true,
      cell: ({ since, over }) => <Duration ms={(over?.at ?? now) - since} />,
      sort: ({ since }) => -since,
    },
  ];
  if (mayEnd)
    columns.push({
      key: 'action',
      head: words.action,
      numeric: true,
      cell: (call) =>
        call.over === null ? (
          <Button small label={words.endOf(shortId(call.callId))} onPress={() => setEnding(call)}>
            {words.end}
          </Button>
        ) : (
          ''
        ),
    });
  const here = calls.filter(({ over }) => over === null).length;
  return (
    <Panel title={words.calls} aside={<Num value={here} />}>
      <Table
        caption={words.callsCaption}
        columns={columns}
        rows={calls}
        rowKey={({ callId }) => callId}
        rowClass={({ over }) => (over === null ? undefined : 'now-over')}
        empty={words.none}
      />
      {ending !== null && <EndCall call={ending} onDone={() => setEnding(null)} />}
    </Panel>
  );
};

const EndCall = ({
  call,
  onDone,
}: {
  readonly call: ShownCall;
  readonly onDone: () => void;
}): JSX.Element => {
  const words = useWords(all);
  const [why, setWhy] = useState('');
  const [tried, setTried] = useState(false);
  const end = useDoing(async () => {
    await api.post(`/v1/calls/${call.callId}/end`, { why: why.trim() });
    tell('good', words.endDone);
    onDone();
  });
  return (
    <Confirm
      open
      title={words.endTitle}
      tick={words.endTick}
      word={words.endWord}
      danger
      busy={end.busy}
      problem={end.problem}
      onClose={onDone}
      onConfirm={() => {
        setTried(true);
        if (why.trim() !== '') void end.run();
      }}
    >
      <p>
        {words.endText(shortId(call.callId))} {call.verdict === 'private' && words.endPrivate}
      </p>
      <TextField
        label={words.why}
        hint={words.whyHint}
        value={why}
        onText={setWhy}
        maxLength={200}
        required
        error={tried && why.trim() === '' ? words.whyMissing : null}
      />
    </Confirm>
  );
};
