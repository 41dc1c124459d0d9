import type { JSX } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { api } from '../../api/client.js';
import { useDoing } from '../../api/use-api.js';
import { cell, useCell } from '../../app/cell.js';
import { go } from '../../app/place.js';
import { language } from '../../app/settings.js';
import { useWords } from '../../app/words.js';
import { Button } from '../../ui/button.js';
import { Notice, ProblemNotice } from '../../ui/notice.js';
import { Panel } from '../../ui/page.js';
import { numberText, timeText } from '../../ui/value.js';
import { CallTable } from './call-table.js';
import { emptyForm, type Form, keptForm, keptPicked, keptWhy } from './kept.js';
import { SearchForm } from './search-form.js';
import type { FoundCall, FoundPage } from './shapes.js';
import { words } from './words.js';

interface Found extends Omit<FoundPage, 'rows'> {
  readonly rows: readonly FoundCall[];
  /** What was asked for: the next page is of the same. */
  readonly asked: object;
}

const textOr = (text: string): string | undefined => (text.trim() === '' ? undefined : text.trim());
const timeOr = (text: string): string | undefined => {
  const at = new Date(text);
  return text === '' || Number.isNaN(at.getTime()) ? undefined : at.toISOString();
};
const numberOr = (text: string, times = 1): number | undefined => {
  const value = Number(text.replace(',', '.'));
  return text.trim() === '' || !Number.isFinite(value) ? undefined : value * times;
};

/** The form as the API takes it: what is empty is not asked for. */
const askedOf = (form: Form, why: string): object => ({
  why: why.trim(),
  caller: textOr(form.caller),
  booking: textOr(form.booking),
  number: textOr(form.number),
  extensions: form.number.trim() === '' || form.number.trim().endsWith('*') ? undefined : true,
  since: timeOr(form.since),
  until: timeOr(form.until),
  facility: textOr(form.facility),
  unit: textOr(form.unit),
  phone: textOr(form.phone),
  leastSeconds: numberOr(form.leastMinutes, 60),
  mostSeconds: numberOr(form.mostMinutes, 60),
  flags: form.flag === '' ? undefined : [form.flag],
  leastThreeWay: numberOr(form.leastThreeWay),
  notes: textOr(form.notes),
  sort: form.sort,
});

/** What was found last, for whoever comes back from a call. */
const last = cell<{ readonly why: string; readonly found: Found } | null>(null);

export const CallsView = (): JSX.Element => {
  const w = useWords(words);
  const now = useCell(language);
  const form = useCell(keptForm());
  const why = useCell(keptWhy());
  const picked = useCell(keptPicked());
  const [unsaid, setUnsaid] = useState(false);
  const kept = useCell(last);
  const found = kept !== null && kept.why === why ? kept.found : null;
  useEffect(() => {
    if (why.trim().length >= 3) setUnsaid(false);
  }, [why]);
  const search = useDoing(async () => {
    const asked = askedOf(form, why);
    const page = await api.post<FoundPage>('/v1/search/calls', asked);
    last.set({ why, found: { ...page, asked } });
  });
  const further = useDoing(async (before: Found) => {
    const page = await api.post<FoundPage>('/v1/search/calls', { ...before.asked, cursor: before.next });
    last.set({ why, found: { ...page, rows: [...before.rows, ...page.rows], asked: before.asked } });
  });
  const begin = (): void => {
    if (why.trim().length < 3) setUnsaid(true);
    else void search.run();
  };
  return (
    <div class="stack">
      <Panel title={w.form.conditions}>
        <SearchForm
          form={form}
          busy={search.busy}
          onChange={(next) => keptForm().set(next)}
          onClear={() => {
            keptForm().set(emptyForm);
            last.set(null);
          }}
          onSearch={begin}
        />
        {unsaid && (
          <Notice tone="warn" loud>
            {w.whyMissing}
          </Notice>
        )}
        <ProblemNotice problem={search.problem} />
      </Panel>
      <Panel
        title={w.results}
        aside={
          picked.length > 0 && (
            <>
              <Button kind="quiet" small onPress={() => keptPicked().set([])}>
                {w.unpick}
              </Button>
              <Button small onPress={() => go('/search/exports')}>
                {w.exportPicked(numberText(picked.length, now))}
              </Button>
            </>
          )
        }
      >
        {found === null ? (
          <p class="soft">{w.notYet}</p>
        ) : (
          <>
            <p class="search-count" role="status">
              <strong>{w.found(numberText(found.total, now), found.totalIsExact ? 'yes' : 'no')}</strong>{' '}
              <span class="soft small">
                {found.asOf === null ? w.behind : w.asOf(timeText(found.asOf, now))}
              </span>
            </p>
            <CallTable rows={found.rows} />
            {found.next !== null && (
              <div class="actions search-more">
                <Button busy={further.busy} onPress={() => void further.run(found)}>
                  {w.olderPage}
                </Button>
              </div>
            )}
            <ProblemNotice problem={further.problem} />
          </>
        )}
      </Panel>
    </div>
  );
};
