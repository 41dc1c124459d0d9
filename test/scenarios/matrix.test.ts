import t from 'tap';
import { checkNothingLeft } from '../site/left-over.js';
import { openSite } from '../site/site.js';
import { cellsOf, expected, isUp, listsOf, type Shown } from './matrix/cells.js';
import { FirstRows, runCell } from './matrix/run-cell.js';
import { follow, inTurns, Stage, unlimited } from './matrix/stage.js';
import { tableOf } from './matrix/table.js';

t.setTimeout(240_000);

const row = (name: string, shown: Shown): readonly string[] => [
  ...name.split(', '),
  shown.decided,
  shown.outcome ?? '-',
  shown.ending,
  shown.callerHeard,
  shown.calledHeard,
  shown.spokeWith,
  shown.pool,
  shown.spool,
];
const titles = ['call', 'by', 'target', 'decided', 'outcome', 'ending', 'caller hears', 'called hears'];

t.test('everybody who comes in, by every message, to every kind of call', async (t) => {
  const cells = cellsOf(1000);
  const site = await openSite(t, { t1Ms: 100, config: unlimited, lists: listsOf(cells) });
  const stage = new Stage(site);
  const rows = new FirstRows(stage);
  const stop = follow(site, (event) => {
    if (event.event === 'other-party') rows.acted(event.callId, event.how);
  });
  const only = process.env.MATRIX_ONLY;
  const chosen = only === undefined ? cells : cells.filter(({ name }) => name.includes(only));
  const results = await inTurns(8, chosen, (cell) => runCell(stage, cell, rows));
  await stop();
  const table: (readonly string[])[] = [[...titles, 'with', 'pool', 'disk']];
  for (const [index, cell] of chosen.entries()) {
    const result = results[index];
    if (result === undefined || 'broken' in result) {
      t.fail(cell.name, { broken: result?.broken });
      continue;
    }
    t.same(result.shown, expected(cell), cell.name);
    if (cell.verdict === 'private') t.same(site.watch.named(result.callId), [], `${cell.name}: no file`);
    table.push(row(cell.name, result.shown));
  }
  t.ok(chosen.some(({ manner }) => isUp(manner)));
  for (const line of tableOf(table)) t.comment(line);
  await t.test('and nothing is left of any of it', (t) => checkNothingLeft(t, site));
});
