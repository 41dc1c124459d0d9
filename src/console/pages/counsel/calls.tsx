import type { JSX } from 'preact';
import { api } from '../../api/client.js';
import { useApi, useDoing } from '../../api/use-api.js';
import { useCell } from '../../app/cell.js';
import { tell } from '../../app/notices.js';
import { Link } from '../../app/place.js';
import { language } from '../../app/settings.js';
import { useWords } from '../../app/words.js';
import { Badge, Verdict } from '../../ui/badge.js';
import { Button } from '../../ui/button.js';
import { Notice, ProblemNotice } from '../../ui/notice.js';
import { PageFrame, Panel } from '../../ui/page.js';
import { type Column, Table } from '../../ui/table.js';
import { Duration, Time, timeText } from '../../ui/value.js';
import { grouped, type OwnCall, type OwnNumber } from './data.js';
import { StandingBadge, StandingText } from './standing.js';
import { words as all } from './words.js';

const save = (bytes: Uint8Array<ArrayBuffer>, name: string): void => {
  const url = URL.createObjectURL(new Blob([bytes], { type: 'application/json' }));
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  // The browser has taken it by the time anything else is drawn.
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
};

/** One number: how it stands, what became of calls to it, and their evidence. */
export const OneNumber = ({ own }: { readonly own: OwnNumber }): JSX.Element => {
  const words = useWords(all);
  return (
    <PageFrame title={grouped(own.number)} actions={<Link to="/counsel">{words.back}</Link>}>
      <Panel title={words.standing} aside={<StandingBadge own={own} />}>
        <StandingText own={own} />
      </Panel>
      <Panel title={words.callsTitle}>
        <p class="soft">{words.callsLead}</p>
        {own.state === 'proved' ? <Calls own={own} /> : <Notice>{words.notShown}</Notice>}
      </Panel>
      <HowToVerify />
    </PageFrame>
  );
};

const Calls = ({ own }: { readonly own: OwnNumber }): JSX.Element => {
  const words = useWords(all);
  const now = useCell(language);
  const path = `/v1/counsel/numbers/${own.id}/calls`;
  const asked = useApi<{ readonly rows: readonly OwnCall[] }>(path);
  const fetched = useDoing(async (call: OwnCall) => {
    save(await api.bytes(`${path}/${call.callId}/evidence`), `${call.callId}.evidence.json`);
    tell('good', words.saved);
  });
  const columns: readonly Column<OwnCall>[] = [
    { key: 'at', head: words.when, cell: ({ at }) => <Time at={at} />, rowHead: true, sort: ({ at }) => at },
    { key: 'facility', head: words.facility, cell: ({ facility }) => facility },
    {
      key: 'verdict',
      head: words.decided,
      cell: ({ verdict, recorded }) => (
        <span class="counsel-verdict">
          <Verdict verdict={verdict} />
          {recorded && <Badge tone="bad">{words.wasRecorded}</Badge>}
        </span>
      ),
    },
    {
      key: 'talked',
      head: words.talked,
      numeric: true,
      cell: ({ connectedMs }) => <Duration ms={connectedMs} />,
    },
    {
      key: 'evidence',
      head: words.evidence,
      cell: (call) =>
        call.evidence ? (
          <Button
            small
            icon="download"
            label={words.downloadOf(timeText(call.at, now))}
            busy={fetched.busy}
            onPress={() => void fetched.run(call)}
          >
            {words.download}
          </Button>
        ) : (
          <span class="soft">{words.noEvidence}</span>
        ),
    },
  ];
  return (
    <div class="stack">
      <ProblemNotice problem={asked.problem} onAgain={() => void asked.again()} />
      {fetched.problem?.detail === 'evidence-not-yet-headed' ? (
        <Notice tone="warn" loud>
          {words.notSigned}
        </Notice>
      ) : (
        <ProblemNotice problem={fetched.problem} />
      )}
      <Table
        caption={words.callsTitle}
        hideCaption
        columns={columns}
        rows={asked.data?.rows ?? []}
        rowKey={({ callId }) => callId}
        busy={asked.busy}
        empty={words.noCalls}
      />
    </div>
  );
};

const HowToVerify = (): JSX.Element => {
  const words = useWords(all);
  return (
    <Panel title={words.verifyTitle}>
      <ol class="counsel-steps">
        {words.verify.map((step) => (
          <li key={step}>{step}</li>
        ))}
      </ol>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keys */}
      <pre class="counsel-command" tabIndex={0}>
        sallyport evidence verify CALL.evidence.json --public-key head.pub.pem
      </pre>
      <p>{words.verifyThen}</p>
    </Panel>
  );
};
