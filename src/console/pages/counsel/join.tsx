import type { JSX } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { api } from '../../api/client.js';
import { useApi, useDoing } from '../../api/use-api.js';
import { Mark } from '../../app/mark.js';
import { go, Link } from '../../app/place.js';
import { LanguagePicker, ThemePicker } from '../../app/settings-shown.js';
import { useWords } from '../../app/words.js';
import { Button } from '../../ui/button.js';
import { Check, TextField } from '../../ui/field.js';
import { Busy, Notice, ProblemNotice } from '../../ui/notice.js';
import { Facts } from '../../ui/value.js';
import type { Portal } from './data.js';
import './page.css';
import { joinWords as all } from './words.js';

interface Made {
  readonly account: string;
  readonly secret: string;
  readonly uri: string;
  readonly recovery: readonly string[];
}

/** The secret of an invitation stands after the `#`; it is taken out of the address at once. */
const takeInvitation = (): string | null => {
  const given = new URLSearchParams(location.hash.slice(1)).get('invitation');
  if (given !== null) history.replaceState(null, '', location.pathname);
  return given;
};

/** The door for attorneys who have no account yet. */
const Join = (): JSX.Element => {
  const words = useWords(all);
  const portal = useApi<Portal>('/v1/counsel');
  const [invitation] = useState(takeInvitation);
  const [made, setMade] = useState<Made | null>(null);
  useEffect(() => {
    document.title = `${words.title} · Sallyport`;
  }, [words]);
  const registration = portal.data?.registration;
  return (
    <main class="sign-in" id="content">
      <div class="sign-in-card">
        <header class="sign-in-head counsel-head">
          <Mark />
          <div>
            <h1>{made === null ? words.title : words.made}</h1>
            <p>{made === null ? words.lead : words.once}</p>
          </div>
        </header>
        <ProblemNotice problem={portal.problem} onAgain={() => void portal.again()} />
        {portal.busy ? (
          <Busy />
        ) : made !== null ? (
          <Once made={made} />
        ) : registration === 'closed' ? (
          <Notice>{words.closed}</Notice>
        ) : registration === 'invited' && invitation === null ? (
          <Notice>{words.invited}</Notice>
        ) : (
          <JoinForm invitation={invitation} onMade={setMade} />
        )}
        {made === null && (
          <p class="counsel-have">
            <Link to="/sign-in">{words.have}</Link>
          </p>
        )}
        <footer class="sign-in-foot">
          <LanguagePicker />
          <ThemePicker />
        </footer>
      </div>
    </main>
  );
};

const JoinForm = ({
  invitation,
  onMade,
}: {
  readonly invitation: string | null;
  readonly onMade: (made: Made) => void;
}): JSX.Element => {
  const words = useWords(all);
  const [name, setName] = useState('');
  const [jurisdiction, setJurisdiction] = useState('');
  const [bar, setBar] = useState('');
  const [password, setPassword] = useState('');
  const [again, setAgain] = useState('');
  const [tried, setTried] = useState(false);
  const make = useDoing(async () => {
    const given = { name: name.trim(), jurisdiction: jurisdiction.trim(), barNumber: bar.trim() };
    onMade(await api.post<Made>('/v1/counsel/accounts', { ...given, password, invitation }));
  });
  const missing = (value: string): string | null => (tried && value.trim() === '' ? words.missing : null);
  const submit = (event: SubmitEvent): void => {
    event.preventDefault();
    setTried(true);
    const all = [name, jurisdiction, bar].every((one) => one.trim() !== '');
    if (all && password.length >= 12 && password === again) void make.run();
  };
  return (
    <form class="form" onSubmit={submit} noValidate>
      <ProblemNotice problem={make.problem} />
      <TextField
        label={words.name}
        value={name}
        onText={setName}
        autocomplete="name"
        maxLength={100}
        error={missing(name)}
      />
      <TextField
        label={words.jurisdiction}
        hint={words.jurisdictionHint}
        value={jurisdiction}
        onText={setJurisdiction}
        maxLength={60}
        error={missing(jurisdiction)}
      />
      <TextField
        label={words.bar}
        value={bar}
        onText={setBar}
        maxLength={40}
        spellcheck={false}
        error={missing(bar)}
      />
      <TextField
        label={words.password}
        hint={words.passwordHint}
        type="password"
        value={password}
        onText={setPassword}
        autocomplete="new-password"
        error={tried && password.length < 12 ? words.short : null}
      />
      <TextField
        label={words.again}
        type="password"
        value={again}
        onText={setAgain}
        autocomplete="new-password"
        error={tried && password !== again ? words.differ : null}
      />
      <Button kind="main" type="submit" busy={make.busy}>
        {words.make}
      </Button>
    </form>
  );
};

/** What is shown once. */
const Once = ({ made }: { readonly made: Made }): JSX.Element => {
  const words = useWords(all);
  const [kept, setKept] = useState(false);
  return (
    <div class="counsel-once">
      <Facts
        facts={[
          [words.account, <code>{made.account}</code>],
          [words.secret, <span class="counsel-secret">{made.secret.replace(/(.{4})(?=.)/g, '$1 ')}</span>],
        ]}
      />
      <p class="soft">{words.secretHint}</p>
      <p>
        <a href={made.uri}>{words.openApp}</a>
      </p>
      <h2>{words.recovery}</h2>
      <p class="soft">{words.recoveryHint}</p>
      <ul class="counsel-recovery">
        {made.recovery.map((one) => (
          <li key={one}>{one}</li>
        ))}
      </ul>
      <Check label={words.kept} checked={kept} onCheck={setKept} />
      <Button kind="main" disabled={!kept} onPress={() => go('/sign-in')}>
        {words.go}
      </Button>
    </div>
  );
};

export default Join;
