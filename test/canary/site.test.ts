import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { checkNothingLeft } from '../site/left-over.js';
import { allPassed, canaryNumbers, openCanarySite, setOf } from './canary-site.js';

t.test('all three test calls pass, and leave the journal and the vault as they must', async (t) => {
  const site = await openCanarySite(t);
  const { outcomes, ids, recording } = await setOf(site, 1);
  t.same(outcomes, allPassed);
  t.equal(recording, 'armed');
  await checkNothingLeft(t, site);
  const rows = await site.rows({ kinds: ['canary'] });
  t.match(
    rows.map(({ body }) => body),
    [
      { facility: 'north', kind: 'privileged', measured: { disk: { state: 'clean' } } },
      { kind: 'monitored', measured: { recording: { state: 'heard', channels: 2 } } },
      { kind: 'unlisted', measured: { rung: 0, decided: { reason: 'not-allowed' } } },
    ],
  );
  t.same(
    site.watch.named(ids.privileged ?? '').filter((file) => !file.includes('/journal/')),
    [],
  );
  t.equal((await site.cdr(ids.monitored ?? '')).trunk, 'canary.north');
  t.equal(site.called.invites.length, 0, 'no real carrier heard of them');
  const manifest = site.watch
    .named(`${ids.monitored}.json`)
    .find((file) => file.endsWith(`/${ids.monitored}.json`));
  const { canary, keys } = JSON.parse(readFileSync(manifest ?? '', 'utf8'));
  t.equal(canary, true);
  t.match(keys.at(-1), { id: 'canary', role: 'canary' });
  const files = readdirSync(site.dir, { recursive: true, withFileTypes: true }).filter((one) => one.isFile());
  const secret = files.filter((one) =>
    /AGE-SECRET/.test(readFileSync(join(one.parentPath, one.name), 'latin1')),
  );
  t.same(
    secret.map(({ name }) => name).sort(),
    ['DEMO-ONLY-escrow.identity.txt', 'DEMO-ONLY-facility.identity.txt'],
    'no key of ours is on the disk',
  );
  t.ok(canaryNumbers);
});

t.test(
  'where the conversation is held here, the called phone accepts once it hears that it is asked',
  async (t) => {
    const site = await openCanarySite(t, { conversation: 'here', prompts: 'short' });
    const { outcomes, ids } = await setOf(site, 1);
    t.same(outcomes, allPassed);
    const { conversation } = await site.cdr(ids.monitored ?? '');
    t.equal(conversation.held, 'here');
    t.match(JSON.stringify(conversation.course), /menu-recorded/);
  },
);
