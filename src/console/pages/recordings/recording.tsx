import type { JSX } from 'preact';
import { useMay } from '../../api/session.js';
import { useApi } from '../../api/use-api.js';
import { useCell } from '../../app/cell.js';
import { Link } from '../../app/place.js';
import { language } from '../../app/settings.js';
import { useWords } from '../../app/words.js';
import { Busy, Notice, ProblemNotice } from '../../ui/notice.js';
import { PageFrame, Panel } from '../../ui/page.js';
import { Duration, Facts, Time } from '../../ui/value.js';
import { NoRecording } from './absence.js';
import { RecordingState, sizeText } from './list.js';
import { Listening } from './listening.js';
import type { OneRecordingShown, RecordingShown } from './shapes.js';
import { recordingWords } from './words.js';

const WhatIsKept = ({ one }: { readonly one: RecordingShown }): JSX.Element => {
  const words = useWords(recordingWords);
  const of = useCell(language);
  const role = (name: string): string =>
    name === 'facility' || name === 'escrow' || name === 'canary' ? words.role[name] : name;
  const total = one.files.reduce((sum, { bytes }) => sum + bytes, 0);
  return (
    <Panel title={words.facts} aside={<RecordingState one={one} />}>
      <Facts
        facts={[
          [words.received, <Time key="r" at={one.receivedAt} />],
          [words.facility, one.facility],
          [words.length, <Duration key="l" ms={one.seconds * 1000} />],
          [words.opensWith, one.keys.map(({ id, role: as }) => `${id} (${role(as)})`).join(', ')],
          [words.size, sizeText(total, of)],
        ]}
      />
      {one.sealed !== null && (
        <Notice tone="warn">{words.sealedWhy(one.sealed.why.replaceAll('-', ' '))}</Notice>
      )}
    </Panel>
  );
};

/** One recording, and a way to hear it; or why there is none. */
export const OneRecording = ({ callId }: { readonly callId: string }): JSX.Element => {
  const words = useWords(recordingWords);
  const { data, problem, busy, again } = useApi<OneRecordingShown>(
    `/v1/recordings/${encodeURIComponent(callId)}`,
  );
  const seesCalls = useMay('GET /v1/calls/:call');
  const none = problem?.status === 404;
  const malformed = problem?.code === 'request-malformed';
  return (
    <PageFrame
      title={words.oneTitle}
      lead={<code class="call-id">{callId}</code>}
      actions={
        <>
          <Link to="/recordings" class="button button-quiet">
            {words.back}
          </Link>
          {!malformed && seesCalls && (
            <Link to={`/calls/${encodeURIComponent(callId)}`} class="button">
              {words.call}
            </Link>
          )}
        </>
      }
    >
      {busy && <Busy />}
      {malformed && <Notice tone="warn" title={words.unknown} loud />}
      {!none && !malformed && <ProblemNotice problem={problem} onAgain={() => void again()} />}
      {none &&
        (seesCalls ? <NoRecording callId={callId} /> : <Notice tone="note" title={words.notYours} loud />)}
      {data !== null && (
        <>
          <WhatIsKept one={data} />
          <Listening one={data} />
        </>
      )}
    </PageFrame>
  );
};
