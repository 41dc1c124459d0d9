import type { JSX } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { ApiProblem, api } from '../../api/client.js';
import { type Session, sessionState } from '../../api/session.js';
import { useDoing } from '../../api/use-api.js';
import { Mark } from '../../app/mark.js';
import { go, placeNow } from '../../app/place.js';
import { LanguagePicker, ThemePicker } from '../../app/settings-shown.js';
import type { Ways } from '../../app/shell.js';
import { useWords } from '../../app/words.js';
import { Button } from '../../ui/button.js';
import { TextField } from '../../ui/field.js';
import { Busy, Notice, ProblemNotice } from '../../ui/notice.js';
import { CounselDoor } from '../counsel/door.js';
import { words as all } from './words.js';

/**
 * The secret of a one-time link stands after the `#`, and so does why the identity provider's way led nowhere; it is taken
 * out of the address at once.
 */
const takeHash = (): { readonly link: string | null; readonly refused: string | null } => {
  const said = new URLSearchParams(location.hash.slice(1));
  const taken = { link: said.get('link'), refused: said.get('refused') };
  if (taken.link !== null || taken.refused !== null)
    history.replaceState(null, '', location.pathname + location.search);
  return taken;
};

const entered = (session: Session): void => {
  sessionState.set({ state: 'somebody', session });
  if (placeNow().page === 'sign-in') go('/', { replace: true });
};

export const SignIn = ({
  ended,
  ways,
}: {
  readonly ended: boolean;
  readonly ways: Ways | null;
}): JSX.Element => {
  const words = useWords(all);
  const [{ link, refused }] = useState(takeHash);
  const withLink = useDoing(async (token: string) =>
    entered(await api.post<Session>('/v1/session/link', { token })),
  );
  useEffect(() => {
    document.title = `${words.title} · Sallyport`;
  }, [words]);
  useEffect(() => {
    if (link !== null) void withLink.run(link);
  }, [link, withLink.run]);
  const trying = link !== null && withLink.problem === null;
  const site = ways?.site ?? '';
  return (
    <main class="sign-in" id="content">
      <div class="sign-in-card">
        <header class="sign-in-head">
          <Mark />
          <div>
            <h1>{words.title}</h1>
            <p>{site === '' ? words.toNowhere : words.to(site)}</p>
          </div>
        </header>
        {ended && !trying && (
          <Notice tone="note" title={words.ended} loud>
            {words.endedText}
          </Notice>
        )}
        {refused !== null && (
          <Notice tone="bad" title={words.providerFailed} loud>
            {refused === 'provider-refused' || refused === 'credentials-wrong'
              ? words.providerRefused
              : words.providerGone}
          </Notice>
        )}
        {withLink.problem !== null && (
          <Notice tone="bad" title={words.linkFailed} loud>
            {withLink.problem.code === 'credentials-wrong' || withLink.problem.code === 'request-malformed'
              ? words.linkFailedText
              : withLink.problem.title}
          </Notice>
        )}
        {trying ? <Busy what={words.link} /> : <PasswordForm />}
        {ways?.provider === true && !trying && (
          <>
            <p class="sign-in-or">
              <span>{words.or}</span>
            </p>
            <a class="button button-plain sign-in-provider" href="/v1/session/oidc">
              <span>{words.provider}</span>
            </a>
          </>
        )}
        {!trying && <CounselDoor />}
        <p class="sign-in-about">{words.about}</p>
        <footer class="sign-in-foot">
          <LanguagePicker />
          <ThemePicker />
        </footer>
      </div>
    </main>
  );
};

const PasswordForm = (): JSX.Element => {
  const words = useWords(all);
  const [name, setName] = useState('');
  const [password, setPassword] = useState('');
  const [code, setCode] = useState('');
  const [tried, setTried] = useState(false);
  const [needsCode, setNeedsCode] = useState(false);
  const enter = useDoing(async () => {
    const given = {
      name: name.trim().toLowerCase(),
      password,
      code: code.trim() === '' ? null : code.trim(),
    };
    try {
      entered(await api.post<Session>('/v1/session', given));
    } catch (error) {
      if (!(error instanceof ApiProblem)) throw error;
      if (error.code === 'second-factor-needed') setNeedsCode(true);
      else {
        setCode('');
        throw error;
      }
    }
  });
  const submit = (event: SubmitEvent): void => {
    event.preventDefault();
    setTried(true);
    if (name.trim() !== '' && password !== '') void enter.run();
  };
  const missing = (value: string): string | null => (tried && value.trim() === '' ? words.missing : null);
  return (
    <form class="form" onSubmit={submit} noValidate>
      <ProblemNotice problem={enter.problem} />
      <TextField
        label={words.name}
        value={name}
        onText={setName}
        name="username"
        autocomplete="username"
        spellcheck={false}
        maxLength={64}
        error={missing(name)}
      />
      <TextField
        label={words.password}
        type="password"
        value={password}
        onText={setPassword}
        name="password"
        autocomplete="current-password"
        error={missing(password)}
      />
      <TextField
        label={words.code}
        hint={words.codeHint}
        value={code}
        onText={setCode}
        name="code"
        autocomplete="one-time-code"
        spellcheck={false}
        maxLength={40}
        mono
        error={needsCode && code.trim() === '' ? words.codeNow : null}
      />
      <Button kind="main" type="submit" busy={enter.busy}>
        {words.go}
      </Button>
    </form>
  );
};
