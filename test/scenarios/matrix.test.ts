import t, { type Test } from 'tap';
import { openSite } from '../site/site.js';
import { type Cell, cellsOf, expected, listsOf, type Shown, type Verdict } from './matrix/cells.js';
import { checkAllClean } from './matrix/clean.js';
import { scenarios } from './matrix/others.js';
import { FirstRows, runCell } from './matrix/run-cell.js';
import { follow, inTurns, Stage, unlimited } from './matrix/stage.js';
import { tableOf } from './matrix/table.js';

t.setTimeout(240_000);

const titles = ['call', 'by', 'target', 'decided', 'outcome', 'ending', 'caller', 'called', 'with'];
const row = ({ verdict, manner, target }: Cell, shown: Shown): readonly string[] => [
  verdict,
  manner,
  target,
  shown.decided,
  shown.outcome ?? '-',
  shown.ending,
  shown.callerHeard,
  shown.calledHeard,
  shown.spokeWith,
  shown.pool,
  shown.spool,
];

/** Plays all cells, many at a time, and compares what was seen with what the table of the test says. */
const crossing = async (t: Test, stage: Stage, cells: readonly Cell[], forwardEnds: boolean) => {
  const { site } = stage;
  const rows = new FirstRows(stage);
  const stop = follow(site, (event) => {
    if (event.event === 'other-party') rows.acted(event.callId, event.how);
  });
  const results = await inTurns(8, cells, (cell) => runCell(stage, cell, rows, forwardEnds));
  await stop();
  const table: (readonly string[])[] = [[...titles, 'pool', 'disk']];
  for (const [index, cell] of cells.entries()) {
    const result = results[index];
    if (result === undefined || 'broken' in result) {
      t.fail(cell.name, { broken: result?.broken });
      continue;
    }
    t.same(result.shown, expected(cell, forwardEnds), cell.name);
    if (cell.verdict === 'private') t.same(site.watch.named(result.callId), [], `${cell.name}: no file`);
    table.push(row(cell, result.shown));
  }
  for (const line of tableOf(table)) t.comment(line);
};

t.test('everybody who comes in, by every message, to every kind of call', async (t) => {
  const cells = cellsOf(1000);
  const ofExtra = (kind: number) => Array.from({ length: 60 }, (_, n) => `+1212558${kind}${100 + n}`);
  const extra = { monitored: ofExtra(1), private: ofExtra(2) };
  const hotline = '+12125583000';
  const lists = listsOf(cells, {
    monitored: extra.monitored,
    privileged: {
      ...Object.fromEntries(extra.private.map((one) => [one, 'attorney' as const])),
      [hotline]: 'hotline',
    },
  });
  const site = await openSite(t, { t1Ms: 100, config: unlimited, lists });
  const stage = new Stage(site);
  await t.test('the crossing', (t) => crossing(t, stage, cells, false));

  await t.test('forks, take-overs, new descriptions, chains and loops, late answers', async (t) => {
    const next = { monitored: 0, private: 0 };
    const take = (verdict: Verdict): string => extra[verdict][next[verdict]++] ?? '';
    const plays = (['monitored', 'private'] as const).flatMap((verdict) =>
      scenarios.map((scenario, index) => ({ verdict, scenario, as: `ms${verdict}${index}` })),
    );
    const results = await inTurns(6, plays, async ({ verdict, scenario, as }) => {
      const numbers = {
        own: () => take(verdict),
        other: () => take(verdict === 'monitored' ? 'private' : 'monitored'),
        hotline,
      };
      try {
        const { cdr, remark } = await scenario.play({ t, stage, verdict, numbers, as });
        const { callId, ending, node } = cdr;
        const files = site.watch.named(callId);
        const recorded = cdr.spool?.state === 'recording-finished';
        t.equal(cdr.verdict, verdict, `${verdict}, ${scenario.name}: the verdict stands`);
        t.equal(node, `${verdict === 'private' ? 'private' : 'recorded'}-1`, 'on its own pool');
        if (verdict === 'private') t.same(files, [], `private, ${scenario.name}: no file`);
        else t.equal(recorded, cdr.connectedMs > 0, `monitored, ${scenario.name}: recorded when up`);
        const disk = recorded || files.length > 0 ? (recorded ? 'recording' : 'nothing left') : 'nothing';
        return [verdict, scenario.name, ending, remark, String(node), disk];
      } catch (error) {
        t.fail(`${verdict}, ${scenario.name}`, { broken: String(error).slice(0, 800) });
        return null;
      }
    });
    const table = [['call', 'scenario', 'ending', 'what was seen', 'node', 'disk']];
    for (const line of tableOf([...table, ...results.filter((one) => one !== null)])) t.comment(line);
  });

  await t.test('and nothing is left of any of it', (t) => checkAllClean(t, site));
});

t.test('where the policy ends every forward', async (t) => {
  const cells = cellsOf(
    2000,
    (_, manner, target) =>
      (target === 'unlisted' || target === 'unreadable' || target === 'same') &&
      ['181 + History-Info', 'INVITE + Diversion', 'UPDATE + identity', 'REFER'].includes(manner),
  );
  const site = await openSite(t, {
    t1Ms: 100,
    config: (config) => {
      const open = unlimited(config);
      return { ...open, policy: { ...open.policy, onForward: 'end' } };
    },
    lists: listsOf(cells),
  });
  await crossing(t, new Stage(site), cells, true);
  await t.test('and nothing is left of any of it', (t) => checkAllClean(t, site));
});
