import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import { endings } from '../../../core/ending.js';
import { privilegedClasses } from '../../../core/lists.js';
import { useApi } from '../../api/use-api.js';
import { cell, useCell } from '../../app/cell.js';
import { language } from '../../app/settings.js';
import { useWords } from '../../app/words.js';
import { Button } from '../../ui/button.js';
import { Check, Select, TextField } from '../../ui/field.js';
import { Panel } from '../../ui/page.js';
import { uiWords } from '../../ui/words.js';
import { endingWords } from './ending-words.js';
import { callWords } from './words.js';

const periods = ['any', 'hour', 'day', 'week', 'own'] as const;
const verdicts = ['monitored', 'private', 'refused', 'undecided'] as const;

/** What is asked for. Empty texts ask for nothing. */
export interface Filters {
  readonly number: string;
  readonly caller: string;
  readonly facility: string;
  readonly verdict: '' | (typeof verdicts)[number];
  readonly class: string;
  readonly ending: string;
  readonly period: (typeof periods)[number];
  readonly since: string;
  readonly until: string;
  readonly tests: boolean;
}

const noFilters: Filters = {
  ...{ number: '', caller: '', facility: '', verdict: '', class: '', ending: '' },
  ...{ period: 'any', since: '', until: '', tests: false },
};

/** What was searched last: whoever comes back from a call finds it again. It holds numbers, so it is nowhere but here. */
export const searched = cell<Filters>(noFilters);

const lengths = { hour: 3_600_000, day: 86_400_000, week: 604_800_000 } as const;

const moment = (local: string): string | null => {
  const date = new Date(local);
  return local === '' || Number.isNaN(date.getTime()) ? null : date.toISOString();
};

/** The body of a search. */
export const askedOf = (filters: Filters, now: number): Readonly<Record<string, unknown>> => {
  const { number, caller, facility, verdict, class: of, ending, period, tests } = filters;
  const since =
    period === 'own'
      ? moment(filters.since)
      : period === 'any'
        ? null
        : new Date(now - lengths[period]).toISOString();
  const until = period === 'own' ? moment(filters.until) : null;
  const texts = { number: number.trim(), caller: caller.trim(), facility, verdict, class: of, ending };
  return {
    ...Object.fromEntries(Object.entries(texts).filter(([, text]) => text !== '')),
    ...(since === null ? {} : { since }),
    ...(until === null ? {} : { until }),
    tests,
  };
};

export const FiltersPanel = ({
  busy,
  onSearch,
}: {
  readonly busy: boolean;
  readonly onSearch: (filters: Filters) => void;
}): JSX.Element => {
  const words = useWords(callWords);
  const ui = useWords(uiWords);
  const of = useCell(language);
  const [at, setAt] = useState(searched.get());
  const facilities = useApi<{ readonly rows: readonly { readonly id: string; readonly name: string }[] }>(
    '/v1/facilities',
  );
  const set = (change: Partial<Filters>): void => setAt((was) => ({ ...was, ...change }));
  const any = { value: '', text: words.any };
  return (
    <Panel title={words.filter}>
      <form
        class="form call-filters"
        onSubmit={(event) => {
          event.preventDefault();
          onSearch(at);
        }}
      >
        <div class="form-row">
          <TextField
            label={words.number}
            value={at.number}
            inputMode="tel"
            autocomplete="off"
            maxLength={80}
            onText={(number) => set({ number })}
          />
          <TextField
            label={words.caller}
            value={at.caller}
            autocomplete="off"
            maxLength={64}
            onText={(caller) => set({ caller })}
          />
          <Select
            label={words.facility}
            value={at.facility}
            options={[
              any,
              ...(facilities.data?.rows ?? []).map(({ id, name }) => ({ value: id, text: name })),
            ]}
            onPick={(facility) => set({ facility })}
          />
          <Select
            label={words.period}
            value={at.period}
            options={periods.map((value) => ({ value, text: words.periods[value] }))}
            onPick={(period) => set({ period })}
          />
        </div>
        {at.period === 'own' && (
          <div class="form-row">
            <TextField
              label={words.since}
              type="datetime-local"
              value={at.since}
              onText={(since) => set({ since })}
            />
            <TextField
              label={words.until}
              type="datetime-local"
              value={at.until}
              onText={(until) => set({ until })}
            />
          </div>
        )}
        <div class="form-row">
          <Select
            label={words.verdict}
            value={at.verdict}
            options={[
              { value: '' as const, text: words.any },
              ...verdicts.map((value) => ({ value, text: ui.verdict[value] })),
            ]}
            onPick={(verdict) => set({ verdict })}
          />
          <Select
            label={words.class}
            value={at.class}
            options={[any, ...privilegedClasses.map((value) => ({ value, text: words.classes[value] }))]}
            onPick={(of) => set({ class: of })}
          />
          <Select
            label={words.ending}
            value={at.ending}
            options={[any, ...Object.keys(endings).map((value) => ({ value, text: endingWords(value, of) }))]}
            onPick={(ending) => set({ ending })}
          />
        </div>
        <div class="filter-foot">
          <Check label={words.tests} checked={at.tests} onCheck={(tests) => set({ tests })} />
          <div class="actions">
            <Button
              kind="quiet"
              onPress={() => {
                setAt(noFilters);
                onSearch(noFilters);
              }}
            >
              {words.clear}
            </Button>
            <Button kind="main" type="submit" icon="search" busy={busy}>
              {words.search}
            </Button>
          </div>
        </div>
      </form>
    </Panel>
  );
};
