import type { JSX } from 'preact';
import { api } from '../../api/client.js';
import { useMay } from '../../api/session.js';
import { useApi, useDoing } from '../../api/use-api.js';
import { Link } from '../../app/place.js';
import { useWords } from '../../app/words.js';
import { Button } from '../../ui/button.js';
import { Busy, Notice, ProblemNotice } from '../../ui/notice.js';
import { PageFrame, Panel } from '../../ui/page.js';
import { Facts, Num, Time } from '../../ui/value.js';
import { Actions } from './actions.js';
import { Faults, GuardNotice, NearPanel, StepsPanel, Summary, WhatIfPanel } from './findings.js';
import { StateBadge } from './state.js';
import { type ChangeCounts, type ImportShown, isUnderWay } from './types.js';
import { words as all } from './words.js';

const stages: ReadonlySet<string> = new Set(['staging', 'staged', 'applying', 'undoing']);

/** Something is being done with it: what, and how far it is. */
const UnderWay = ({ of: { job } }: { readonly of: ImportShown }): JSX.Element | null => {
  const words = useWords(all);
  if (job === null) return null;
  const text = words.jobs[job.what];
  if (job.of === null || job.of === 0) return <Busy what={text} />;
  return (
    <div class="imports-progress" role="status">
      <progress max={job.of} value={job.done} aria-label={text} />
      <span>{text}</span>
    </div>
  );
};

const useStanding = (): ((counts: ChangeCounts) => string) => {
  const { standing } = useWords(all);
  return ({ applied, proposed, waiting, rejected, withdrawn }) =>
    [
      applied > 0 ? standing.applied(applied) : '',
      proposed > 0 ? standing.proposed(proposed) : '',
      waiting > 0 ? standing.waiting(waiting) : '',
      rejected + withdrawn > 0 ? standing.stopped(rejected + withdrawn) : '',
    ]
      .filter((part) => part !== '')
      .join('; ');
};

const Standing = ({ of }: { readonly of: ImportShown }): JSX.Element => {
  const words = useWords(all);
  const text = useStanding();
  const facts: [string, JSX.Element | string][] = [
    [words.state, <StateBadge key="s" of={of} />],
    [words.source, of.source],
    [words.profile, of.profile.about],
    [words.file, of.fileName],
    [words.rows, <Num key="r" value={of.read.rows} />],
    [words.faults, <Num key="f" value={of.errors} />],
    [
      words.when,
      <span key="w">
        <Time at={of.madeAt} /> {words.by} {of.maker}
      </span>,
    ],
  ];
  if (of.appliedBy !== null)
    facts.push([words.appliedBy, of.reason === null ? of.appliedBy : `${of.appliedBy}: ${of.reason}`]);
  const [done, undone] = [text(of.changes.done), text(of.changes.undone)];
  if (done !== '') facts.push([words.changes, done]);
  if (of.undoneBy !== null) facts.push([words.undoneBy, of.undoneBy]);
  if (undone !== '') facts.push([words.changesUndo, undone]);
  return (
    <Panel title={words.progress}>
      <Facts facts={facts} />
      <p class="soft">{words.modes[of.profile.mode]}</p>
    </Panel>
  );
};

/** What was broken off, by a server that was stopped or a database that went, goes on where it was. */
const BrokenOff = ({
  of,
  onDone,
}: {
  readonly of: ImportShown;
  readonly onDone: () => void;
}): JSX.Element | null => {
  const words = useWords(all);
  const may = useMay('POST /v1/imports/:import/stage');
  const { run, busy, problem } = useDoing(async () => {
    const asking = { ifMatch: `"${of.version}"` };
    const why = of.reason ?? words.goOn;
    if (of.state === 'staging') await api.post(`/v1/imports/${of.id}/stage`);
    else if (of.state === 'staged') await api.post(`/v1/imports/${of.id}/compare`);
    else if (of.state === 'applying') await api.post(`/v1/imports/${of.id}/apply`, { why }, asking);
    else await api.post(`/v1/imports/${of.id}/undo`, { why }, asking);
    onDone();
  });
  if (!stages.has(of.state) || isUnderWay(of)) return null;
  return (
    <Notice tone="warn" title={words.brokenOff}>
      <p>{words.brokenOffText}</p>
      <ProblemNotice problem={problem} />
      {may && (
        <Button small busy={busy} onPress={() => void run()}>
          {words.goOn}
        </Button>
      )}
    </Notice>
  );
};

/** One import, from its file to its undoing. */
export const OneImport = ({ id }: { readonly id: string }): JSX.Element => {
  const words = useWords(all);
  const { data, problem, again } = useApi<ImportShown>(`/v1/imports/${encodeURIComponent(id)}`, {
    everyMs: 1500,
  });
  const looked = (): void => void again();
  return (
    <PageFrame
      title={data === null ? words.title : `${words.title}: ${data.source}`}
      lead={<Link to="/imports">{words.back}</Link>}
    >
      <ProblemNotice problem={problem} onAgain={looked} />
      {data === null && problem === null && <Busy />}
      {data !== null && (
        <>
          {isUnderWay(data) && <UnderWay of={data} />}
          {data.job?.state === 'failed' && (
            <Notice tone="bad" title={words.jobFailed} loud>
              <p>{data.job.detail}</p>
              <p class="notice-code">
                <code>{data.job.code}</code>
              </p>
            </Notice>
          )}
          <BrokenOff of={data} onDone={looked} />
          {data.state === 'faulty' && (
            <Notice tone="bad" title={words.faultyTitle}>
              {words.faultyText(data.errors)}
            </Notice>
          )}
          <GuardNotice of={data} onDone={looked} />
          <Standing of={data} />
          {data.errors + data.warnings > 0 && <Faults of={data} />}
          {data.counts !== null && (
            <>
              <Summary of={data} />
              {data.counts.near.total > 0 && <NearPanel of={data} />}
              <WhatIfPanel of={data} />
            </>
          )}
          <Actions of={data} onDone={looked} />
          {data.counts !== null && data.counts.steps > 0 && <StepsPanel key={data.state} of={data} />}
        </>
      )}
    </PageFrame>
  );
};
