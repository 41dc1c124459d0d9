import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import { api } from '../../../api/client.js';
import { useDoing } from '../../../api/use-api.js';
import { useWords } from '../../../app/words.js';
import { Button } from '../../../ui/button.js';
import { Notice, ProblemNotice } from '../../../ui/notice.js';
import { Panel } from '../../../ui/page.js';
import { Outcome } from './outcome.js';
import { evidenceWords } from './words.js';

/** Hands bytes that are here to the person as a file. */
const save = (bytes: Uint8Array<ArrayBuffer>, name: string): void => {
  const url = URL.createObjectURL(new Blob([bytes], { type: 'application/json' }));
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  // After the browser has begun to take it.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
};

/** The evidence of one call: taken once, verified here, and saved where somebody wants the file. */
export const CallEvidence = ({
  callId,
  title,
}: {
  readonly callId: string;
  readonly title?: string;
}): JSX.Element => {
  const words = useWords(evidenceWords);
  const [bytes, setBytes] = useState<Uint8Array<ArrayBuffer> | null>(null);
  const taking = useDoing(async () =>
    setBytes(await api.bytes(`/v1/calls/${encodeURIComponent(callId)}/evidence`)),
  );
  const { problem } = taking;
  const early = problem?.code === 'evidence-refused' ? problem.detail : null;
  return (
    <Panel
      title={title ?? words.title}
      aside={
        bytes !== null && (
          <>
            <Button kind="quiet" busy={taking.busy} onPress={() => void taking.run()}>
              {words.takeAgain}
            </Button>
            <Button icon="download" onPress={() => save(bytes, `${callId}.evidence.json`)}>
              {words.save}
            </Button>
          </>
        )
      }
    >
      <p class="soft">{words.lead}</p>
      {early === 'evidence-not-yet-headed' || early === 'heads-missing' ? (
        <Notice tone="warn" title={early === 'heads-missing' ? words.noHeads : words.notYet} loud />
      ) : (
        <ProblemNotice problem={problem} />
      )}
      {bytes === null ? (
        <div>
          <Button kind="main" busy={taking.busy} onPress={() => void taking.run()}>
            {words.take}
          </Button>
        </div>
      ) : (
        <Outcome bytes={bytes} />
      )}
    </Panel>
  );
};
