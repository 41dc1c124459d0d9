import type { JSX } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { useMay } from '../../api/session.js';
import { useApi } from '../../api/use-api.js';
import { useCell } from '../../app/cell.js';
import { tell } from '../../app/notices.js';
import { language } from '../../app/settings.js';
import { useWords } from '../../app/words.js';
import { alarmWords } from '../../codes/alarm-words.js';
import { stageOf } from '../../codes/phases.js';
import { Badge } from '../../ui/badge.js';
import { Notice } from '../../ui/notice.js';
import { PageFrame } from '../../ui/page.js';
import { Num } from '../../ui/value.js';
import { AlarmsPanel, ListsPanel, PoolsPanel } from './around.js';
import { type ShownCall, useLiveCalls } from './calls.js';
import { CallsPanel } from './calls-panel.js';
import './page.css';
import { words as all } from './words.js';

const Sums = ({ calls }: { readonly calls: readonly ShownCall[] }): JSX.Element => {
  const words = useWords(all);
  const here = calls.filter(({ over }) => over === null);
  const talking = here.filter(({ phase }) => stageOf(phase) === 'talking');
  const count = (verdict: string): number => talking.filter((call) => call.verdict === verdict).length;
  const sums = [
    [words.underWay, here.length, ''],
    [words.talking, talking.length, ''],
    [words.monitored, count('monitored'), 'verdict-monitored'],
    [words.private, count('private'), 'verdict-private'],
  ] as const;
  return (
    <dl class="now-sums">
      {sums.map(([name, value, of]) => (
        <div key={name} class={of}>
          <dt>{name}</dt>
          <dd>
            <Num value={value} />
          </dd>
        </div>
      ))}
    </dl>
  );
};

const NowPage = (): JSX.Element => {
  const words = useWords(all);
  const seesPools = useMay('GET /v1/pools');
  const of = useCell(language);
  const live = useLiveCalls(({ alarm, text }) => tell('bad', words.newAlarm(alarmWords(alarm, text, of))));
  const [mono, setMono] = useState(() => performance.now());
  useEffect(() => {
    const timer = setInterval(() => setMono(performance.now()), 1000);
    return () => clearInterval(timer);
  }, []);
  const status = useApi<{ readonly checks: readonly { readonly name: string; readonly ok: boolean }[] }>(
    '/v1/status',
    { everyMs: 5000 },
  );
  const listsOk = status.data?.checks.find(({ name }) => name === 'controller.lists')?.ok ?? null;
  const tone = live.stream === 'open' ? 'good' : live.stream === 'lost' ? 'bad' : 'note';
  return (
    <PageFrame
      title={words.title}
      lead={words.lead}
      actions={
        <Badge tone={tone} {...(live.stream === 'connecting' ? { icon: 'waiting' as const } : {})}>
          {words.live[live.stream]}
        </Badge>
      }
    >
      {live.stream === 'open' && !live.connected && (
        <Notice tone="bad" title={words.controllerGone} loud>
          {words.controllerGoneText}
        </Notice>
      )}
      <Sums calls={live.calls} />
      <CallsPanel calls={live.calls} now={mono} />
      <div class="columns">
        {seesPools && <PoolsPanel />}
        <ListsPanel armedThere={listsOk} />
      </div>
      <AlarmsPanel turn={live.alarms} />
    </PageFrame>
  );
};

export default NowPage;
