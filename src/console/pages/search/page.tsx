import type { JSX } from 'preact';
import { may, useSession } from '../../api/session.js';
import { useCell } from '../../app/cell.js';
import { go } from '../../app/place.js';
import { useWords } from '../../app/words.js';
import type { PageProps } from '../../pages.js';
import { TextField } from '../../ui/field.js';
import { PageFrame } from '../../ui/page.js';
import { Tabs } from '../../ui/tabs.js';
import { CallsView } from './calls-view.js';
import { ExportsView } from './exports-view.js';
import { HotView } from './hot-view.js';
import { keptWhy } from './kept.js';
import { LinksView } from './links-view.js';
import { LogView } from './log-view.js';
import { OneCallView } from './one-call.js';
import './page.css';
import { words } from './words.js';

const views = ['calls', 'links', 'hot-numbers', 'exports', 'log'] as const;
type View = (typeof views)[number];
const needs: Readonly<Record<View, string>> = {
  calls: 'POST /v1/search/calls',
  links: 'POST /v1/search/links',
  'hot-numbers': 'GET /v1/search/hot-numbers',
  exports: 'GET /v1/search/exports',
  log: 'GET /v1/search/log',
};

const shownView = (view: View, rest: readonly string[]): JSX.Element => {
  switch (view) {
    case 'calls':
      return rest[1] === undefined ? <CallsView /> : <OneCallView callId={rest[1]} key={rest[1]} />;
    case 'links':
      return <LinksView />;
    case 'hot-numbers':
      return <HotView />;
    case 'exports':
      return <ExportsView />;
    case 'log':
      return <LogView />;
    default: {
      const never: never = view;
      return never;
    }
  }
};

/** What investigators search, and what auditors see of it. */
const SearchPage = ({ rest }: PageProps): JSX.Element => {
  const w = useWords(words);
  const session = useSession();
  const why = keptWhy();
  const reason = useCell(why);
  const own = views.filter((view) => may(session, needs[view]));
  const at = own.find((view) => view === rest[0]) ?? own[0] ?? 'calls';
  return (
    <PageFrame title={w.title} lead={w.lead}>
      {may(session, needs.calls) && (at === 'calls' || at === 'links') && (
        <div class="search-why">
          <TextField
            label={w.why}
            hint={w.whyHint}
            value={reason}
            maxLength={200}
            error={reason.trim().length > 0 && reason.trim().length < 3 ? w.whyMissing : null}
            onText={(text) => why.set(text)}
          />
        </div>
      )}
      <Tabs
        label={w.views}
        tabs={own.map((view) => ({ key: view, text: w.tabs[view] }))}
        at={at}
        onPick={(view) => go(`/search/${view}`)}
      >
        {shownView(at, rest)}
      </Tabs>
    </PageFrame>
  );
};
export default SearchPage;
