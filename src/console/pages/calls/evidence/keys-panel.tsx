import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import { useCell } from '../../../app/cell.js';
import { useWords } from '../../../app/words.js';
import { Button } from '../../../ui/button.js';
import { Check, Field, Select, TextArea, TextField } from '../../../ui/field.js';
import { Table } from '../../../ui/table.js';
import { Time } from '../../../ui/value.js';
import { addKey, dropKey, type KeyProblem, type KnownKey, knownKeys } from './keys.js';
import { evidenceWords } from './words.js';

const MOST_KEY_BYTES = 20_000;

const GiveKey = ({ onDone }: { readonly onDone: () => void }): JSX.Element => {
  const words = useWords(evidenceWords);
  const [name, setName] = useState('');
  const [pem, setPem] = useState('');
  const [use, setUse] = useState<KnownKey['use']>('journal');
  const [keep, setKeep] = useState(false);
  const [problem, setProblem] = useState<KeyProblem | null>(null);
  const add = async (): Promise<void> => {
    const wrong = await addKey(pem, { name, use, kept: keep });
    setProblem(wrong);
    if (wrong !== null) return;
    setPem('');
    setName('');
    onDone();
  };
  const read = async (file: File | undefined): Promise<void> => {
    if (file === undefined) return;
    setProblem(null);
    setPem(file.size > MOST_KEY_BYTES ? '' : await file.text());
    if (file.size > MOST_KEY_BYTES) setProblem('key-malformed');
  };
  return (
    <form
      class="form"
      aria-label={words.addTitle}
      onSubmit={(event) => {
        event.preventDefault();
        void add();
      }}
    >
      <TextArea
        label={words.pem}
        hint={words.pemHint}
        error={problem === null ? null : words.keyProblems[problem]}
        value={pem}
        rows={4}
        mono
        maxLength={MOST_KEY_BYTES}
        onText={setPem}
      />
      <div class="form-row">
        <Field label={words.fromFile}>
          {(ids) => (
            <input
              {...ids}
              type="file"
              class="control"
              accept=".pem,.pub,.txt"
              onChange={(event) => void read(event.currentTarget.files?.[0])}
            />
          )}
        </Field>
        <TextField label={words.keyName} value={name} maxLength={80} onText={setName} />
        <Select
          label={words.keyUse}
          value={use}
          options={(['journal', 'second'] as const).map((value) => ({ value, text: words.uses[value] }))}
          onPick={setUse}
        />
      </div>
      <Check label={words.remember} checked={keep} onCheck={setKeep} />
      <Button type="submit" kind="main" disabled={pem.trim() === ''}>
        {words.add}
      </Button>
    </form>
  );
};

/** The keys this browser was given, and a way to give another. */
export const KeysPanel = (): JSX.Element => {
  const words = useWords(evidenceWords);
  const keys = useCell(knownKeys);
  const [open, setOpen] = useState(false);
  return (
    <div class="stack">
      <h3>{words.keys}</h3>
      {keys.length > 0 ? (
        <Table
          caption={words.keys}
          hideCaption
          rows={keys}
          rowKey={({ text, use }) => `${use} ${text}`}
          columns={[
            { key: 'name', head: words.keyName, rowHead: true, cell: ({ name }) => name },
            { key: 'id', head: words.keyId, wrap: true, cell: ({ id }) => <code>{id}</code> },
            { key: 'use', head: words.keyUse, cell: ({ use }) => words.uses[use] },
            {
              key: 'since',
              head: words.since,
              cell: ({ since, kept }) => (
                <span>
                  <Time at={since} show="day" />{' '}
                  <span class="soft small">{kept ? words.kept : words.untilLeft}</span>
                </span>
              ),
            },
            {
              key: 'drop',
              head: words.forget,
              cell: (key) => (
                <Button small kind="quiet" label={words.drop(key.name)} onPress={() => dropKey(key)}>
                  {words.forget}
                </Button>
              ),
            },
          ]}
        />
      ) : (
        <p class="soft">{words.keysLead}</p>
      )}
      <details
        open={open || keys.length === 0}
        onToggle={(event: Event) => {
          if (event.currentTarget instanceof HTMLDetailsElement) setOpen(event.currentTarget.open);
        }}
      >
        <summary>{words.addTitle}</summary>
        <GiveKey onDone={() => setOpen(false)} />
      </details>
    </div>
  );
};
