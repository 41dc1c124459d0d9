import type { Locator, Page } from 'playwright-core';
import t, { type Test } from 'tap';
import { until } from '../lists/redis-server.js';
import { hangUp } from '../site/conversation.js';
import { axeFaults, numbers, openConsoleSite, overflows, shot } from './console-site.js';

t.setTimeout(600_000);

/** The console's lists, by the people who keep them, on a real site with real calls. */

const house = await openConsoleSite(t, {
  ops: [
    { op: 'unit-put', facility: 'north', unit: 'b', name: 'Unit B' },
    ...Array.from({ length: 120 }, (_, at) => ({
      ...{ op: 'privileged-add', class: 'court', evidence: `order ${at}`, note: '' },
      target: { form: 'number', number: `+1646555${String(3000 + at * 7)}` },
    })),
  ],
});

const heading = async (page: Page, text: string | RegExp): Promise<void> => {
  await page.locator('main h1', { hasText: text }).waitFor();
};
const named = (page: Page, name: string | RegExp): Locator => page.getByRole('button', { name });
const panel = (page: Page, title: string | RegExp): Locator =>
  page.locator('section.panel', { has: page.getByRole('heading', { name: title }) });

/** Views that are looked at for faults in the dark; the others in the light. */
const dark: ReadonlySet<string> = new Set(['record', 'faults', 'proposal', 'approve']);

/** A picture in each colour and width, and what may be wrong with it. */
const looked = async (t: Test, page: Page, name: string): Promise<void> => {
  for (const [scheme, width] of [
    ['light', 1280],
    ['dark', 1280],
    ['light', 400],
  ] as const) {
    await page.setViewportSize({ width, height: 900 });
    await page.emulateMedia({ colorScheme: scheme });
    if (scheme === 'dark' && !dark.has(name)) continue;
    await shot(page, `lists-${name}-${scheme}-${width}`);
    t.notOk(await overflows(page), `${name} fits ${width}`);
    if (scheme === (dark.has(name) ? 'dark' : 'light') && width === 1280)
      t.same(await axeFaults(page), [], `${name} in ${scheme}`);
  }
  await page.setViewportSize({ width: 1280, height: 900 });
  await page.emulateMedia({ colorScheme: 'light' });
};

t.test('looking for entries, and at one with its history', async (t) => {
  const page = await house.open('auditor', { path: '/lists' });
  await heading(page, 'Lists');
  await page.getByText(/50 of 122/).waitFor();
  t.equal(await page.locator('tbody tr').count(), 50, 'never all of them');
  await named(page, 'Show more').click();
  await page.getByText(/100 of 122/).waitFor();
  t.equal(await named(page, 'Propose a change').count(), 0, 'an auditor changes nothing');

  await page.getByRole('searchbox').fill('(212) 555-0111');
  await page.keyboard.press('Enter');
  await page.getByText(`What stands about ${numbers.attorney}`).waitFor();
  await page.getByText('It is privileged: calls to it cannot be recorded.').waitFor();
  await page.getByText(/1 of 1/).waitFor();
  await looked(t, page, 'search');
  t.notMatch(page.url(), /555/, 'no number stands in an address');
  await page.getByRole('rowheader').getByRole('link', { name: numbers.attorney }).click();
  await heading(page, numbers.attorney);
  const history = panel(page, 'History');
  await history.getByText('the lists of this site').waitFor();
  await history.getByText(/agreed to by approver/).waitFor();
  await history.getByText(/live since publication \d+/).waitFor();
  await looked(t, page, 'record');
  await history.getByRole('link', { name: /live since publication/ }).click();
  await heading(page, /Publication \d+/);
  await page.getByText('Changes that went live with it').waitFor();
  await page.goBack();
  await page.goBack();
  await page.getByText(`What stands about ${numbers.attorney}`).waitFor();

  await page.getByLabel('List', { exact: true }).selectOption('places');
  await page.getByRole('searchbox').fill('dayroom');
  await page.keyboard.press('Enter');
  await page.getByText('north / a / a-1').waitFor();
  await page.getByLabel('List', { exact: true }).selectOption('callers');
  await page.getByRole('searchbox').fill('47');
  await page.keyboard.press('Enter');
  await page.getByRole('link', { name: '4711' }).click();
  await page.getByText('north / a').waitFor();
  await page.getByText('2 allowed numbers').waitFor();
  await page.getByRole('button', { name: 'Show them' }).click();
  await page.getByText(/2 of 2/).waitFor();
  await page.getByRole('tab', { name: 'Publications' }).click();
  await page.getByRole('columnheader', { name: 'Published' }).waitFor();
  await page.locator('tbody tr').first().waitFor();
  const investigator = await house.open('investigator', { path: '/lists' });
  t.equal(await investigator.getByRole('tab').count(), 0, 'no list is there for an investigator');
});

t.test('a registrar protects a number: at once, and for the next call', async (t) => {
  await house.pastCalls();
  const page = await house.open('registrar', { path: '/lists' });
  await named(page, 'Propose a change').click();
  await heading(page, 'Propose a change');

  await page.getByLabel('Numbers').fill(`${numbers.allowed}\ncall me maybe`);
  await page.getByLabel('Protects from').fill('2026-03-01T00:00');
  await page.getByLabel('Protects until').fill('2026-02-01T00:00');
  await named(page, 'Check').click();
  await page.getByText('Line 2: The number cannot be read without guessing.').waitFor();
  await page.getByText('This is needed.').first().waitFor();
  t.match(await page.locator('.notice-code').textContent(), /number-malformed/);
  t.match(await page.locator('.notice-code').textContent(), /field-missing/);
  t.equal(
    await page.evaluate(`document.activeElement.getAttribute('aria-invalid')`),
    'true',
    'one stands in the first of them',
  );
  await looked(t, page, 'faults');

  await page.getByLabel('Numbers').fill('(212) 555-0142');
  await page.getByLabel('Evidence').fill('letter of 20 November, bar no. 77');
  await page.getByLabel('Protects from').fill('');
  await page.getByLabel('Protects until').fill('');
  await named(page, /^Check/).click();
  await page.getByText('This is what would change').waitFor();
  await page.getByText(`Calls to ${numbers.allowed} become private: they cannot be recorded.`).waitFor();
  await page.getByText('Look twice: on the list there is already').waitFor();
  await named(page, 'Do it now').click();
  t.equal(await page.getByText('It is done.').count(), 0, 'not without a reason');
  await page.getByLabel('Reason').fill('retained; letter on file');
  await named(page, 'Look back').click();
  await page.getByText('Recorded as things stand, the recording would be FORBIDDEN').first().waitFor();
  const tile = page.locator('.lists-tile', { hasText: 'Recordings that were made of them' });
  t.match(await tile.textContent(), /1/, 'the recording that was made just now');
  await looked(t, page, 'preview');
  await named(page, 'Do it now').click();
  await heading(page, /^Protect a number/);
  await page.getByText('Nobody else: it is done at once').waitFor();
  await page.locator('.badge', { hasText: 'Done' }).waitFor();
  await house.desk.turn();
  const isPrivate = async (): Promise<boolean> => {
    const cdr = await hangUp(house.site, await house.converse(numbers.allowed));
    return cdr.verdict === 'private';
  };
  await until('the controller has the new lists, and the next call is private', isPrivate, 60_000);
});

t.test('its removal needs two others who saw what it does, and then time', async (t) => {
  const registrar = await house.open('registrar', { path: '/lists' });
  await registrar.getByRole('searchbox').fill(numbers.allowed);
  await registrar.keyboard.press('Enter');
  await registrar.getByRole('rowheader').getByRole('link', { name: numbers.allowed }).click();
  await named(registrar, /End its protection/).click();
  await registrar.getByLabel('Reason').fill('no longer retained');
  await named(registrar, 'Check').click();
  await registrar.getByText(/ENDS: calls to it can be recorded then/).waitFor();
  await registrar.getByText('2 other people').waitFor();
  await named(registrar, 'Propose it').click();
  await heading(registrar, /^End the protection/);
  t.equal(await named(registrar, /^Approve/).count(), 0, 'nobody approves their own');
  await named(registrar, /^Withdraw/).waitFor();
  const id = registrar.url().split('/').at(-1) ?? '';

  const page = await house.open('approver', { path: '/lists?tab=proposals' });
  await page.getByRole('link', { name: /End the protection of a number/ }).waitFor();
  await page.getByText('You may approve it').waitFor();
  await looked(t, page, 'proposals');
  await page.getByRole('link', { name: /End the protection of a number/ }).click();
  await heading(page, /^End the protection/);
  await page.getByText('Private as things stand, WOULD BE RECORDED').first().waitFor();
  await page.getByText('It is on one list of allowed numbers').waitFor();
  await looked(t, page, 'proposal');
  await named(page, /^Approve/).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByText(/ENDS: calls to it can be recorded then/).waitFor();
  await dialog.getByText(/One more person has to agree after you. Then follow 1 day/).waitFor();
  await looked(t, page, 'approve');
  const go = dialog.getByRole('button', { name: 'Approve' });
  t.equal(await go.getAttribute('aria-disabled'), 'true', 'not before it was read');
  await dialog.getByLabel('I have read what changes, and I mean it.').check();
  // Somebody else says a word in between: what was looked at is not what stands.
  await house.registry.say('second-approver', id, 'approve', 'seen');
  await go.click();
  await dialog.getByText('version-moved').waitFor();
  await dialog.getByRole('button', { name: 'Cancel' }).click();
  await page.reload();
  await named(page, /^Approve/).click();
  await dialog.getByText(/1 day after your approval/).waitFor();
  await dialog.getByLabel('I have read what changes, and I mean it.').check();
  await go.click();
  await page.getByText(/23 hours, 59 minutes, \d+ seconds/).waitFor();
  await page.getByText('Agreed, waits for its time').waitFor();
  t.equal(await named(page, /^Approve/).count(), 0);
  await looked(t, page, 'waiting');

  await named(page, /^Reject/).click();
  await dialog.getByLabel('Nothing of it shall be done.').check();
  await dialog.getByRole('button', { name: 'Reject' }).click();
  await dialog.getByText('Give a reason: it is kept for ever.').waitFor();
  await dialog.getByLabel('Why').fill('they are retained again');
  await dialog.getByRole('button', { name: 'Reject' }).click();
  await page.locator('.badge', { hasText: 'Rejected' }).waitFor();
  await registrar.reload();
  await registrar.getByText('they are retained again').waitFor();
  t.equal(await named(registrar, /^Withdraw/).count(), 0, 'it is over');
});

t.test('a look back by a beginning and by a caller, and one that is about nothing', async (t) => {
  const page = await house.open('auditor', { path: '/lists' });
  const session = (await (await page.request.get(`${house.url}/v1/session`)).json()) as {
    readonly csrf: string;
  };
  const headers = { 'x-sallyport-csrf': session.csrf };
  interface Looked {
    readonly state: string;
    readonly found: {
      readonly decisions: number;
      readonly touched: number;
      readonly counts: Readonly<Record<string, number>>;
    } | null;
  }
  const look = async (...ops: object[]): Promise<NonNullable<Looked['found']>> => {
    const begun = await page.request.post(`${house.url}/v1/what-if`, { headers, data: { ops, days: 1 } });
    const { id } = (await begun.json()) as { readonly id: string };
    const last: { now: Looked } = { now: { state: '', found: null } };
    const ended = async (): Promise<boolean> => {
      last.now = (await (await page.request.get(`${house.url}/v1/what-if/${id}`)).json()) as Looked;
      // Asked now and then: whoever asks all the time is what it waits for.
      await page.waitForTimeout(100);
      return last.now.state !== 'running' && last.now.state !== 'waiting';
    };
    await until('it is done', ended, 60_000);
    if (last.now.found === null) throw new Error(`it ended as ${JSON.stringify(last.now)}`);
    return last.now.found;
  };
  const court = { op: 'privileged-add', class: 'court', evidence: 'x' };
  const all = await look({ ...court, target: { form: 'prefix', prefix: '+1212555*' } });
  t.ok(all.decisions >= 4);
  t.equal(all.touched, all.decisions, 'a beginning that all of them have');
  t.ok((all.counts['now-private'] ?? 0) >= 1, 'a call to a number on no list would have been private');
  const none = await look({ ...court, target: { form: 'range', range: '+12125559000-+12125559009' } });
  t.match(none, { decisions: all.decisions, touched: 0 });
  const gone = await look({ op: 'booking-close', caller: '4711' });
  t.equal(gone.touched, all.decisions, 'every call was theirs');
  t.equal(gone.counts['private-unprotected'], 0, 'no protection hangs on where somebody is booked');
});

t.test('in Spanish, and by keyboard alone', async (t) => {
  const page = await house.open('registrar', { path: '/lists/new?op=block-add', language: 'es', width: 400 });
  await heading(page, 'Proponer un cambio');
  await page.getByLabel('Números').focus();
  await page.keyboard.type(numbers.unlisted);
  await page.keyboard.press('Tab');
  await page.keyboard.press('Tab');
  await page.keyboard.type('pedido por la oficina');
  await page.getByLabel('Motivo').focus();
  await page.keyboard.type('orden 12');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await page.getByText('Esto es lo que cambiaría').waitFor();
  await page.getByText(`Las llamadas a ${numbers.unlisted} se rechazan.`).waitFor();
  t.notOk(await overflows(page));
  t.same(await axeFaults(page), []);
  await shot(page, 'lists-es-400');
});
