import type { JSX } from 'preact';
import { useCallback, useEffect, useState } from 'preact/hooks';
import { api } from '../../api/client.js';
import { useDoing } from '../../api/use-api.js';
import { useCell } from '../../app/cell.js';
import { tell } from '../../app/notices.js';
import { Link } from '../../app/place.js';
import { useWords } from '../../app/words.js';
import { Badge } from '../../ui/badge.js';
import { Button } from '../../ui/button.js';
import { Select, TextArea, TextField } from '../../ui/field.js';
import { Busy, Empty, Notice, ProblemNotice } from '../../ui/notice.js';
import { Panel } from '../../ui/page.js';
import { Table } from '../../ui/table.js';
import { Duration, Facts, Time } from '../../ui/value.js';
import { FlagBadge, LinksOf, Score } from './call-table.js';
import { keptWhy } from './kept.js';
import { type FlagName, flagNames, type OneCall } from './shapes.js';
import { words } from './words.js';

/** One call with everything that was said about it. */
export const OneCallView = ({ callId }: { readonly callId: string }): JSX.Element => {
  const w = useWords(words);
  const why = useCell(keptWhy());
  const said = why.trim().length >= 3;
  const [shown, setShown] = useState<OneCall | null>(null);
  const read = useDoing(async (reason: string) =>
    setShown(await api.post<OneCall>(`/v1/search/calls/${callId}`, { why: reason })),
  );
  const look = useCallback(() => void read.run(why.trim()), [read.run, why]);
  // Each reading is written down: one when it is opened with a reason, and none while a reason is typed.
  useEffect(() => {
    if (said) look();
  }, [callId]);
  return (
    <div class="stack">
      <p>
        <Link to="/search/calls">← {w.back}</Link>
      </p>
      {shown === null && !read.busy && (
        <>
          {!said && <Notice tone="warn">{w.whyMissing}</Notice>}
          <div class="actions">
            <Button kind="main" disabled={!said} onPress={look}>
              {w.readCall}
            </Button>
          </div>
        </>
      )}
      <ProblemNotice problem={read.problem} onAgain={look} />
      {shown === null && read.busy && <Busy />}
      {shown !== null && (
        <>
          <CallFacts shown={shown} />
          <div class="columns">
            <NotesPanel callId={callId} shown={shown} onSaid={look} />
            <FlagsPanel callId={callId} shown={shown} onSaid={look} />
          </div>
        </>
      )}
    </div>
  );
};

const CallFacts = ({ shown: { call } }: { readonly shown: OneCall }): JSX.Element => {
  const w = useWords(words);
  const [number = '', ...others] = call.numbers;
  const caller =
    call.caller === null ? (
      <span class="soft">{w.unknownCaller}</span>
    ) : (
      <LinksOf kind="caller" value={call.caller} />
    );
  return (
    <Panel title={w.call}>
      <Facts
        facts={[
          [w.col.began, <Time key="began" at={call.began} />],
          [w.col.length, <Duration key="length" ms={call.connectedMs} />],
          [w.col.caller, <span key="caller">{caller}</span>],
          [
            w.col.number,
            <span key="number" class="mono">
              <LinksOf kind="number" value={number} />
            </span>,
          ],
          ...(others.length === 0
            ? []
            : [
                [
                  w.others,
                  <span key="others" class="mono">
                    {others.join(', ')}
                  </span>,
                ] as const,
              ]),
          [w.col.place, [call.facility, call.unit, call.phone].filter((one) => one !== null).join(' / ')],
          [w.col.threeWay, <Score key="score" value={call.threeWay} />],
          [w.ending, call.endingText],
          [w.recording, call.recording === 'recording-finished' ? w.hasRecording : w.noRecording],
          [
            w.call,
            <code key="id" class="search-id">
              {call.callId}
            </code>,
          ],
        ]}
      />
    </Panel>
  );
};

const NotesPanel = ({
  callId,
  shown,
  onSaid,
}: {
  readonly callId: string;
  readonly shown: OneCall;
  readonly onSaid: () => void;
}): JSX.Element => {
  const w = useWords(words);
  const [text, setText] = useState('');
  const [corrects, setCorrects] = useState<string | null>(null);
  const add = useDoing(async () => {
    await api.post(`/v1/search/calls/${callId}/notes`, { text: text.trim(), corrects });
    setText('');
    setCorrects(null);
    tell('good', w.said);
    onSaid();
  });
  return (
    <Panel title={w.notes}>
      {shown.notes.length === 0 && <Empty>{w.noNotes}</Empty>}
      <ol class="search-notes">
        {shown.notes.map((note) => (
          <li key={note.id}>
            <p class="search-note-text">{note.text}</p>
            <p class="soft small">
              {note.author}, <Time at={note.at} />
              {note.corrects !== null && `, ${w.noteCorrects(note.corrects)}`}{' '}
              <Button
                kind="quiet"
                small
                label={`${w.noteCorrect} ${note.id}`}
                onPress={() => setCorrects(note.id)}
              >
                {w.noteCorrect}
              </Button>
            </p>
          </li>
        ))}
      </ol>
      <form
        class="form"
        onSubmit={(event) => {
          event.preventDefault();
          if (text.trim() !== '') void add.run();
        }}
      >
        <TextArea label={w.noteText} hint={w.noteHint} value={text} maxLength={2000} onText={setText} />
        {corrects !== null && <p class="soft small">{w.noteCorrecting(corrects)}</p>}
        <Button type="submit" busy={add.busy} disabled={text.trim() === ''}>
          {w.noteAdd}
        </Button>
        <ProblemNotice problem={add.problem} />
      </form>
    </Panel>
  );
};

const FlagsPanel = ({
  callId,
  shown,
  onSaid,
}: {
  readonly callId: string;
  readonly shown: OneCall;
  readonly onSaid: () => void;
}): JSX.Element => {
  const w = useWords(words);
  const [flag, setFlag] = useState<FlagName>('review');
  const [why, setWhy] = useState('');
  const isSet = shown.call.flags.includes(flag);
  const mark = useDoing(async () => {
    await api.post(`/v1/search/calls/${callId}/flags`, {
      ...{ flag, state: isSet ? 'cleared' : 'set', why: why.trim() },
    });
    setWhy('');
    tell('good', w.said);
    onSaid();
  });
  return (
    <Panel title={w.flags}>
      <p class="search-marks">
        {shown.call.flags.map((one) => (
          <FlagBadge key={one} flag={one} />
        ))}
      </p>
      <form
        class="form"
        onSubmit={(event) => {
          event.preventDefault();
          if (why.trim().length >= 3) void mark.run();
        }}
      >
        <Select
          label={w.flags}
          hideLabel
          value={flag}
          options={flagNames.map((value) => ({ value, text: w.flagNames[value] }))}
          onPick={setFlag}
        />
        <TextField label={w.flagWhy} value={why} maxLength={200} onText={setWhy} />
        <Button type="submit" busy={mark.busy} disabled={why.trim().length < 3}>
          {isSet ? w.flagClear : w.flagSet}
        </Button>
        <ProblemNotice problem={mark.problem} />
      </form>
      <Table
        caption={w.flagHistory}
        rows={shown.marks}
        rowKey={(row) => `${row.at}${row.flag}${row.state}`}
        empty={w.noFlags}
        columns={[
          { key: 'flag', head: w.flags, rowHead: true, cell: (row) => w.flagNames[row.flag] },
          {
            key: 'state',
            head: w.col.state,
            cell: (row) => (
              <Badge tone={row.state === 'set' ? 'note' : 'plain'}>{w.flagStates[row.state]}</Badge>
            ),
          },
          { key: 'who', head: w.col.who, cell: (row) => row.who },
          { key: 'when', head: w.col.when, cell: (row) => <Time at={row.at} /> },
          { key: 'why', head: w.col.why, cell: (row) => row.why, wrap: true },
        ]}
      />
    </Panel>
  );
};
