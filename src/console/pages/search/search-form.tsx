import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import { useWords } from '../../app/words.js';
import { Button } from '../../ui/button.js';
import { Select, TextField } from '../../ui/field.js';
import { emptyForm, type Form } from './kept.js';
import { flagNames } from './shapes.js';
import { words } from './words.js';

interface SearchFormProps {
  readonly form: Form;
  readonly busy: boolean;
  readonly onChange: (form: Form) => void;
  readonly onClear: () => void;
  readonly onSearch: () => void;
}

const rare = ['booking', 'unit', 'phone', 'leastMinutes', 'mostMinutes', 'leastThreeWay', 'notes'] as const;
const sorts = ['newest', 'oldest', 'longest', 'three-way'] as const;

/** What is asked for. The rarer conditions stand behind a button, and stay open where one of them is set. */
export const SearchForm = ({ form, busy, onChange, onClear, onSearch }: SearchFormProps): JSX.Element => {
  const w = useWords(words);
  const [open, setOpen] = useState(rare.some((key) => form[key] !== '') || form.flag !== '');
  const text = (key: Exclude<keyof Form, 'sort' | 'flag'>) => ({
    value: form[key],
    maxLength: 80,
    autocomplete: 'off',
    spellcheck: false,
    onText: (value: string) => onChange({ ...form, [key]: value }),
  });
  const set = Object.entries(form).some(([key, value]) => value !== emptyForm[key as keyof Form]);
  return (
    <form
      class="search-form"
      onSubmit={(event) => {
        event.preventDefault();
        onSearch();
      }}
    >
      <div class="search-fields">
        <TextField label={w.form.number} hint={w.form.numberHint} mono {...text('number')} inputMode="tel" />
        <TextField label={w.form.caller} mono {...text('caller')} />
        <TextField label={w.form.facility} {...text('facility')} />
        <TextField label={w.form.since} type="datetime-local" {...text('since')} />
        <TextField label={w.form.until} type="datetime-local" {...text('until')} />
        <Select
          label={w.form.sort}
          value={form.sort}
          options={sorts.map((value) => ({ value, text: w.form.sorts[value] }))}
          onPick={(sort) => onChange({ ...form, sort })}
        />
      </div>
      {open && (
        <div class="search-fields" id="search-more-fields">
          <TextField label={w.form.booking} {...text('booking')} />
          <TextField label={w.form.unit} {...text('unit')} />
          <TextField label={w.form.phone} {...text('phone')} />
          <TextField label={w.form.least} inputMode="decimal" {...text('leastMinutes')} />
          <TextField label={w.form.most} inputMode="decimal" {...text('mostMinutes')} />
          <TextField label={w.form.threeWay} inputMode="numeric" {...text('leastThreeWay')} />
          <Select
            label={w.form.flag}
            value={form.flag}
            options={[
              { value: '', text: w.form.anyFlag },
              ...flagNames.map((value) => ({ value, text: w.flagNames[value] })),
            ]}
            onPick={(flag) => onChange({ ...form, flag })}
          />
          <TextField label={w.form.notes} {...text('notes')} />
        </div>
      )}
      <div class="actions">
        <Button kind="main" type="submit" busy={busy}>
          {w.form.search}
        </Button>
        <Button kind="quiet" expanded={open} onPress={() => setOpen(!open)}>
          {w.form.more}
        </Button>
        <Button kind="quiet" disabled={!set} onPress={onClear}>
          {w.form.clear}
        </Button>
      </div>
    </form>
  );
};
