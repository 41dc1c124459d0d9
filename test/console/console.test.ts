import type { Page } from 'playwright-core';
import t from 'tap';
import { access, mayUse } from '../../src/http/access.js';
import { roles } from '../../src/http/roles.js';
import { stepOf, totpAt } from '../../src/http/totp.js';
import { until } from '../lists/redis-server.js';
import { lookFaults, numbers, openConsoleSite, password, totpSecret } from './console-site.js';

/** The shell, and the pages that ask rather than watch: signing in, Why, the account. */

t.setTimeout(600_000);
const house = await openConsoleSite(t);

const nav = (page: Page): Promise<string[]> => page.locator('#navigation a').allTextContents();

t.test('signing in', async (t) => {
  const page = await house.visit({ path: '/system' });
  await page.locator('h1').waitFor();
  t.same(await lookFaults(page, 'sign-in'), []);
  t.equal(await page.locator('a[href="/v1/session/oidc"]').count(), 0, 'no provider is configured here');
  const enter = page.getByRole('button', { name: 'Sign in' });
  await enter.click();
  t.equal(await page.getByText('This is needed.').count(), 2, 'what is missing is said beside it');
  await page.getByLabel('Name').fill('operator');
  await page.getByLabel('Password').fill('wrong horse');
  await enter.click();
  await page.getByText('credentials-wrong').waitFor();
  await page.getByLabel('Password').fill(password);
  await enter.click();
  await page.getByText('The code of the second factor is needed.').waitFor();
  await page.getByLabel('Code').fill(totpAt(totpSecret, stepOf(Date.now())));
  await enter.click();
  await page.locator('h1', { hasText: 'System' }).waitFor();
  t.match(page.url(), /\/system$/, 'one goes on where one wanted to');
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByLabel('Password').waitFor();
  await page.reload();
  await page.getByLabel('Password').waitFor();

  const link = await house.link('auditor');
  const first = await house.visit({ path: link });
  await first.locator('.house').waitFor();
  t.notMatch(first.url(), /link=/, 'the secret is out of the address');
  const second = await house.visit({ path: link });
  await second.getByText('The link did not work').waitFor();
});

t.test('the browser is told to take nothing from elsewhere', async (t) => {
  const index = await fetch(`${house.url}/now`);
  t.equal(index.headers.get('cache-control'), 'no-store');
  const policy = index.headers.get('content-security-policy') ?? '';
  t.match(policy, /script-src 'self';/);
  t.match(policy, /style-src 'self'[;$]/);
  const html = await index.text();
  const script = /src="(\/assets\/[^"]+\.js)"/.exec(html)?.[1] ?? '';
  const asset = await fetch(`${house.url}${script}`);
  t.match(asset.headers.get('cache-control'), /immutable/);
  t.match(asset.headers.get('content-type'), /javascript/);
  for (const path of [
    '/assets/none.js',
    '/assets/..%2f..%2fpackage.json',
    '/v1',
    '/v1/none',
    '/package.json',
  ])
    t.equal((await fetch(`${house.url}${path}`)).status, 404, path);
  t.equal((await fetch(`${house.url}/now`, { method: 'POST' })).status, 404);
});

t.test('who sees which pages', async (t) => {
  const needs: Readonly<Record<string, string>> = {
    Now: 'GET /v1/calls/live',
    Lockdown: 'GET /v1/orders',
    Why: 'POST /v1/explain',
    System: 'GET /v1/nodes',
  };
  for (const role of roles) {
    const page = await house.open(role, role === 'admin' ? { path: '/account' } : {});
    const seen = await nav(page);
    const who = { kind: 'person', name: role, roles: [role], session: '', facilities: 'all' } as const;
    for (const [title, route] of Object.entries(needs)) {
      t.ok(Object.hasOwn(access, route));
      t.equal(seen.includes(title), mayUse(route, who) === 'let-in', `${role} and ${title}`);
    }
    const hidden = Object.keys(needs).find((title) => !seen.includes(title));
    if (hidden !== undefined) {
      await page.goto(`${house.url}/${hidden.toLowerCase()}`);
      await page.locator('h1', { hasText: 'There is no such page' }).waitFor();
    }
    await page.context().close();
  }
});

t.test('the shell', async (t) => {
  const page = await house.open('auditor', { path: '/why' });
  await page.keyboard.press('Tab');
  t.equal(await page.evaluate('document.activeElement.textContent'), 'Skip to the content');
  await page.keyboard.press('Enter');
  t.equal(await page.evaluate('document.activeElement.id'), 'content');
  await page.getByRole('button', { name: 'Español' }).click();
  await page.locator('h1', { hasText: 'Por qué' }).waitFor();
  t.equal(await page.evaluate('document.documentElement.lang'), 'es');
  await page.reload();
  await page.locator('h1', { hasText: 'Por qué' }).waitFor();
  await page.getByRole('button', { name: 'English' }).click();
  const ground = (): Promise<unknown> =>
    page.evaluate('getComputedStyle(document.documentElement).backgroundColor');
  const light = await ground();
  await page.getByRole('button', { name: /^Appearance/ }).click();
  await page.getByRole('button', { name: 'Appearance: Light' }).click();
  await page.getByRole('button', { name: 'Appearance: Dark' }).waitFor();
  t.not(await ground(), light);
  await page.getByRole('link', { name: 'System' }).click();
  await page.locator('h1', { hasText: 'System' }).waitFor();
  await page.goBack();
  await page.locator('h1', { hasText: 'Why' }).waitFor();
  await page.getByText('All parts work').waitFor();

  const narrow = await house.open('auditor', { path: '/why', width: 400, height: 800 });
  t.notOk(await narrow.locator('#navigation').isVisible());
  await narrow.getByRole('button', { name: 'Menu' }).click();
  await narrow.getByRole('link', { name: 'System' }).click();
  await narrow.locator('h1', { hasText: 'System' }).waitFor();
  // Once the page has been drawn: an effect of its own closes it.
  await narrow.locator('#navigation').waitFor({ state: 'hidden' });
  t.pass('it closes behind whoever went');
});

t.test('a session that is not used is warned of, kept by a word, and else taken down', async (t) => {
  const page = await house.open('auditor');
  await page.clock.install();
  const asked = new Set<unknown>();
  page.on('request', (one) => asked.add(one));
  page.on('requestfinished', (one) => asked.delete(one));
  page.on('requestfailed', (one) => asked.delete(one));
  await page.goto(`${house.url}/why`);
  await page.locator('h1', { hasText: 'Why' }).waitFor();
  await page.getByText('All parts work').waitFor();
  // An answer that comes after the clock was put forward would be a use of the session at that time.
  await until('all that the page asked is answered', () => asked.size === 0);
  const dialog = page.getByRole('dialog', { name: 'Are you still there?' });
  await page.clock.fastForward(800_000);
  t.equal(await dialog.count(), 0, 'not before its last minute');
  await page.clock.fastForward(50_000);
  await dialog.waitFor();
  t.same(await lookFaults(page, 'idle'), []);
  await dialog.getByRole('button', { name: 'Stay' }).click();
  await dialog.waitFor({ state: 'detached' });
  await page.clock.fastForward(850_000);
  await dialog.waitFor();
  await page.clock.fastForward(60_000);
  await page.getByText('Your session is over').waitFor();
  t.equal(await page.locator('.house').count(), 0);
  await page.context().close();
});

t.test('a session that ends takes the page with it', async (t) => {
  const page = await house.open('counsel', { path: '/why' });
  await page.getByLabel('Number').fill(numbers.attorney);
  await page.context().clearCookies();
  await page.getByLabel('Caller').fill('4711');
  await page.getByRole('button', { name: 'Show the decision' }).click();
  await page.getByText('Your session is over').waitFor();
  t.equal(
    await page.getByText(numbers.attorney).count(),
    0,
    'what it showed is not there for who comes next',
  );
  t.equal(
    await page.evaluate(`[...document.querySelectorAll('input')].map((one) => one.value).join('')`),
    '',
  );
});

const ask = async (page: Page, number: string, caller = '4711'): Promise<void> => {
  await page.getByLabel('Number').fill(number);
  await page.getByLabel('Caller').fill(caller);
  await page.getByRole('button', { name: 'Show the decision' }).click();
};

t.test('why a call would be decided so', async (t) => {
  const page = await house.open('registrar', { path: '/why' });
  const decides = page.locator('.why-decides');
  await ask(page, '(212) 555-0111');
  await decides.waitFor();
  t.match(await decides.textContent(), /^3.*privileged/, 'the row that decides');
  t.equal(await page.locator('.why-no').count(), 2);
  t.equal(await page.locator('.why-not-asked').count(), 7);
  t.equal(await page.locator('.why-verdict .badge').first().textContent(), 'Private');
  await page.getByText('The number is on the privileged list and in force.').waitFor();
  await page
    .getByText(/attorney, by number, global/)
    .first()
    .waitFor();
  t.equal(await page.locator('.why-answer code', { hasText: numbers.attorney }).count(), 1);
  t.same(await lookFaults(page, 'why'), []);
  await page.getByRole('button', { name: 'Español' }).click();
  await page.getByText('El número está en la lista de protegidos y en vigor.').waitFor();
  t.same(await lookFaults(page, 'why-es'), []);
  await page.getByRole('button', { name: 'English' }).click();
  await ask(page, numbers.allowed);
  await page.locator('.why-verdict .badge', { hasText: 'Monitored' }).waitFor();
  t.match(await decides.textContent(), /^10/);
  await ask(page, numbers.unlisted);
  await page.locator('.why-verdict .badge', { hasText: 'Refused' }).waitFor();
  t.match(await decides.textContent(), /^8/);
  await ask(page, 'not a number');
  await page
    .getByText('The number is not a number')
    .or(page.getByText('number-unparseable'))
    .first()
    .waitFor();
  await page.getByLabel('Caller').fill('no body!');
  await page.getByRole('button', { name: 'Show the decision' }).click();
  await page.getByText('request-malformed').waitFor();
});

t.test('an account’s own password', async (t) => {
  const page = await house.open('investigator', { path: '/account' });
  t.same(await lookFaults(page, 'account'), []);
  const wanted = 'another battery, much longer';
  await page.getByLabel('Password of now').fill(password);
  await page.getByLabel('New password', { exact: true }).fill(wanted);
  await page.getByLabel('New password, once more').fill('something else');
  await page.getByRole('button', { name: 'Change it' }).click();
  await page.getByText('The two are not the same.').waitFor();
  await page.getByLabel('New password, once more').fill(wanted);
  await page.getByRole('button', { name: 'Change it' }).click();
  await page.getByText('The password is changed.').waitFor();
  const anew = await house.visit();
  await anew.getByLabel('Name').fill('investigator');
  await anew.getByLabel('Password').fill(wanted);
  await anew.getByRole('button', { name: 'Sign in' }).click();
  await anew.locator('.house').waitFor();
});
