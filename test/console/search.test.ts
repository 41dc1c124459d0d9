import { generateKeyPairSync } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import t from 'tap';
import { axeFaults, numbers, openConsoleSite, overflows, shot } from './console-site.js';

t.setTimeout(600_000);

/** Investigators at work in a browser, on real calls: they find what was monitored, and never what was private. */

const keyFile = join(tmpdir(), `sallyport-exports-${process.pid}.pem`);
await writeFile(
  keyFile,
  generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  { mode: 0o600 },
);
const house = await openConsoleSite(t, {
  config: (config) => ({
    ...config,
    serve: {
      ...config.serve,
      exports: { ...config.serve.exports, keyFile, directory: `${keyFile}.bundles` },
    },
  }),
});
/** A machine that is busy may refuse a call, because the lists did not answer in time: it says to try again. */
const talk = async (number: string): ReturnType<typeof house.converse> => {
  for (let i = 0; i < 8; i += 1) {
    const one = await house.converse(number).catch(() => null);
    if (one !== null) return one;
  }
  throw new Error('no call was connected');
};
const past = async (number: string): Promise<string> => {
  const { call, callId } = await talk(number);
  const before = house.site.endedCalls;
  await call.hangUp();
  await house.site.ended(before + 1);
  return callId;
};
const monitored = await past(numbers.allowed);
const privately = await past(numbers.attorney);
/** Searches again until a number is there: the index follows the journals. */
const until = async (page: Page, number: string): Promise<void> => {
  for (let i = 0; i < 40; i += 1) {
    await page.getByRole('button', { name: 'Search', exact: true }).click();
    const cell = page.getByRole('cell', { name: number }).first();
    const there = await cell.waitFor({ timeout: 500 }).then(
      () => true,
      () => false,
    );
    if (there) return;
  }
  throw new Error('the call was not found');
};
const why = 'case 26-77, threats';

t.test('an investigator finds a call, says something of it, and follows it', async (t) => {
  const page = await house.open('investigator', { path: '/search' });
  await page.getByRole('button', { name: 'Search', exact: true }).click();
  await page.getByText('Say first why you are looking.').waitFor();
  await page.getByLabel('Why you are looking').fill(why);
  await page.getByLabel('Number', { exact: true }).fill('212 555 0142x');
  const search = page.getByRole('button', { name: 'Search', exact: true });
  await search.click();
  await page.getByText('number-malformed', { exact: true }).waitFor();
  await page.getByLabel('Number', { exact: true }).fill('');
  await until(page, numbers.allowed);
  t.equal(await page.getByText(numbers.attorney).count(), 0, 'the monitored call, and not the private one');
  t.equal(await page.locator(`a[href="/search/calls/${privately}"]`).count(), 0);
  t.equal(await page.locator(`a[href="/search/calls/${monitored}"]`).count(), 1);
  t.same(await axeFaults(page), []);
  await shot(page, 'search-calls-light');

  await page.getByLabel('Number', { exact: true }).fill(numbers.attorney);
  await search.click();
  await page.getByText('No call fits.').waitFor();
  await page.getByLabel('Number', { exact: true }).fill(numbers.allowed);
  await search.click();
  await page.getByRole('row').nth(1).waitFor();
  // The form remembers: over a visit elsewhere, and a reload.
  await page.reload();
  await page.getByLabel('Number', { exact: true }).waitFor();
  t.equal(await page.getByLabel('Number', { exact: true }).inputValue(), numbers.allowed);
  t.equal(await page.getByLabel('Why you are looking').inputValue(), why);

  await page.goto(`${house.url}/search/calls/${monitored}`);
  await page.getByRole('heading', { name: 'Notes' }).waitFor();
  await page.getByLabel('New note').fill('names a knife at 0:02\n<b>bold</b>');
  await page.getByRole('button', { name: 'Add the note' }).click();
  await page.getByText('control characters').or(page.getByText('request-malformed')).first().waitFor();
  await page.getByLabel('New note').fill('names a knife at 0:02 <b>bold</b>');
  await page.getByRole('button', { name: 'Add the note' }).click();
  await page.getByRole('listitem').filter({ hasText: '<b>bold</b>' }).waitFor();
  await page.getByRole('combobox', { name: 'Flags' }).selectOption('threat');
  await page.getByLabel('Why', { exact: true }).fill('at 0:02');
  await page.getByRole('button', { name: 'Set the flag' }).click();
  await page.getByRole('cell', { name: 'set', exact: true }).waitFor();
  t.same(await axeFaults(page), []);
  await shot(page, 'search-call-light');

  await page.goto(`${house.url}/search/calls/${privately}`);
  await page.getByText('There is no such thing.').waitFor();
  await page.goto(`${house.url}/search/links`);
  await page.getByLabel('Caller’s id or number').fill('4711');
  await page.getByRole('button', { name: 'Show links' }).click();
  await page.getByRole('img', { name: /Drawing of 1 links of 4711/ }).waitFor();
  t.equal(await page.getByText(numbers.attorney).count(), 0);
  t.same(await axeFaults(page), []);
  await shot(page, 'search-links-light');
  // From the keyboard: the number leads on to its callers.
  await page.getByRole('rowheader').getByRole('button').first().focus();
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: `Callers of ${numbers.allowed}` }).waitFor();
});

t.test('a hot number is watched by two, and a call with it is told at once', async (t) => {
  const page = await house.open('investigator', { path: '/search/hot-numbers' });
  const propose = async (number: string): Promise<void> => {
    await page.getByLabel('Number', { exact: true }).fill(number);
    await page.getByLabel('Reason', { exact: true }).fill('order 26-7');
    await page.getByLabel('Watch until').fill(new Date(Date.now() + 86_400_000).toISOString().slice(0, 16));
    await page.getByRole('button', { name: 'Propose' }).click();
  };
  await propose(numbers.attorney);
  await page.getByText('number-not-watchable', { exact: true }).waitFor();
  await propose(numbers.allowed);
  await page.getByRole('cell', { name: 'waits for another person' }).waitFor();
  t.equal(await page.getByRole('button', { name: 'Agree' }).count(), 0, 'not by who proposed it');
  const other = await house.open('approver', { path: '/search/hot-numbers' });
  await other.getByRole('button', { name: 'Agree' }).click();
  await other.getByRole('cell', { name: 'watched', exact: true }).waitFor();
  await page.reload();
  await page.getByRole('cell', { name: 'watched', exact: true }).waitFor();
  const talking = await talk(numbers.allowed);
  await page.getByText('A watched number was called from north.').waitFor();
  await talking.call.hangUp();
  await page.getByRole('table').first().getByRole('rowheader').waitFor();
  t.same(await axeFaults(page), []);
  await shot(page, 'search-hot-light');
});

t.test('an export passes the gate, and is withheld once counsel is known', async (t) => {
  const page = await house.open('investigator', { path: '/search' });
  await page.getByLabel('Why you are looking').fill(why);
  await until(page, numbers.allowed);
  await page.getByRole('checkbox', { name: new RegExp(monitored) }).check();
  await page.getByRole('button', { name: /Export 1 picked/ }).click();
  await page.getByLabel('Case reference').fill('26-77');
  await page.getByRole('button', { name: 'Go on' }).click();
  await page.getByLabel('I may have these calls for this case.').check();
  await shot(page, 'search-export-confirm');
  await page.getByRole('button', { name: 'Export', exact: true }).click();
  await page.getByText('1 exported, 0 withheld').waitFor();
  t.same(await axeFaults(page), []);
  await shot(page, 'search-exports-light');
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('button', { name: 'Download the bundle' }).click(),
  ]);
  t.match(download.suggestedFilename(), /^x\d{14}-[0-9a-f]{8}\.tar$/);

  await house.registry.propose('registrar', 'letter on file', [
    {
      ...{ op: 'privileged-add', class: 'attorney', evidence: 'bar no. 9', note: '' },
      ...{ target: { form: 'number', number: numbers.allowed }, effectiveFrom: '2026-01-01T00:00:00Z' },
    },
  ]);
  await page.getByRole('button', { name: 'Download the bundle' }).click();
  await page.getByText('export-refused', { exact: true }).waitFor();
  await page.goto(`${house.url}/search/calls`);
  await page.getByRole('button', { name: 'Search', exact: true }).click();
  await page.getByText('No call fits.').waitFor();
});

t.test('an auditor sees who looked; and it reads well in every light and width', async (t) => {
  const log = await house.open('auditor', { path: '/search/log' });
  await log.getByText(why).first().waitFor();
  t.same(await axeFaults(log), []);
  await shot(log, 'search-log-light');
  const page = await house.open('investigator', {
    path: '/search',
    scheme: 'dark',
    width: 400,
    language: 'es',
  });
  await page.getByLabel('Por qué busca').fill('caso 26-77');
  await page.getByRole('button', { name: 'Más condiciones' }).click();
  await page.getByRole('button', { name: 'Buscar', exact: true }).click();
  await page.getByText('Ninguna llamada encaja').waitFor();
  for (const view of ['calls', 'links', 'hot-numbers', 'exports']) {
    await page.goto(`${house.url}/search/${view}`);
    await page.getByRole('tabpanel').waitFor();
    t.notOk(await overflows(page), `${view} at 400`);
    t.same(await axeFaults(page), [], view);
    await shot(page, `search-${view}-dark-400`);
  }
});
