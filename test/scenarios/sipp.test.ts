import t from 'tap';
import { checkNothingLeft } from '../site/left-over.js';
import { runScenario } from './runner/run-scenario.js';
import { readScenarios } from './runner/scenario-file.js';
import { openScenarioSite } from './runner/scenario-site.js';

const wanted = process.env.SCENARIO;

t.setTimeout(180_000);

t.test('scenarios played by sipp on both sides', async (t) => {
  const { site, carriers } = await openScenarioSite(t);
  for (const scenario of readScenarios()) {
    if (wanted !== undefined && !scenario.name.includes(wanted)) continue;
    const row = scenario.row === '' ? '' : ` (${scenario.row})`;
    await t.test(`${scenario.name}${row}: ${scenario.Summary}`, (t) =>
      runScenario(t, scenario, site, carriers),
    );
  }
  await t.test('and nothing is left of any of them', (t) => checkNothingLeft(t, site));
});
