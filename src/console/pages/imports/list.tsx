import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import { type ApiProblem, api } from '../../api/client.js';
import { useMay } from '../../api/session.js';
import { useApi, useDoing } from '../../api/use-api.js';
import { useCell } from '../../app/cell.js';
import { go, Link } from '../../app/place.js';
import { language } from '../../app/settings.js';
import { useWords } from '../../app/words.js';
import { Button } from '../../ui/button.js';
import { Field, Select, TextField } from '../../ui/field.js';
import { ProblemNotice } from '../../ui/notice.js';
import { PageFrame, Panel } from '../../ui/page.js';
import { Table } from '../../ui/table.js';
import { Num, numberText, Time } from '../../ui/value.js';
import { StateBadge } from './state.js';
import type { ImportShown, PageOf, ProfileShown } from './types.js';
import { upload } from './upload.js';
import { words as all } from './words.js';

const sourceShape = /^[a-z0-9][a-z0-9-]{0,47}$/;

const BeginForm = ({
  profiles,
  partBytes,
}: {
  readonly profiles: readonly ProfileShown[];
  readonly partBytes: number;
}): JSX.Element => {
  const words = useWords(all);
  const now = useCell(language);
  const [source, setSource] = useState('');
  const [name, setName] = useState(profiles[0]?.name ?? '');
  const [file, setFile] = useState<File | null>(null);
  const [tried, setTried] = useState(false);
  const [sent, setSent] = useState<number | null>(null);
  const profile = profiles.find((one) => one.name === name);
  const { run, busy, problem } = useDoing(async () => {
    setTried(true);
    if (file === null || !sourceShape.test(source)) return;
    const begun = await api.post<ImportShown>('/v1/imports', { source, profile: name, fileName: file.name });
    await upload(begun, file, partBytes, setSent);
    go(`/imports/${begun.id}`);
  });
  const size = (bytes: number): string => `${numberText(bytes / 1_048_576, now, 1)} MB`;
  return (
    <form
      class="form"
      onSubmit={(event) => {
        event.preventDefault();
        if (!busy) void run();
      }}
    >
      <div class="form-row">
        <TextField
          label={words.source}
          hint={words.sourceHint}
          value={source}
          onText={setSource}
          error={tried && !sourceShape.test(source) ? words.sourceWrong : null}
          autocomplete="off"
          spellcheck={false}
          maxLength={48}
          mono
        />
        <Select
          label={words.profile}
          hint={profile === undefined ? undefined : words.modes[profile.mode]}
          value={name}
          options={profiles.map((one) => ({
            value: one.name,
            text: `${one.about} (${one.format.toUpperCase()})`,
          }))}
          onPick={setName}
        />
      </div>
      <Field
        label={words.file}
        hint={words.fileHint}
        error={tried && file === null ? words.fileMissing : null}
      >
        {(ids) => (
          <input
            {...ids}
            type="file"
            class="control imports-file"
            accept=".csv,.json,.txt,.ndjson,text/csv,application/json"
            onChange={(event) => setFile(event.currentTarget.files?.[0] ?? null)}
          />
        )}
      </Field>
      {busy && sent !== null && file !== null && (
        <div class="imports-progress" role="status">
          <progress max={file.size} value={sent} aria-label={words.sending(size(sent), size(file.size))} />
          <span>{words.sending(size(sent), size(file.size))}</span>
        </div>
      )}
      <ProblemNotice problem={problem} />
      <div class="actions">
        <Button kind="main" type="submit" busy={busy}>
          {words.send}
        </Button>
      </div>
    </form>
  );
};

/** Past imports, and the beginning of a new one. */
export const ImportList = (): JSX.Element => {
  const words = useWords(all);
  const may = useMay('POST /v1/imports');
  const ways = useApi<{ readonly rows: readonly ProfileShown[]; readonly partBytes: number }>(
    may ? '/v1/imports/profiles' : null,
  );
  const first = useApi<PageOf<ImportShown>>('/v1/imports?limit=20', { everyMs: 5000 });
  const [older, setOlder] = useState<PageOf<ImportShown> | null>(null);
  const more = useDoing(async (cursor: string) => {
    const page = await api.get<PageOf<ImportShown>>(`/v1/imports?limit=20&cursor=${cursor}`);
    setOlder((was) => ({ rows: [...(was?.rows ?? []), ...page.rows], next: page.next }));
  });
  const known = new Set((first.data?.rows ?? []).map(({ id }) => id));
  const rows = [...(first.data?.rows ?? []), ...(older?.rows ?? []).filter(({ id }) => !known.has(id))];
  const next = older === null ? (first.data?.next ?? null) : older.next;
  const problem: ApiProblem | null = ways.problem ?? first.problem ?? more.problem;
  return (
    <PageFrame title={words.title} lead={words.lead}>
      <ProblemNotice problem={problem} onAgain={() => void first.again()} />
      {ways.data !== null && (
        <Panel title={words.begin}>
          <BeginForm profiles={ways.data.rows} partBytes={ways.data.partBytes} />
        </Panel>
      )}
      <Panel title={words.past}>
        <Table
          caption={words.past}
          hideCaption
          busy={first.busy}
          empty={words.none}
          rows={rows}
          rowKey={({ id }) => id}
          columns={[
            {
              key: 'source',
              head: words.source,
              rowHead: true,
              cell: ({ id, source }) => <Link to={`/imports/${id}`}>{source}</Link>,
            },
            { key: 'file', head: words.file, cell: ({ fileName }) => fileName, wrap: true },
            { key: 'state', head: words.state, cell: (one) => <StateBadge of={one} /> },
            { key: 'rows', head: words.rows, numeric: true, cell: ({ read }) => <Num value={read.rows} /> },
            { key: 'when', head: words.when, cell: ({ madeAt }) => <Time at={madeAt} /> },
            { key: 'by', head: words.maker, cell: ({ maker }) => maker },
          ]}
        />
        {next !== null && (
          <div class="actions">
            <Button small busy={more.busy} onPress={() => void more.run(next)}>
              {words.more}
            </Button>
          </div>
        )}
      </Panel>
    </PageFrame>
  );
};
