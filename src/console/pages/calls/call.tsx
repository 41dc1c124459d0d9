import type { JSX } from 'preact';
import { useMay } from '../../api/session.js';
import { useApi } from '../../api/use-api.js';
import { useCell } from '../../app/cell.js';
import { Link } from '../../app/place.js';
import { language } from '../../app/settings.js';
import { useWords } from '../../app/words.js';
import { reasonWords } from '../../codes/reason-words.js';
import { Verdict } from '../../ui/badge.js';
import { Busy, Notice, ProblemNotice } from '../../ui/notice.js';
import { PageFrame, Panel } from '../../ui/page.js';
import { Duration, Facts, Time } from '../../ui/value.js';
import { endingWords } from './ending-words.js';
import { CallEvidence } from './evidence/call-evidence.js';
import { NumberCalled } from './list.js';
import { type OneCall, type PastCall, plainWords } from './shapes.js';
import { Timeline } from './timeline.js';
import { callWords } from './words.js';

const classes = (words: (typeof callWords)['en'], code: string): string =>
  Object.entries(words.classes).find(([name]) => name === code)?.[1] ?? plainWords(code);
const recordingWords = (words: (typeof callWords)['en'], code: string): string =>
  Object.entries(words.recordings).find(([name]) => name === code)?.[1] ?? plainWords(code);

/** What a call was, in a few facts. */
export const CallFacts = ({ call }: { readonly call: PastCall }): JSX.Element => {
  const words = useWords(callWords);
  const of = useCell(language);
  const place = [call.facility, call.unit, call.phone].filter((one) => one !== null && one !== '');
  return (
    <Facts
      facts={[
        [words.verdict, <Verdict key="v" verdict={call.verdict} />],
        ...(call.class === null ? [] : [[words.class, classes(words, call.class)] as const]),
        [words.number, <NumberCalled key="n" call={call} />],
        [words.caller, call.caller ?? words.nobody],
        [words.place, place.join(' · ')],
        [words.trunk, call.trunk],
        ...(call.arrivedAt === null ? [] : [[words.arrived, <Time key="a" at={call.arrivedAt} />] as const]),
        [words.ended, <Time key="e" at={call.endedAt} />],
        [words.talked, <Duration key="t" ms={call.connectedMs} />],
        [words.how, endingWords(call.ending, of)],
        ...(call.recording === null
          ? []
          : [[words.recording, recordingWords(words, call.recording)] as const]),
        [words.reasons, call.reasons.map((reason) => reasonWords(reason.code, reason.words, of)).join(' ')],
      ]}
    />
  );
};

export const OneCallPage = ({ callId }: { readonly callId: string }): JSX.Element => {
  const words = useWords(callWords);
  const { data, problem, busy, again } = useApi<OneCall>(`/v1/calls/${encodeURIComponent(callId)}`);
  const listens = useMay('GET /v1/recordings/:call');
  const proves = useMay('GET /v1/calls/:call/evidence');
  const verdict = data?.call?.verdict;
  const gone = problem?.status === 404 || problem?.code === 'request-malformed';
  return (
    <PageFrame
      title={words.oneTitle}
      lead={<code class="call-id">{callId}</code>}
      actions={
        <>
          <Link to="/calls" class="button button-quiet">
            {words.back}
          </Link>
          {listens && (verdict === 'monitored' || verdict === 'private') && (
            <Link to={`/recordings/${callId}`} class="button">
              {verdict === 'monitored' ? words.recorded : words.absence}
            </Link>
          )}
        </>
      }
    >
      {busy && <Busy />}
      {gone ? (
        <Notice tone="warn" title={words.unknown} loud />
      ) : (
        <ProblemNotice problem={problem} onAgain={() => void again()} />
      )}
      {data !== null && (
        <>
          {data.call === null ? (
            <Notice tone="note">{words.underWay}</Notice>
          ) : (
            <Panel title={words.facts}>
              <CallFacts call={data.call} />
            </Panel>
          )}
          {proves && data.call !== null && <CallEvidence callId={callId} />}
          <Panel title={words.timeline}>
            <p class="soft">{words.timelineLead}</p>
            <Timeline one={data} />
            {data.more && <Notice tone="warn">{words.moreRows}</Notice>}
          </Panel>
        </>
      )}
    </PageFrame>
  );
};
