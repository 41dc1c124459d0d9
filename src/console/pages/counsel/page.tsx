import type { JSX } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { api } from '../../api/client.js';
import { useApi, useDoing } from '../../api/use-api.js';
import { Link } from '../../app/place.js';
import { useWords } from '../../app/words.js';
import type { PageProps } from '../../pages.js';
import { Button } from '../../ui/button.js';
import { Select, TextField } from '../../ui/field.js';
import { Busy, Empty, Notice, ProblemNotice } from '../../ui/notice.js';
import { PageFrame, Panel } from '../../ui/page.js';
import { Facts, Time } from '../../ui/value.js';
import { OneNumber } from './calls.js';
import { grouped, type Me, type OwnNumber } from './data.js';
import './page.css';
import { Prove } from './prove.js';
import { StandingBadge, StandingText } from './standing.js';
import { words as all } from './words.js';

/** Each look is written down, so nobody looks more often than there can be news. */
const paceOf = (rows: readonly OwnNumber[]): number =>
  rows.some(({ code }) => code?.stands === true)
    ? 3000
    : rows.some(({ protection }) => protection?.answer === 'pending')
      ? 10_000
      : 60_000;

/** An attorney's own numbers, or one of them. */
const CounselPage = ({ rest }: PageProps): JSX.Element => {
  const words = useWords(all);
  const [everyMs, setPace] = useState(60_000);
  const asked = useApi<{ readonly rows: readonly OwnNumber[] }>('/v1/counsel/numbers', { everyMs });
  useEffect(() => {
    if (asked.data !== null) setPace(paceOf(asked.data.rows));
  }, [asked.data]);
  const me = useApi<Me>('/v1/counsel/me');
  const rows = asked.data?.rows ?? [];
  const [one] = rest;
  const own = rows.find(({ id }) => id === one);
  if (own !== undefined) return <OneNumber own={own} />;
  return (
    <PageFrame title={words.title} lead={words.lead}>
      <ProblemNotice problem={asked.problem} onAgain={() => void asked.again()} />
      {me.data !== null && me.data.notices.length > 0 && <News me={me.data} rows={rows} />}
      {asked.busy ? (
        <Busy />
      ) : rows.length === 0 && asked.problem === null ? (
        <Empty>{words.none}</Empty>
      ) : (
        rows.map((number) => <OneCard key={number.id} own={number} onChange={asked.again} />)
      )}
      <AddNumber first={rows.length === 0} onChange={asked.again} />
      {me.data !== null && (
        <Panel title={words.you} plain>
          <Facts
            facts={[
              [words.name, me.data.name],
              [words.bar, `${me.data.jurisdiction} ${me.data.barNumber}`],
              [words.account, <code>{me.data.account}</code>],
            ]}
          />
        </Panel>
      )}
    </PageFrame>
  );
};

const OneCard = ({
  own,
  onChange,
}: {
  readonly own: OwnNumber;
  readonly onChange: () => Promise<unknown>;
}): JSX.Element => {
  const words = useWords(all);
  const needsProof = own.state === 'unproved' || own.state === 'lapsed' || own.endsSoon;
  const drop = useDoing(async () => {
    await api.delete(`/v1/counsel/numbers/${own.id}`);
    await onChange();
  });
  return (
    <Panel title={grouped(own.number)} aside={<StandingBadge own={own} />}>
      <div class="stack">
        <StandingText own={own} />
        {needsProof && <Prove own={own} onChange={onChange} />}
        <ProblemNotice problem={drop.problem} />
        {own.state === 'unproved' ? (
          <div class="actions">
            <Button small kind="quiet" busy={drop.busy} onPress={() => void drop.run()}>
              {words.takeBack}
            </Button>
          </div>
        ) : (
          own.state === 'proved' && (
            <Link to={`/counsel/${own.id}`} class="button button-plain counsel-open">
              {words.open}
            </Link>
          )
        )}
      </div>
    </Panel>
  );
};

const AddNumber = ({
  first,
  onChange,
}: {
  /** It is what the page is for as long as there is none. */
  readonly first: boolean;
  readonly onChange: () => Promise<unknown>;
}): JSX.Element => {
  const words = useWords(all);
  const [number, setNumber] = useState('');
  const [as, setAs] = useState<OwnNumber['class']>('attorney');
  const [tried, setTried] = useState(false);
  const add = useDoing(async () => {
    await api.post('/v1/counsel/numbers', { number: number.trim(), class: as });
    setNumber('');
    setTried(false);
    await onChange();
  });
  const submit = (event: SubmitEvent): void => {
    event.preventDefault();
    setTried(true);
    if (number.trim() !== '') void add.run();
  };
  return (
    <Panel title={words.add}>
      <form class="form" onSubmit={submit} noValidate>
        <ProblemNotice problem={add.problem} />
        <TextField
          label={words.number}
          hint={words.numberHint}
          type="tel"
          inputMode="tel"
          autocomplete="tel"
          value={number}
          onText={setNumber}
          maxLength={80}
          error={tried && number.trim() === '' ? words.missing : null}
        />
        <Select
          label={words.as}
          value={as}
          options={[
            { value: 'attorney', text: words.asAttorney },
            { value: 'public-defender', text: words.asDefender },
          ]}
          onPick={setAs}
        />
        <Button kind={first ? 'main' : 'plain'} type="submit" busy={add.busy}>
          {words.addNow}
        </Button>
      </form>
    </Panel>
  );
};

const kinds = ['proved-since', 'proved-before', 'decided-for', 'decided-against'] as const;

const News = ({ me, rows }: { readonly me: Me; readonly rows: readonly OwnNumber[] }): JSX.Element => {
  const words = useWords(all);
  return (
    <Panel title={words.news}>
      <div class="stack">
        {me.notices.slice(0, 5).map(({ number, kind, at }) => {
          const known = kinds.find((one) => one === kind) ?? 'other';
          const of = rows.find(({ id }) => id === number);
          return (
            <Notice key={`${number}${kind}${at}`} tone="warn" title={words.notices[known]}>
              {of === undefined ? '' : `${grouped(of.number)} · `}
              <Time at={at} />
            </Notice>
          );
        })}
      </div>
    </Panel>
  );
};

export default CounselPage;
