import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import { MAX_BUNDLE_BYTES } from '../../../../evidence/verify/bundle.js';
import { Link } from '../../../app/place.js';
import { useWords } from '../../../app/words.js';
import { Field } from '../../../ui/field.js';
import { PageFrame, Panel } from '../../../ui/page.js';
import { KeysPanel } from './keys-panel.js';
import { Outcome } from './outcome.js';
import { evidenceWords } from './words.js';

/** Verifies a file that somebody has, whoever it is from: nothing of it leaves the browser. */
export const VerifyFilePage = (): JSX.Element => {
  const words = useWords(evidenceWords);
  const [bytes, setBytes] = useState<Uint8Array | null>(null);
  const [tooLarge, setTooLarge] = useState(false);
  const read = async (file: File | undefined): Promise<void> => {
    setBytes(null);
    setTooLarge(file !== undefined && file.size > MAX_BUNDLE_BYTES);
    if (file !== undefined && file.size <= MAX_BUNDLE_BYTES)
      setBytes(new Uint8Array(await file.arrayBuffer()));
  };
  return (
    <PageFrame
      title={words.fileTitle}
      lead={words.fileLead}
      actions={
        <Link to="/calls" class="button button-quiet">
          {words.back}
        </Link>
      }
    >
      <Panel title={words.title}>
        <Field label={words.file} hint={words.fileHint} error={tooLarge ? words.tooLarge : null}>
          {(ids) => (
            <input
              {...ids}
              type="file"
              class="control"
              onChange={(event) => void read(event.currentTarget.files?.[0])}
            />
          )}
        </Field>
        {bytes === null ? <KeysPanel /> : <Outcome bytes={bytes} />}
      </Panel>
    </PageFrame>
  );
};
