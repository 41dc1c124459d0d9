import type { JSX } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { ApiProblem, api } from '../../api/client.js';
import { useActsForAll, useMay } from '../../api/session.js';
import { useApi, useDoing } from '../../api/use-api.js';
import { useCell } from '../../app/cell.js';
import { language } from '../../app/settings.js';
import { useWords } from '../../app/words.js';
import { Button } from '../../ui/button.js';
import { Select, TextField } from '../../ui/field.js';
import { Busy, Notice, ProblemNotice } from '../../ui/notice.js';
import { PageFrame, Panel } from '../../ui/page.js';
import { numberText } from '../../ui/value.js';
import { Made } from './made.js';
import { Preview } from './preview.js';
import type { Job, Jobs, Statement } from './shapes.js';
import { statementWords } from './words.js';
import '../calls/calls.css';
import './statement.css';

const lasts = { halfYear: '6mo', quarter: '3mo', month: '1mo', week: '7d' } as const;
const periods = ['halfYear', 'quarter', 'month', 'week', 'own'] as const;

interface Asked {
  readonly period: (typeof periods)[number];
  readonly from: string;
  readonly to: string;
  readonly facility: string;
}

const bodyOf = ({ period, from, to, facility }: Asked): object => ({
  ...(period === 'own' ? { from, to } : { last: lasts[period] }),
  facility: facility === '' ? null : facility,
});

const LOOK_MS = 700;

/** Asks how far a statement is until it is made or failed. */
const followed = async (id: string, told: (job: Job) => void): Promise<Job> => {
  for (;;) {
    const job = await api.get<Job>(`/v1/statements/${id}`, { unattended: true });
    told(job);
    if (job.state === 'done' || job.state === 'failed') return job;
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
};

const AskPanel = ({
  jobs,
  busy,
  onPreview,
  onSign,
}: {
  readonly jobs: Jobs | null;
  readonly busy: 'preview' | 'sign' | null;
  readonly onPreview: (asked: Asked) => void;
  readonly onSign: (asked: Asked) => void;
}): JSX.Element => {
  const words = useWords(statementWords);
  const today = new Date().toISOString().slice(0, 10);
  const [asked, setAsked] = useState<Asked>({ period: 'halfYear', from: today, to: today, facility: '' });
  const set = (change: Partial<Asked>): void => setAsked((was) => ({ ...was, ...change }));
  const facilities = useApi<{ readonly rows: readonly { readonly id: string; readonly name: string }[] }>(
    '/v1/facilities',
  );
  const everywhere = useActsForAll();
  const [only] = facilities.data?.rows ?? [];
  useEffect(() => {
    if (!everywhere && asked.facility === '' && only !== undefined) set({ facility: only.id });
  }, [everywhere, asked.facility, only?.id]);
  const signs = useMay('POST /v1/statements') && jobs !== null && jobs.keyId !== null;
  return (
    <Panel title={words.ask}>
      <form
        class="form"
        onSubmit={(event) => {
          event.preventDefault();
          onPreview(asked);
        }}
      >
        <div class="form-row statement-ask">
          <Select
            label={words.period}
            value={asked.period}
            options={periods.map((value) => ({ value, text: words.periods[value] }))}
            onPick={(period) => set({ period })}
          />
          {asked.period === 'own' && (
            <>
              <TextField
                label={words.from}
                type="date"
                value={asked.from}
                max={today}
                required
                onText={(from) => set({ from })}
              />
              <TextField
                label={words.to}
                type="date"
                value={asked.to}
                required
                onText={(to) => set({ to })}
              />
            </>
          )}
          <Select
            label={words.facility}
            value={asked.facility}
            options={[
              ...(everywhere ? [{ value: '', text: words.all }] : []),
              ...(facilities.data?.rows ?? []).map(({ id, name }) => ({ value: id, text: name })),
            ]}
            onPick={(facility) => set({ facility })}
          />
        </div>
        <p class="soft small">
          {words.utc} {jobs !== null && (jobs.keyId === null ? words.noKey : words.signedBy(jobs.keyId))}
        </p>
        <div class="actions">
          <Button type="submit" kind="main" busy={busy === 'preview'} disabled={busy === 'sign'}>
            {words.preview}
          </Button>
          {signs && (
            <Button busy={busy === 'sign'} disabled={busy === 'preview'} onPress={() => onSign(asked)}>
              {words.sign}
            </Button>
          )}
        </div>
      </form>
    </Panel>
  );
};

const UnderWay = ({ job }: { readonly job: Job }): JSX.Element | null => {
  const words = useWords(statementWords);
  const of = useCell(language);
  const codes: Readonly<Record<string, string>> = words.codes;
  switch (job.state) {
    case 'waiting':
      return <Busy what={words.waiting} />;
    case 'running':
      return <Busy what={words.reading(numberText(job.rows, of))} />;
    case 'failed':
      return (
        <Notice tone="warn" title={words.failed} loud>
          <p>{codes[job.code ?? ''] ?? ''}</p>
          <p class="notice-code">
            <code>{job.code}</code>
          </p>
        </Notice>
      );
    case 'done':
      return null;
    default: {
      const never: never = job.state;
      return never;
    }
  }
};

const StatementPage = (): JSX.Element => {
  const words = useWords(statementWords);
  const jobs = useApi<Jobs>('/v1/statements');
  const [job, setJob] = useState<Job | null>(null);
  const [statement, setStatement] = useState<Statement | null>(null);
  const [gone] = useState(new AbortController());
  useEffect(() => () => gone.abort(), [gone]);
  const told = (one: Job): void => {
    if (gone.signal.aborted) throw new ApiProblem(0, 'offline', 'The page was left.');
    setJob(one);
  };
  const previewing = useDoing(async (asked: Asked) => {
    setStatement(null);
    const begun = await api.post<Job>('/v1/statements', { ...bodyOf(asked), preview: true });
    const done = await followed(begun.id, told);
    if (done.state === 'done')
      setStatement(await api.get<Statement>(`/v1/statements/${done.id}/files/statement.json`));
  });
  const signing = useDoing(async (asked: Asked) => {
    const begun = await api.post<Job>('/v1/statements', bodyOf(asked));
    await jobs.again();
    await followed(begun.id, told);
    await jobs.again();
  });
  const busy = previewing.busy ? 'preview' : signing.busy ? 'sign' : null;
  return (
    <PageFrame title={words.title} lead={words.lead}>
      <AskPanel
        jobs={jobs.data}
        busy={busy}
        onPreview={(asked) => void previewing.run(asked)}
        onSign={(asked) => void signing.run(asked)}
      />
      <ProblemNotice problem={previewing.problem ?? signing.problem} />
      {job !== null && <UnderWay job={job} />}
      {statement !== null && <Preview statement={statement} />}
      <ProblemNotice problem={jobs.problem} onAgain={() => void jobs.again()} />
      {jobs.busy && <Busy />}
      {jobs.data !== null && <Made jobs={jobs.data.rows} />}
    </PageFrame>
  );
};
export default StatementPage;
