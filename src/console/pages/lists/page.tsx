import './page.css';
import type { JSX } from 'preact';
import { useMay } from '../../api/session.js';
import { go } from '../../app/place.js';
import { useWords } from '../../app/words.js';
import type { PageProps } from '../../pages.js';
import { PageFrame } from '../../ui/page.js';
import { Tabs } from '../../ui/tabs.js';
import { NewChange } from './new-change.js';
import { GoButton } from './parts.js';
import { ProposalView } from './proposal.js';
import { ProposalsTab } from './proposals-tab.js';
import { PublicationsTab, PublicationView } from './publications-tab.js';
import { CallerView, RecordView } from './record.js';
import { SearchTab } from './search-tab.js';
import { words as pageWords } from './words.js';

const tabs = ['search', 'proposals', 'publications'] as const;

/** The lists: looked through, and changed by proposals that others approve. */
const ListsPage = ({ rest, query }: PageProps): JSX.Element => {
  const [what = '', one = '', two = ''] = rest;
  switch (what) {
    case 'entry':
      return <RecordView key={two} list={one} id={two} />;
    case 'caller':
      return <CallerView key={one} id={one} />;
    case 'proposal':
      return <ProposalView key={one} id={one} />;
    case 'publication':
      return <PublicationView key={one} epoch={one} />;
    case 'new':
      return <NewChange query={query} />;
    default:
      return <Overview query={query} />;
  }
};
export default ListsPage;

const Overview = ({ query }: { readonly query: URLSearchParams }): JSX.Element => {
  const words = useWords(pageWords);
  const mayPropose = useMay('POST /v1/changes');
  const published = useMay('GET /v1/publications');
  const own = tabs.filter((one) => one !== 'publications' || published);
  const at = own.find((one) => one === query.get('tab')) ?? 'search';
  return (
    <PageFrame
      title={words.title}
      lead={words.lead}
      {...(mayPropose
        ? {
            actions: (
              <GoButton to="/lists/new" kind="main">
                {words.propose}
              </GoButton>
            ),
          }
        : {})}
    >
      <Tabs
        label={words.views}
        tabs={own.map((key) => ({ key, text: words.tabs[key] }))}
        at={at}
        onPick={(key) => go(key === 'search' ? '/lists' : `/lists?tab=${key}`, { replace: true })}
      >
        {at === 'search' && <SearchTab />}
        {at === 'proposals' && <ProposalsTab />}
        {at === 'publications' && <PublicationsTab />}
      </Tabs>
    </PageFrame>
  );
};
