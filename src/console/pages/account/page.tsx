import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import { api } from '../../api/client.js';
import { useSession } from '../../api/session.js';
import { useDoing } from '../../api/use-api.js';
import { tell } from '../../app/notices.js';
import { shellWords } from '../../app/shell-words.js';
import { useWords } from '../../app/words.js';
import { Button } from '../../ui/button.js';
import { TextField } from '../../ui/field.js';
import { ProblemNotice } from '../../ui/notice.js';
import { PageFrame, Panel } from '../../ui/page.js';
import { Facts, Time } from '../../ui/value.js';
import { words as all } from './words.js';

const AccountPage = (): JSX.Element => {
  const words = useWords(all);
  const session = useSession();
  const shell = useWords(shellWords);
  const hows: Readonly<Record<string, string>> = words.hows;
  return (
    <PageFrame title={words.title}>
      <Panel title={words.who}>
        <Facts
          facts={[
            [words.name, session.account],
            [words.roles, session.roles.map(({ role }) => role).join(', ')],
            [
              words.facilities,
              session.facilities === 'all'
                ? shell.allFacilities
                : session.facilities.join(', ') || shell.noFacility,
            ],
            [words.how, hows[session.how] ?? session.how],
            [words.expires, <Time key="expires" at={session.expires} />],
            [words.idle, words.minutes(Math.round(session.idleSeconds / 60))],
          ]}
        />
        {session.roles.some(({ role }) => role === 'admin') && <p class="soft">{words.noPages}</p>}
      </Panel>
      {session.how !== 'provider' && <PasswordPanel />}
    </PageFrame>
  );
};

const PasswordPanel = (): JSX.Element => {
  const words = useWords(all);
  const [old, setOld] = useState('');
  const [wanted, setWanted] = useState('');
  const [again, setAgain] = useState('');
  const [tried, setTried] = useState(false);
  const change = useDoing(async () => {
    await api.post('/v1/session/password', { password: old, wanted });
    for (const clear of [setOld, setWanted, setAgain]) clear('');
    setTried(false);
    tell('good', words.done);
  });
  const missing = (value: string): string | null => (tried && value === '' ? words.missing : null);
  const submit = (event: SubmitEvent): void => {
    event.preventDefault();
    setTried(true);
    if (old !== '' && wanted !== '' && wanted === again) void change.run();
  };
  return (
    <Panel title={words.change}>
      <form class="form narrow" onSubmit={submit} noValidate>
        <ProblemNotice problem={change.problem} />
        <TextField
          label={words.old}
          type="password"
          autocomplete="current-password"
          value={old}
          onText={setOld}
          error={missing(old)}
        />
        <TextField
          label={words.wanted}
          hint={words.wantedHint}
          type="password"
          autocomplete="new-password"
          value={wanted}
          onText={setWanted}
          error={missing(wanted)}
        />
        <TextField
          label={words.again}
          type="password"
          autocomplete="new-password"
          value={again}
          onText={setAgain}
          error={tried && wanted !== '' && again !== wanted ? words.differs : missing(again)}
        />
        <Button type="submit" busy={change.busy}>
          {words.word}
        </Button>
      </form>
    </Panel>
  );
};

export default AccountPage;
