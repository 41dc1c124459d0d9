import type { JSX } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { signOut } from '../api/client.js';
import { may, type Session, sessionState } from '../api/session.js';
import { useApi } from '../api/use-api.js';
import { CounselJoin } from '../pages/counsel/door.js';
import { SignIn } from '../pages/sign-in/page.js';
import { type PageEntry, type PageGroup, pages } from '../pages.js';
import { Button } from '../ui/button.js';
import { Icon } from '../ui/icon.js';
import { Busy, Notice } from '../ui/notice.js';
import { PageFrame } from '../ui/page.js';
import { ActsFor } from './acts-for.js';
import { useCell } from './cell.js';
import { Health, LockdownBanner } from './health.js';
import { Mark } from './mark.js';
import { Notices } from './notices-shown.js';
import { PageLoader } from './page-loader.js';
import { go, Link, usePlace } from './place.js';
import { SessionEnd } from './session-end.js';
import { language } from './settings.js';
import { LanguagePicker, ThemePicker } from './settings-shown.js';
import { shellWords } from './shell-words.js';
import { useWords } from './words.js';

/** What everybody may know of this place: `GET /v1/session/ways`. */
export interface Ways {
  readonly site: string;
  /** Sign-in at an identity provider is there. */
  readonly provider: boolean;
}

/** Pages that somebody sees. */
const pagesOf = (session: Session): readonly PageEntry[] =>
  pages.filter(
    ({ needs, roles }) =>
      needs.some((route) => may(session, route)) &&
      (roles === undefined || session.roles.some(({ role }) => roles.includes(role))),
  );

/** Everything that is drawn: the sign-in page for nobody, the console for somebody. */
export const Shell = (): JSX.Element => {
  const now = useCell(sessionState);
  const ways = useApi<Ways>('/v1/session/ways').data;
  const { page } = usePlace();
  return (
    <>
      {now.state === 'unknown' ? (
        <div class="centre">
          <Busy />
        </div>
      ) : now.state === 'nobody' && page === 'join' ? (
        <CounselJoin />
      ) : now.state === 'nobody' ? (
        <SignIn ended={now.ended} ways={ways} />
      ) : (
        <House session={now.session} site={ways?.site ?? ''} />
      )}
      <Notices />
    </>
  );
};

const House = ({ session, site }: { readonly session: Session; readonly site: string }): JSX.Element => {
  const words = useWords(shellWords);
  const of = useCell(language);
  const { page, rest, query } = usePlace();
  const [menu, setMenu] = useState(false);
  const seen = pagesOf(session);
  const [first] = seen;
  const here = seen.find(({ path }) => path === page);
  useEffect(() => {
    if ((page === '' || page === 'sign-in' || page === 'join') && first !== undefined)
      go(`/${first.path}`, { replace: true });
  }, [page, first]);
  useEffect(() => {
    document.title = here === undefined ? 'Sallyport' : `${here.title[of]} · Sallyport`;
  }, [here, of]);
  return (
    <div class={`house${menu ? ' menu-open' : ''}`}>
      <a class="skip" href="#content">
        {words.skip}
      </a>
      <header class="top">
        <Button
          kind="quiet"
          icon="menu"
          label={words.menu}
          expanded={menu}
          controls="navigation"
          onPress={() => setMenu(!menu)}
        >
          <span class="heard-only">{words.menu}</span>
        </Button>
        <Link to="/" class="brand" aria-label={words.home}>
          <Mark />
          <span class="brand-name">Sallyport</span>
        </Link>
        <span class="site-name">{site}</span>
        <ActsFor session={session} />
        <span class="top-space" />
        <LanguagePicker />
        <ThemePicker />
        <span class="who" title={session.roles.map(({ role }) => role).join(', ')}>
          <Icon name="person" /> <span>{session.account}</span>
        </span>
        <Button kind="quiet" small onPress={() => void signOut()}>
          {words.signOut}
        </Button>
      </header>
      <Navigation seen={seen} here={page} onGo={() => setMenu(false)} />
      <main id="content" tabIndex={-1}>
        <LockdownBanner session={session} />
        <SessionEnd session={session} />
        {here !== undefined ? (
          <PageLoader key={here.path} entry={here} rest={rest} query={query} />
        ) : first === undefined ? (
          <PageFrame title={words.noPages}>
            <Notice>{words.noPagesText}</Notice>
          </PageFrame>
        ) : page === '' || page === 'sign-in' ? (
          <Busy />
        ) : (
          <PageFrame title={words.notFound}>
            <Notice>{words.notFoundText}</Notice>
          </PageFrame>
        )}
      </main>
      <Health session={session} />
    </div>
  );
};

const groups: readonly PageGroup[] = ['watch', 'lists', 'evidence', 'site'];

const Navigation = ({
  seen,
  here,
  onGo,
}: {
  readonly seen: readonly PageEntry[];
  readonly here: string;
  readonly onGo: () => void;
}): JSX.Element => {
  const words = useWords(shellWords);
  const of = useCell(language);
  return (
    <nav id="navigation" class="nav" aria-label={words.navigation}>
      {groups.map((group) => {
        const own = seen.filter((one) => one.group === group);
        if (own.length === 0) return null;
        return (
          <section key={group} class="nav-group">
            <h2 id={`nav-${group}`}>{words.groups[group]}</h2>
            <ul aria-labelledby={`nav-${group}`}>
              {own.map(({ path, title }) => (
                <li key={path}>
                  <Link to={`/${path}`} onGo={onGo} {...(path === here ? { 'aria-current': 'page' } : {})}>
                    {title[of]}
                  </Link>
                </li>
              ))}
            </ul>
          </section>
        );
      })}
    </nav>
  );
};
