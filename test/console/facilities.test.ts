import t from 'tap';
import { lookFaults, openConsoleSite } from './console-site.js';

/** Who acts for one jail sees which one, has nothing to choose, and finds nothing of another. */

t.setTimeout(600_000);
const house = await openConsoleSite(t);
await house.registry.propose('registrar', 'another jail', [
  { op: 'facility-put', facility: 'far', name: 'Faraway Prison', timeZone: 'UTC' },
  { op: 'block-add', number: '+13105550177', cause: 'facility', note: 'Faraway block', facility: 'far' },
]);
const people = { olga: 'operator', aida: 'auditor', rosa: 'registrar', nina: 'registrar' } as const;
for (const [name, role] of Object.entries(people))
  await house.accounts.add({
    ...{ name, roles: [role], by: 'test', secrets: null },
    facilities: name === 'nina' ? [] : ['north'],
  });

t.test('of one jail', async (t) => {
  const page = await house.open('olga', { path: '/lockdown' });
  await page.locator('.acts-for', { hasText: 'North County Jail (north)' }).waitFor();
  const nav = await page.locator('#navigation a').allTextContents();
  t.notOk(nav.includes('System'), 'what is of the whole system is no page of theirs');
  await page.locator('.field-one', { hasText: 'North County Jail' }).waitFor();
  t.equal(await page.getByLabel('Facility', { exact: true }).count(), 0, 'nothing to choose');
  t.notMatch(await page.locator('main').textContent(), /Faraway|Everything/);
  t.same(await lookFaults(page, 'facility-lockdown'), []);
  await page.goto(`${house.url}/now`);
  await page.locator('main h1').waitFor();
  await page.getByText('armed').first().waitFor();
  t.notMatch(await page.locator('main').textContent(), /Faraway|not-allowed/);
  t.same(await lookFaults(page, 'facility-now'), []);
});

t.test('its lists and its statement', async (t) => {
  const page = await house.open('rosa', { path: '/lists/new?op=block-add' });
  await page.locator('.field-one', { hasText: 'North County Jail' }).waitFor();
  await page.getByLabel('Numbers').fill('+12125550188');
  await page.getByLabel('Note').fill('asked for by staff');
  await page.getByLabel('Reason').fill('a letter');
  t.same(await lookFaults(page, 'facility-new'), []);
  await page.getByRole('button', { name: 'Check' }).click();
  await page.locator('.lists-preview').waitFor();
  t.match(await page.locator('.lists-preview').textContent(), /north/, 'it is of their jail');
  await page.goto(`${house.url}/lists`);
  await page.getByRole('tab').first().waitFor();
  t.notMatch((await page.getByRole('tab').allTextContents()).join(), /Publications/);
  const statement = await house.open('aida', { path: '/statement' });
  const pick = statement.getByLabel('Facility');
  await pick.locator('option').first().waitFor({ state: 'attached' });
  t.same(await pick.locator('option').allTextContents(), ['North County Jail']);
});

t.test('of all of them, and of none', async (t) => {
  const page = await house.open('operator', { path: '/lockdown' });
  await page.locator('.acts-for', { hasText: 'All facilities' }).waitFor();
  t.match(await page.getByLabel('Facility', { exact: true }).locator('option').allTextContents(), {
    length: 2,
  });
  const none = await house.visit({ path: await house.link('nina') });
  await none.locator('.acts-for', { hasText: 'No facility' }).waitFor();
  await none.locator('main h1').waitFor();
  t.same(await none.locator('#navigation a').allTextContents(), ['Your account']);
  t.same(await lookFaults(none, 'facility-none'), []);
});
