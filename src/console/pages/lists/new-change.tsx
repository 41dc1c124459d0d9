import type { JSX } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { api } from '../../api/client.js';
import { useActsForAll, useMay } from '../../api/session.js';
import { useApi, useDoing } from '../../api/use-api.js';
import { tell } from '../../app/notices.js';
import { go } from '../../app/place.js';
import { useWords } from '../../app/words.js';
import { Button } from '../../ui/button.js';
import { OneValue, Select, TextArea, TextField } from '../../ui/field.js';
import { Busy, Notice, ProblemNotice } from '../../ui/notice.js';
import { PageFrame, Panel } from '../../ui/page.js';
import { Facts } from '../../ui/value.js';
import { LookBackPanel } from './look-back.js';
import { BackToLists, EffectBadge, FieldValue, NumberText, wordFor } from './parts.js';
import { Diff, NeedsText } from './proposal.js';
import type { Checked, EntryRecord, Proposal } from './shapes.js';
import {
  type About,
  type FieldSpec,
  type FormOp,
  fieldOfFault,
  fieldsOf,
  firstValues,
  isFormOp,
  newOps,
  stepsOf,
  type Values,
} from './steps.js';
import { words as pageWords } from './words.js';

/** A change is proposed: what is to be done, its fields, what it would come to, and why. */
export const NewChange = ({ query }: { readonly query: URLSearchParams }): JSX.Element => {
  const words = useWords(pageWords);
  const mayPropose = useMay('POST /v1/changes');
  const [list, entry, asked] = [query.get('list'), query.get('entry'), query.get('op')];
  const op: FormOp = isFormOp(asked) ? asked : 'privileged-add';
  const path =
    entry === null || list === null
      ? null
      : `/v1/lists/entries/${encodeURIComponent(list)}/${encodeURIComponent(entry)}`;
  const { data, problem, busy, again } = useApi<EntryRecord>(mayPropose ? path : null);
  return (
    <PageFrame title={words.newTitle} lead={words.newLead}>
      <BackToLists />
      {!mayPropose && <Notice tone="warn">{words.noForm}</Notice>}
      <ProblemNotice problem={problem} onAgain={() => void again()} />
      {busy && <Busy />}
      {mayPropose && path === null && <NewForm key={op} op={op} record={null} query={query} />}
      {data !== null && !data.stands && <Notice tone="warn">{words.stale}</Notice>}
      {data?.stands === true && <NewForm key={`${op} ${data.id}`} op={op} record={data} query={query} />}
    </PageFrame>
  );
};

/** What was checked, and of which steps: nothing else is sent. */
interface Seen {
  readonly ops: readonly object[];
  readonly checked: Checked;
}

const NewForm = ({
  op,
  record,
  query,
}: {
  readonly op: FormOp;
  readonly record: EntryRecord | null;
  readonly query: URLSearchParams;
}): JSX.Element => {
  const words = useWords(pageWords);
  const about: About | null =
    record === null ? null : { entry: record.id, version: record.version, raw: record.raw };
  const [values, setValues] = useState<Values>(() => firstValues(op, about, query));
  const [why, setWhy] = useState('');
  const [noWhy, setNoWhy] = useState(false);
  const [seen, setSeen] = useState<Seen | null>(null);
  const form = useRef<HTMLFormElement>(null);
  const preview = useRef<HTMLDivElement>(null);
  const specs = fieldsOf(op, values);
  const checking = useDoing(async () => {
    const ops = stepsOf(op, values, about);
    const checked = await api.post<Checked>('/v1/proposals/check', { ops });
    setSeen({ ops, checked });
    return checked;
  });
  const sending = useDoing(
    async (ops: readonly object[]) => await api.post<Proposal>('/v1/changes', { why, ops }),
  );
  // Whoever is told of a fault stands in the field it is in; whoever is not, at what would change.
  useEffect(() => {
    if (seen === null) return;
    const wrong = form.current?.querySelector<HTMLElement>('[aria-invalid="true"]');
    if (!seen.checked.ok) wrong?.focus();
    else preview.current?.focus();
  }, [seen]);
  const set = (name: string, value: string): void => {
    setValues((was) => ({ ...was, [name]: value }));
    // What was checked is not what stands there now. Its faults stay to be mended.
    setSeen((was) => (was?.checked.ok === true ? null : was));
  };
  const faults = seen?.checked.ok === false ? seen.checked.faults : [];
  const faultOf = (name: string): string | null => {
    const own = faults.filter((one) => fieldOfFault(one.field, specs) === name);
    const [first] = own;
    if (first === undefined) return null;
    if (name !== 'numbers' || (seen?.ops.length ?? 0) < 2) return wordFor(words.faults, first.code);
    return own
      .slice(0, 5)
      .map((one) => words.lineFault(one.step + 1, wordFor(words.faults, one.code)))
      .join(' ');
  };
  const elsewhere = faults.filter((one) => fieldOfFault(one.field, specs) === '');
  const missingWhy = noWhy && why.trim() === '';
  return (
    <>
      <form
        ref={form}
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          setNoWhy(true);
          void checking.run();
        }}
      >
        <Panel title={words.theChange}>
          <div class="form lists-form">
            {record === null ? (
              <KindPick op={op} query={query} />
            ) : (
              <>
                <h3>{words.ops[op]}</h3>
                <Facts
                  facts={record.fields.map(({ field, value }) => [
                    wordFor(words.fields, field),
                    <FieldValue field={field} value={value} />,
                  ])}
                />
              </>
            )}
            {specs.map((spec) => (
              <Control
                key={spec.name}
                spec={spec}
                value={values[spec.name] ?? ''}
                error={faultOf(spec.name)}
                onValue={(value) => set(spec.name, value)}
              />
            ))}
            <TextArea
              label={words.reason}
              hint={words.whyHint}
              rows={2}
              maxLength={500}
              value={why}
              error={missingWhy ? words.faults['field-missing'] : null}
              onText={setWhy}
            />
            {faults.length > 0 && (
              <Notice tone="bad" title={words.faultsTitle(faults.length)} loud>
                {elsewhere.map((one) => (
                  <p key={`${one.step} ${one.code}`}>{wordFor(words.faults, one.code)}</p>
                ))}
                <p class="notice-code">
                  {[...new Set(faults.map(({ code }) => code))].map((code) => (
                    <code key={code}>{code} </code>
                  ))}
                </p>
              </Notice>
            )}
            <ProblemNotice problem={checking.problem} />
            <Button type="submit" kind={seen?.checked.ok === true ? 'plain' : 'main'} busy={checking.busy}>
              {seen === null ? words.check : words.checkAgain}
            </Button>
          </div>
        </Panel>
      </form>
      {seen?.checked.ok === true && (
        <div ref={preview} tabIndex={-1} class="stack lists-preview">
          <Preview
            seen={seen}
            sending={sending.busy}
            onSend={() => {
              setNoWhy(true);
              if (why.trim() === '') {
                form.current?.querySelector<HTMLElement>('textarea[aria-invalid="true"]')?.focus();
                return;
              }
              void sending.run(seen.ops).then((made) => {
                if (made === null) return;
                tell('good', made.state === 'applied' ? words.sentNow : words.sent);
                go(`/lists/proposal/${made.id}`);
              });
            }}
          />
          <ProblemNotice problem={sending.problem} />
        </div>
      )}
    </>
  );
};

const KindPick = ({ op, query }: { readonly op: FormOp; readonly query: URLSearchParams }): JSX.Element => {
  const words = useWords(pageWords);
  const options = (['protect', 'calls', 'people'] as const).flatMap((group) =>
    newOps[group].map((value) => ({
      value: value as FormOp,
      text: words.ops[value],
    })),
  );
  return (
    <Select
      label={words.kind}
      value={op}
      options={options}
      onPick={(picked) => {
        const next = new URLSearchParams(query);
        next.set('op', picked);
        go(`/lists/new?${next.toString()}`, { replace: true });
      }}
    />
  );
};

const Preview = ({
  seen,
  sending,
  onSend,
}: {
  readonly seen: Seen;
  readonly sending: boolean;
  readonly onSend: () => void;
}): JSX.Element => {
  const words = useWords(pageWords);
  const { checked, ops } = seen;
  const looksBack = useMay('POST /v1/what-if');
  const now = checked.needs?.approvals === 0;
  return (
    <>
      <Panel
        title={words.checked}
        {...(checked.gravest === null ? {} : { aside: <EffectBadge effect={checked.gravest} /> })}
      >
        <Diff steps={checked.diff} all={ops.length} />
        {checked.warnings.length > 0 && (
          <Notice tone="warn" title={words.warnings}>
            <ul class="lists-plain">
              {checked.warnings.map(({ step, code, number }) => (
                <li key={`${step} ${number}`}>
                  <NumberText text={number} /> · {wordFor(words.nearness, code)}
                </li>
              ))}
            </ul>
          </Notice>
        )}
        {checked.needs !== null && <Facts facts={[[words.needs, <NeedsText needs={checked.needs} />]]} />}
        <div class="actions">
          <Button kind="main" busy={sending} onPress={onSend}>
            {now ? words.sendNow : words.send}
          </Button>
        </div>
      </Panel>
      {looksBack && <LookBackPanel of={{ ops }} />}
    </>
  );
};

interface FacilityRow {
  readonly id: string;
  readonly name: string;
}

const Control = ({
  spec,
  value,
  error,
  onValue,
}: {
  readonly spec: FieldSpec;
  readonly value: string;
  readonly error: string | null;
  readonly onValue: (value: string) => void;
}): JSX.Element => {
  const words = useWords(pageWords);
  const { control } = spec;
  const hint = spec.hint === undefined ? undefined : words.labels[spec.hint];
  const common = { label: words.labels[spec.label], error, ...(hint === undefined ? {} : { hint }) };
  switch (control.kind) {
    case 'area':
    case 'lines':
      return (
        <TextArea
          {...common}
          rows={control.kind === 'lines' ? 3 : 2}
          maxLength={control.max}
          mono={control.kind === 'lines'}
          value={value}
          onText={onValue}
        />
      );
    case 'text':
    case 'number':
      return (
        <TextField
          {...common}
          maxLength={control.max}
          autocomplete="off"
          spellcheck={false}
          mono={control.kind === 'number'}
          value={value}
          onText={onValue}
        />
      );
    case 'time':
      return <TextField {...common} type="datetime-local" value={value} onText={onValue} />;
    case 'class':
      return <Choice {...common} value={value} table={words.classes} onPick={onValue} />;
    case 'cause':
      return <Choice {...common} value={value} table={words.causes} onPick={onValue} />;
    case 'form':
      return (
        <Choice {...common} label={words.fields.form} value={value} table={words.forms} onPick={onValue} />
      );
    case 'language':
      return (
        <Choice
          {...common}
          value={value}
          table={words.languages}
          nothing={words.noLanguage}
          onPick={onValue}
        />
      );
    case 'facility':
    case 'scope':
    case 'anywhere':
      return <FacilityPick {...common} kind={control.kind} value={value} onPick={onValue} />;
    default: {
      const never: never = control;
      return never;
    }
  }
};

interface ChoiceProps {
  readonly label: string;
  readonly hint?: string;
  readonly error: string | null;
  readonly value: string;
  readonly onPick: (value: string) => void;
}

const Choice = ({
  table,
  nothing,
  ...more
}: ChoiceProps & {
  readonly table: Readonly<Record<string, string>>;
  readonly nothing?: string;
}): JSX.Element => (
  <Select
    {...more}
    options={[
      ...(nothing === undefined ? [] : [{ value: '', text: nothing }]),
      ...Object.entries(table).map(([value, text]) => ({ value, text })),
    ]}
  />
);

const FacilityPick = ({
  kind,
  ...more
}: ChoiceProps & { readonly kind: 'facility' | 'scope' | 'anywhere' }): JSX.Element => {
  const words = useWords(pageWords);
  const { data } = useApi<{ readonly rows: readonly FacilityRow[] }>('/v1/facilities');
  const rows = data?.rows ?? [];
  const every = kind === 'scope' ? 'global' : '';
  // What holds everywhere is for accounts of all facilities: others pick one of theirs.
  const everywhere = useActsForAll() && kind !== 'facility';
  const [first] = rows;
  useEffect(() => {
    // A facility has to be picked: the first one stands there, and what stands there is what is sent.
    const nothing = more.value === '' || more.value === 'global';
    if (!everywhere && nothing && first !== undefined) more.onPick(first.id);
  }, [first?.id, kind, everywhere]);
  if (!everywhere && rows.length === 1 && first !== undefined && more.value === first.id)
    return <OneValue label={more.label} text={`${first.name} (${first.id})`} />;
  return (
    <Select
      {...more}
      options={[
        ...(everywhere ? [{ value: every, text: words.labels.facilityAny }] : []),
        ...rows.map(({ id, name }) => ({ value: id, text: `${name} (${id})` })),
      ]}
    />
  );
};
