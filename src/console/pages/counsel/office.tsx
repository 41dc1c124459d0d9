import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import { api } from '../../api/client.js';
import { useMay } from '../../api/session.js';
import { useApi, useDoing } from '../../api/use-api.js';
import { tell } from '../../app/notices.js';
import { Link } from '../../app/place.js';
import { useWords } from '../../app/words.js';
import { Button } from '../../ui/button.js';
import { Check, TextField } from '../../ui/field.js';
import { Busy, Empty, Notice, ProblemNotice } from '../../ui/notice.js';
import { PageFrame, Panel } from '../../ui/page.js';
import { Time } from '../../ui/value.js';
import { grouped, type Portal } from './data.js';
import { officeWords as all } from './office-words.js';
import './page.css';

interface Contested {
  readonly id: string;
  readonly number: string;
  readonly account: string;
  readonly name: string;
  readonly jurisdiction: string;
  readonly barNumber: string;
  readonly firstProvedAt: string | null;
  readonly provedAt: string | null;
}

/** What the facility’s staff does about attorneys: invites them, and decides whose a number is. */
const OfficePage = (): JSX.Element => {
  const words = useWords(all);
  const mayInvite = useMay('POST /v1/counsel/invitations');
  const portal = useApi<Portal>('/v1/counsel').data;
  const contests = useApi<{ readonly rows: readonly Contested[] }>('/v1/counsel/contests');
  const numbers = new Map<string, Contested[]>();
  for (const row of contests.data?.rows ?? [])
    numbers.set(row.number, [...(numbers.get(row.number) ?? []), row]);
  return (
    <PageFrame title={words.title} lead={words.lead}>
      {portal?.registration === 'closed' && <Notice tone="warn">{words.closed}</Notice>}
      {mayInvite && portal !== null && portal.registration !== 'closed' && <Invite />}
      <Panel title={words.contests}>
        <div class="stack">
          <p class="soft">{words.contestsText}</p>
          <ProblemNotice problem={contests.problem} onAgain={() => void contests.again()} />
          {contests.busy && <Busy />}
          {contests.data !== null && numbers.size === 0 && <Empty>{words.noContests}</Empty>}
          {[...numbers].map(([number, claims]) => (
            <Contest key={number} number={number} claims={claims} onDecided={contests.again} />
          ))}
        </div>
      </Panel>
      <Panel title={words.proposals} plain>
        <p>
          {words.proposalsText} <Link to="/lists">{words.toLists}</Link>
        </p>
      </Panel>
    </PageFrame>
  );
};

const Invite = (): JSX.Element => {
  const words = useWords(all);
  const [note, setNote] = useState('');
  const [tried, setTried] = useState(false);
  const [link, setLink] = useState<string | null>(null);
  const make = useDoing(async () => {
    const { token } = await api.post<{ readonly token: string }>('/v1/counsel/invitations', {
      note: note.trim(),
    });
    setLink(`${location.origin}/join#invitation=${token}`);
    setNote('');
    setTried(false);
  });
  const submit = (event: SubmitEvent): void => {
    event.preventDefault();
    setTried(true);
    if (note.trim() !== '') void make.run();
  };
  return (
    <Panel title={words.invite}>
      <form class="form" onSubmit={submit} noValidate>
        <ProblemNotice problem={make.problem} />
        <TextField
          label={words.note}
          hint={words.noteHint}
          value={note}
          onText={setNote}
          maxLength={200}
          error={tried && note.trim() === '' ? words.missing : null}
        />
        <Button kind="main" type="submit" busy={make.busy}>
          {words.make}
        </Button>
        {link !== null && (
          <Notice tone="good" title={words.made} loud>
            <code class="counsel-secret">{link}</code>
          </Notice>
        )}
      </form>
    </Panel>
  );
};

const Contest = ({
  number,
  claims,
  onDecided,
}: {
  readonly number: string;
  readonly claims: readonly Contested[];
  readonly onDecided: () => Promise<unknown>;
}): JSX.Element => {
  const words = useWords(all);
  const mayDecide = useMay('POST /v1/counsel/contests/:number/decide');
  const [keep, setKeep] = useState<readonly string[]>([]);
  const [first] = claims;
  const decide = useDoing(async () => {
    await api.post(`/v1/counsel/contests/${first?.id ?? ''}/decide`, { keep });
    tell('good', words.decided);
    await onDecided();
  });
  return (
    <section class="counsel-contest" aria-label={grouped(number)}>
      <h3>{grouped(number)}</h3>
      <ul>
        {claims.map((claim) => (
          <li key={claim.id}>
            <Check
              label={`${claim.name}, ${claim.jurisdiction} ${claim.barNumber} (${claim.account})`}
              checked={keep.includes(claim.id)}
              onCheck={(checked) =>
                setKeep(checked ? [...keep, claim.id] : keep.filter((one) => one !== claim.id))
              }
            />
            {claim.firstProvedAt !== null && (
              <span class="soft small">
                {words.since} <Time at={claim.firstProvedAt} />
              </span>
            )}
          </li>
        ))}
      </ul>
      <ProblemNotice problem={decide.problem} />
      {mayDecide && (
        <div class="actions">
          <Button busy={decide.busy} onPress={() => void decide.run()}>
            {words.decide(keep.length)}
          </Button>
        </div>
      )}
    </section>
  );
};

export default OfficePage;
