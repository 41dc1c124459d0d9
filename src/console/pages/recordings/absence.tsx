import type { JSX } from 'preact';
import { useMay } from '../../api/session.js';
import { useApi } from '../../api/use-api.js';
import { useWords } from '../../app/words.js';
import { Busy, Notice, ProblemNotice } from '../../ui/notice.js';
import { Panel } from '../../ui/page.js';
import { CallFacts } from '../calls/call.js';
import { CallEvidence } from '../calls/evidence/call-evidence.js';
import type { OneCall } from '../calls/shapes.js';
import { recordingWords } from './words.js';
import '../calls/calls.css';

/** In the place of a player: why there is no recording, and for a private call the proof that there is none. */
export const NoRecording = ({ callId }: { readonly callId: string }): JSX.Element => {
  const words = useWords(recordingWords);
  const proves = useMay('GET /v1/calls/:call/evidence');
  const { data, problem, busy, again } = useApi<OneCall>(`/v1/calls/${encodeURIComponent(callId)}`);
  if (problem?.status === 404) return <Notice tone="warn" title={words.unknown} loud />;
  if (data === null)
    return busy ? <Busy /> : <ProblemNotice problem={problem} onAgain={() => void again()} />;
  const { call } = data;
  if (call === null) return <Notice tone="note" title={words.noneTitle} />;
  const isPrivate = call.verdict === 'private';
  const why = isPrivate
    ? proves
      ? words.private
      : words.privateNotYours
    : call.verdict === 'refused'
      ? words.refused
      : call.verdict === 'undecided'
        ? words.undecided
        : words.monitoredNone;
  return (
    <>
      <Panel title={words.noneTitle}>
        <Notice tone={isPrivate ? 'good' : 'note'}>
          <p>{why}</p>
          {call.verdict === 'monitored' && !proves && <p>{words.sealedElsewhere}</p>}
        </Notice>
        <CallFacts call={call} />
      </Panel>
      {proves && <CallEvidence callId={callId} {...(isPrivate ? { title: words.proof } : {})} />}
    </>
  );
};
