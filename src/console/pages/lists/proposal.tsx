import type { ComponentChildren, JSX } from 'preact';
import { useState } from 'preact/hooks';
import { api } from '../../api/client.js';
import { useMay } from '../../api/session.js';
import { useApi, useDoing } from '../../api/use-api.js';
import { useCell } from '../../app/cell.js';
import { tell } from '../../app/notices.js';
import { Link } from '../../app/place.js';
import { language } from '../../app/settings.js';
import { useWords } from '../../app/words.js';
import { Button } from '../../ui/button.js';
import { Confirm } from '../../ui/confirm.js';
import { TextArea } from '../../ui/field.js';
import { Busy, Notice, ProblemNotice } from '../../ui/notice.js';
import { PageFrame, Panel } from '../../ui/page.js';
import { Ago, Facts, Time, timeText } from '../../ui/value.js';
import { LookBackPanel } from './look-back.js';
import {
  BackToLists,
  Countdown,
  EffectBadge,
  FieldChanges,
  lengthOf,
  StateBadge,
  StepSentence,
  sentenceFor,
  wordFor,
} from './parts.js';
import type { Needs, Proposal, Step } from './shapes.js';
import { words as pageWords } from './words.js';

/** What a change needs, in words. */
export const NeedsText = ({ needs }: { readonly needs: Needs }): JSX.Element => {
  const words = useWords(pageWords);
  const now = useCell(language);
  if (needs.approvals === 0) return <>{words.needNobody}</>;
  return (
    <>
      {words.needOthers(needs.approvals)}
      {needs.delayMs > 0 && <>, {words.thenDelay(lengthOf(needs.delayMs, now))}</>}
    </>
  );
};

/** The steps of a change, each in a sentence and field by field. */
export const Diff = ({
  steps,
  all,
  over = false,
}: {
  readonly steps: readonly Step[];
  readonly all: number;
  readonly over?: boolean;
}): JSX.Element => {
  const words = useWords(pageWords);
  return (
    <ol class="lists-steps">
      {steps.map((step) => (
        <li key={step.step} class="lists-step">
          <h3>{wordFor(words.ops, step.op)}</h3>
          <p
            class={
              step.op === 'privileged-remove' || step.op === 'pending-settle' ? 'lists-grave' : undefined
            }
          >
            <StepSentence step={step} />
          </p>
          <FieldChanges changes={step.fields} caption={`${words.whatChanges} ${step.step}`} alone={over} />
          {step.missing && <Notice tone="bad">{words.moved}</Notice>}
        </li>
      ))}
      {all > steps.length && <li class="soft">{words.stepsMore(all - steps.length)}</li>}
    </ol>
  );
};

type Word = 'approve' | 'reject' | 'withdraw';

/** One change: what it changes, what it would have done, who said what, and a word on it. */
export const ProposalView = ({ id }: { readonly id: string }): JSX.Element => {
  const words = useWords(pageWords);
  const mayLook = useMay('POST /v1/what-if');
  const { data, problem, busy, again } = useApi<Proposal>(`/v1/proposals/${encodeURIComponent(id)}`, {
    everyMs: 15_000,
  });
  // What a word is said about is what stood there when its dialog was opened, whatever is asked anew meanwhile.
  const [saying, setSaying] = useState<{ readonly word: Word; readonly about: Proposal } | null>(null);
  const open = data !== null && (data.state === 'proposed' || data.state === 'waiting');
  const first = data?.subjects[0];
  return (
    <PageFrame
      title={first === undefined ? words.proposal : `${wordFor(words.ops, first.op)}: ${first.subject}`}
      {...(data === null ? {} : { lead: data.reason })}
    >
      <BackToLists tab="proposals" />
      <ProblemNotice problem={problem} onAgain={() => void again()} />
      {busy && <Busy />}
      {data !== null && (
        <>
          <Head proposal={data} onDue={() => void again()} />
          {data.stopped !== null && (
            <Notice tone="bad" title={words.stopped}>
              <p>{wordFor(words.faults, data.stopped.code)}</p>
              <p class="notice-code">
                <code>{data.stopped.code}</code>
              </p>
            </Notice>
          )}
          <Panel title={words.whatChanges} aside={<EffectBadge effect={data.gravest} />}>
            <Diff steps={data.diff} all={data.steps} over={!open} />
            {data.consequences.map(({ step, code, count }) => (
              <Notice key={`${step} ${code}`} tone={code === 'allowed-on-lists' ? 'warn' : 'note'}>
                {sentenceFor(words.consequences, code, count)}
              </Notice>
            ))}
          </Panel>
          {open && mayLook && data.stopped === null && (
            <LookBackPanel of={{ changes: [data.id] }} auto={data.may.approve === 'yes'} />
          )}
          <Voices proposal={data} />
          {open && <Words proposal={data} onSay={(word) => setSaying({ word, about: data })} />}
          {saying !== null && (
            <Say
              proposal={saying.about}
              word={saying.word}
              onClose={() => {
                setSaying(null);
                void again();
              }}
            />
          )}
        </>
      )}
    </PageFrame>
  );
};

const Head = ({
  proposal,
  onDue,
}: {
  readonly proposal: Proposal;
  readonly onDue: () => void;
}): JSX.Element => {
  const words = useWords(pageWords);
  const { state, dueAt, needs, approvers, epoch } = proposal;
  const facts: (readonly [string, ComponentChildren])[] = [
    [
      words.proposedBy,
      <>
        {proposal.maker}, <Ago at={proposal.proposedAt} />
      </>,
    ],
    [words.needs, <NeedsText needs={needs} />],
  ];
  if (state === 'proposed') facts.push([words.agreedSoFar, words.agreed(approvers.length, needs.approvals)]);
  if (state === 'waiting' && dueAt !== null)
    facts.push([
      words.due,
      <>
        <Countdown until={dueAt} onOver={onDue} /> <span class="soft small">({<Time at={dueAt} />})</span>
      </>,
    ]);
  if (state === 'applied' && proposal.overAt !== null)
    facts.push([
      words.columns.when,
      <>
        <Time at={proposal.overAt} />{' '}
        <span class="soft small">
          {epoch === null ? (
            words.notLive
          ) : (
            <Link to={`/lists/publication/${epoch}`}>{words.live(epoch)}</Link>
          )}
        </span>
      </>,
    ]);
  return (
    <Panel title={words.columns.state} aside={<StateBadge state={state} />}>
      <Facts facts={facts} />
    </Panel>
  );
};

const Voices = ({ proposal }: { readonly proposal: Proposal }): JSX.Element => {
  const words = useWords(pageWords);
  return (
    <Panel title={words.who}>
      <ul class="lists-timeline">
        <li>
          <strong>{proposal.maker}</strong> <Time at={proposal.proposedAt} />
          <p>{proposal.reason}</p>
        </li>
        {proposal.voices.map((voice) => (
          <li key={`${voice.who} ${voice.says}`}>
            <strong>
              {voice.who} {words.said[voice.says]}
            </strong>{' '}
            <Time at={voice.at} />
            {voice.why !== '' && <p>{voice.why}</p>}
          </li>
        ))}
      </ul>
    </Panel>
  );
};

const Words = ({
  proposal,
  onSay,
}: {
  readonly proposal: Proposal;
  readonly onSay: (word: Word) => void;
}): JSX.Element | null => {
  const words = useWords(pageWords);
  const { may, state, stopped } = proposal;
  const approves = may.approve === 'yes' && state === 'proposed' && stopped === null;
  const nothing = !approves && may.reject !== 'yes' && may.withdraw !== 'yes';
  if (nothing && may.approve === 'not-allowed') return null;
  return (
    <div class="stack">
      {may.approve === 'own-change' && <Notice tone="note">{words.ownChange}</Notice>}
      {may.approve === 'approved-already' && state === 'proposed' && (
        <Notice tone="note">{words.approvedAlready}</Notice>
      )}
      <div class="actions">
        {approves && (
          <Button
            kind={proposal.gravest === 'ends-protection' ? 'danger' : 'main'}
            onPress={() => onSay('approve')}
          >
            {words.approve}…
          </Button>
        )}
        {may.reject === 'yes' && <Button onPress={() => onSay('reject')}>{words.reject}…</Button>}
        {may.withdraw === 'yes' && <Button onPress={() => onSay('withdraw')}>{words.withdraw}…</Button>}
      </div>
    </div>
  );
};

/** From when the change counts, if whoever looks at it agrees now. */
const FromWhen = ({ proposal }: { readonly proposal: Proposal }): JSX.Element => {
  const words = useWords(pageWords);
  const now = useCell(language);
  const { needs, approvers } = proposal;
  const others = needs.approvals - approvers.length - 1;
  const length = lengthOf(needs.delayMs, now);
  if (others > 0)
    return (
      <p>
        {words.fromMore(others)} {needs.delayMs > 0 && words.fromLater(length)}
      </p>
    );
  if (needs.delayMs === 0) return <p>{words.fromNow}</p>;
  const at = timeText(new Date(Date.now() + needs.delayMs).toISOString(), now);
  return <p>{words.fromDelay(length, at)}</p>;
};

const MOST_REPEATED = 5;

/** The second step: it is said again what will happen and from when, and only then is the word sent, on what was looked at. */
const Say = ({
  proposal,
  word,
  onClose,
}: {
  readonly proposal: Proposal;
  readonly word: Word;
  readonly onClose: () => void;
}): JSX.Element => {
  const words = useWords(pageWords);
  const [why, setWhy] = useState('');
  const [missing, setMissing] = useState(false);
  const { run, busy, problem } = useDoing(async (says: Word) => {
    await api.post(`/v1/changes/${proposal.id}/${says}`, { why }, { ifMatch: `"${proposal.version}"` });
    return says;
  });
  const { diff, steps } = proposal;
  const title = { approve: words.approveTitle, reject: words.rejectTitle, withdraw: words.withdrawTitle }[
    word
  ];
  const said = { approve: words.approved, reject: words.rejected, withdraw: words.withdrawn }[word];
  return (
    <Confirm
      open
      title={title}
      word={words[word]}
      tick={word === 'approve' ? words.tick : words.tickStop}
      danger={word === 'approve' && proposal.gravest === 'ends-protection'}
      busy={busy}
      problem={problem}
      onClose={onClose}
      onConfirm={() => {
        if (word !== 'approve' && why.trim() === '') {
          setMissing(true);
          return;
        }
        void run(word).then((done) => {
          if (done === null) return;
          tell('good', said);
          onClose();
        });
      }}
    >
      <ul class="lists-plain lists-repeat">
        {diff.slice(0, MOST_REPEATED).map((step) => (
          <li key={step.step}>
            <StepSentence step={step} />
          </li>
        ))}
        {steps > MOST_REPEATED && <li>{words.andMore(steps - MOST_REPEATED)}</li>}
      </ul>
      {word === 'approve' && (
        <div>
          <h3>{words.fromWhen}</h3>
          <FromWhen proposal={proposal} />
        </div>
      )}
      <TextArea
        label={word === 'approve' ? words.whyOptional : words.why}
        rows={2}
        maxLength={500}
        value={why}
        error={missing && why.trim() === '' ? words.whyNeeded : null}
        onText={setWhy}
      />
    </Confirm>
  );
};
