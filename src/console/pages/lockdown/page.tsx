import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import { useActsForAll, useMay } from '../../api/session.js';
import { useApi } from '../../api/use-api.js';
import { type LockdownShown, lookAgain, placeText } from '../../app/health.js';
import { shellWords } from '../../app/shell-words.js';
import { useWords } from '../../app/words.js';
import { Button } from '../../ui/button.js';
import { Icon } from '../../ui/icon.js';
import { ProblemNotice } from '../../ui/notice.js';
import { PageFrame, Panel } from '../../ui/page.js';
import { type Column, Table } from '../../ui/table.js';
import { Num, Time } from '../../ui/value.js';
import { LiftDialog, LockForm } from './order.js';
import './page.css';
import { words as all } from './words.js';

/** `GET /v1/orders`. */
interface Standing extends LockdownShown {
  readonly kind: 'lockdown';
  readonly by: string;
  readonly why: string;
}
interface Suspension {
  readonly kind: 'suspension';
  readonly caller: string;
  readonly by: string;
  readonly why: string;
  readonly since: string;
}
interface Held {
  readonly kind: 'pending' | 'block';
  readonly cause: string;
  readonly count: number;
  readonly newest: readonly string[];
}
type Order = Standing | Suspension | Held;

const LockdownPage = (): JSX.Element => {
  const words = useWords(all);
  const places = useWords(shellWords);
  const mayOrder = useMay('POST /v1/lockdown');
  const everywhere = useActsForAll();
  const [lifting, setLifting] = useState<Standing | null>(null);
  const { data, problem, busy, again } = useApi<{ readonly rows: readonly Order[] }>('/v1/orders', {
    everyMs: 5000,
  });
  const rows = data?.rows ?? [];
  const standing = rows.filter((one) => one.kind === 'lockdown');
  const others = rows.filter((one) => one.kind !== 'lockdown');
  const done = (): void => {
    setLifting(null);
    void again();
    lookAgain.set(lookAgain.get() + 1);
  };
  const columns: Column<Standing>[] = [
    { key: 'place', head: words.place, cell: (one) => placeText(one, places), rowHead: true },
    { key: 'why', head: words.why, cell: ({ why }) => why },
    { key: 'by', head: words.by, cell: ({ by }) => by, sort: ({ by }) => by },
    { key: 'since', head: words.since, cell: ({ since }) => <Time at={since} />, sort: ({ since }) => since },
  ];
  if (mayOrder)
    columns.push({
      key: 'order',
      head: words.order,
      numeric: true,
      cell: (one) =>
        one.place.level === 'global' && !everywhere ? null : (
          <Button small label={words.liftOf(placeText(one, places))} onPress={() => setLifting(one)}>
            {words.lift}
          </Button>
        ),
    });
  return (
    <PageFrame title={words.title} lead={words.lead}>
      <ProblemNotice problem={problem} onAgain={() => void again()} />
      {data !== null && problem === null && (
        <div class={`lockdown-state ${standing.length > 0 ? 'lockdown-on' : 'lockdown-off'}`} role="status">
          <Icon name={standing.length > 0 ? 'lock' : 'phone'} />
          <div>
            <strong>{standing.length > 0 ? words.on(standing.length) : words.off}</strong>
            <p>{standing.length > 0 ? words.onText : words.offText}</p>
          </div>
        </div>
      )}
      {standing.length > 0 && (
        <Panel title={words.standing} aside={<Num value={standing.length} />}>
          <Table
            caption={words.standing}
            hideCaption
            columns={columns}
            rows={standing}
            rowKey={(one) => JSON.stringify(one.place)}
          />
        </Panel>
      )}
      {mayOrder && <LockForm onDone={done} />}
      <Panel title={words.others}>
        <Table
          caption={words.others}
          hideCaption
          busy={busy}
          rows={others}
          rowKey={(one) => JSON.stringify(one)}
          empty={words.none}
          columns={[
            { key: 'kind', head: words.kind, cell: ({ kind }) => words.kinds[kind], rowHead: true },
            {
              key: 'about',
              head: words.about,
              cell: (one) =>
                one.kind === 'suspension' ? one.caller : `${one.count}: ${one.newest.join(', ')}`,
            },
            {
              key: 'why',
              head: words.why,
              cell: (one) => (one.kind === 'suspension' ? `${one.why} (${one.by})` : one.cause),
            },
          ]}
        />
      </Panel>
      {lifting !== null && (
        <LiftDialog
          place={lifting.place}
          text={placeText(lifting, places)}
          onDone={done}
          onClose={() => setLifting(null)}
        />
      )}
    </PageFrame>
  );
};

export default LockdownPage;
