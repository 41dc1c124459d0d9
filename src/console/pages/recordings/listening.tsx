import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import { PlaybackError } from '../../../playback/errors.js';
import { identitiesIn } from '../../../playback/identities.js';
import { api } from '../../api/client.js';
import { useDoing } from '../../api/use-api.js';
import { useWords } from '../../app/words.js';
import { Badge } from '../../ui/badge.js';
import { Button } from '../../ui/button.js';
import { Check, Field, TextField } from '../../ui/field.js';
import { Notice, ProblemNotice } from '../../ui/notice.js';
import { Panel } from '../../ui/page.js';
import { Table } from '../../ui/table.js';
import { type Opening, useOpening } from './opening.js';
import { Player } from './player.js';
import { isSound, isText, layersOf, type OneRecordingShown, type StoredFile } from './shapes.js';
import { recordingWords } from './words.js';

const MOST_IDENTITY_BYTES = 20_000;

/** SHA-256 of a file as the call's closing record has it; null where that says nothing of it. */
const journalDigest = ({ journalled }: OneRecordingShown, name: string): string | null =>
  journalled.find((file) => file.name === name)?.sha256 ?? null;

const Digests = ({
  file,
  fetched,
  one,
}: {
  readonly file: StoredFile;
  readonly fetched: string;
  readonly one: OneRecordingShown;
}): JSX.Element => {
  const words = useWords(recordingWords);
  const rows = [
    { head: words.fetched, sha256: fetched },
    { head: words.manifest, sha256: file.sha256 },
    { head: words.journal, sha256: journalDigest(one, file.name) },
  ];
  return (
    <Table
      caption={words.digests}
      rows={rows}
      rowKey={({ head }) => head}
      columns={[
        { key: 'head', head: file.name, rowHead: true, cell: ({ head }) => head },
        {
          key: 'sha',
          head: 'SHA-256',
          wrap: true,
          cell: ({ sha256 }) => (sha256 === null ? words.notTold : <code class="small">{sha256}</code>),
        },
        {
          key: 'same',
          head: words.same,
          cell: ({ sha256 }) =>
            sha256 === null ? (
              '–'
            ) : (
              <Badge tone={sha256 === fetched ? 'good' : 'bad'}>
                {sha256 === fetched ? words.same : words.differs}
              </Badge>
            ),
        },
      ]}
    />
  );
};

const Progress = ({ opening }: { readonly opening: Opening }): JSX.Element | null => {
  const words = useWords(recordingWords);
  const { state } = opening;
  switch (state.at) {
    case 'opening': {
      const percent = Math.round(state.part * 100);
      return (
        <div class="opening" role="status">
          <progress max={100} value={percent} aria-label={words.stages[state.stage]} />
          <span>
            {words.stages[state.stage]} {words.percent(percent)}
          </span>
        </div>
      );
    }
    case 'failed':
      return <Notice tone="bad" title={words.failures[state.code]} loud />;
    case 'refused':
      return <ProblemNotice problem={state.problem} />;
    default:
      return null;
  }
};

/** One key opens both or neither: that need not be said twice. */
const sameFault = ({ state: one }: Opening, { state: other }: Opening): boolean =>
  one.at === 'failed' && other.at === 'failed' && one.code === other.code;

interface Asked {
  readonly why: string;
  readonly identities: readonly string[];
  readonly text: boolean;
}

const AskForm = ({
  hasText,
  busy,
  onAsk,
}: {
  readonly hasText: boolean;
  readonly busy: boolean;
  readonly onAsk: (asked: Asked) => void;
}): JSX.Element => {
  const words = useWords(recordingWords);
  const [why, setWhy] = useState('');
  const [identity, setIdentity] = useState('');
  const [text, setText] = useState(true);
  const [wrong, setWrong] = useState<string | null>(null);
  const submit = (): void => {
    try {
      const identities = identitiesIn(identity);
      setWrong(null);
      // From here on it is the worker's, for as long as the file is being opened.
      setIdentity('');
      onAsk({ why, identities, text: hasText && text });
    } catch (error) {
      setWrong(words.failures[error instanceof PlaybackError ? error.code : 'failed']);
    }
  };
  return (
    <form
      class="form"
      autocomplete="off"
      onSubmit={(event) => {
        event.preventDefault();
        if (!busy) submit();
      }}
    >
      <p class="soft">{words.listenLead}</p>
      <TextField
        label={words.why}
        hint={words.whyHint}
        value={why}
        required
        maxLength={300}
        autocomplete="off"
        onText={setWhy}
      />
      <Field label={words.identity} hint={words.identityHint} error={wrong}>
        {(ids) => (
          <textarea
            {...ids}
            rows={2}
            class="control mono identity"
            value={identity}
            autocomplete="off"
            spellcheck={false}
            required
            maxLength={MOST_IDENTITY_BYTES}
            onInput={(event) => setIdentity(event.currentTarget.value)}
          />
        )}
      </Field>
      <Field label={words.identityFile}>
        {(ids) => (
          <input
            {...ids}
            type="file"
            class="control"
            onChange={(event) => {
              const file = event.currentTarget.files?.[0];
              if (file !== undefined && file.size <= MOST_IDENTITY_BYTES) void file.text().then(setIdentity);
              event.currentTarget.value = '';
            }}
          />
        )}
      </Field>
      {hasText && <Check label={words.text} checked={text} onCheck={setText} />}
      <Button type="submit" kind="main" icon="lock" busy={busy}>
        {words.openIt}
      </Button>
    </form>
  );
};

/** The way from an encrypted file to what is heard: a reason, a key, a digest, a player. */
export const Listening = ({ one }: { readonly one: OneRecordingShown }): JSX.Element => {
  const words = useWords(recordingWords);
  const sound = useOpening();
  const text = useOpening();
  const soundFile = one.files.find(isSound);
  const textFile = one.files.find(isText);
  const begin = useDoing(async ({ why, identities, text: withText }: Asked) => {
    const { reading } = await api.post<{ readonly reading: string }>(
      `/v1/recordings/${encodeURIComponent(one.callId)}/readings`,
      { why },
    );
    const open = (opening: Opening, file: StoredFile | undefined, kind: 'sound' | 'text'): void => {
      if (file === undefined) return;
      const { name, bytes, sha256 } = file;
      opening.open({
        path: `/v1/recordings/${encodeURIComponent(one.callId)}/files/${encodeURIComponent(name)}?reading=${reading}`,
        ...{ bytes, sha256, identities, kind, layers: layersOf(file) },
      });
    };
    open(sound, soundFile, 'sound');
    if (withText || soundFile === undefined) open(text, textFile, 'text');
  });
  const isOpen = sound.state.at === 'sound' || text.state.at === 'text';
  return (
    <Panel
      title={words.listen}
      aside={
        isOpen && (
          <Button
            onPress={() => {
              sound.close();
              text.close();
            }}
          >
            {words.close}
          </Button>
        )
      }
    >
      {!isOpen && (
        <AskForm
          hasText={textFile !== undefined}
          busy={begin.busy || sound.state.at === 'opening'}
          onAsk={(asked) => void begin.run(asked)}
        />
      )}
      <ProblemNotice problem={begin.problem} />
      <Progress opening={sound} />
      {!sameFault(sound, text) && <Progress opening={text} />}
      {sound.state.at === 'sound' && <Player sound={sound.state.sound} />}
      {text.state.at === 'text' && (
        <>
          <h3>{words.transcript}</h3>
          {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard. */}
          <pre class="transcript" tabIndex={0}>
            {text.state.text}
          </pre>
        </>
      )}
      {soundFile !== undefined && sound.sha256 !== null && (
        <Digests file={soundFile} fetched={sound.sha256} one={one} />
      )}
      {textFile !== undefined && text.sha256 !== null && (
        <Digests file={textFile} fetched={text.sha256} one={one} />
      )}
    </Panel>
  );
};
