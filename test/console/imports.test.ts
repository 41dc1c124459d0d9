import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import t, { type Test } from 'tap';
import { axeFaults, type OpenOptions, openConsoleSite, overflows, shot } from './console-site.js';

t.setTimeout(600_000);

/** A feed into the lists, as the people of a real site do it in a browser. */

const house = await openConsoleSite(t);
const dir = await mkdtemp(join(tmpdir(), 'sallyport-imports-page-'));
t.teardown(() => rm(dir, { recursive: true, force: true }));

const looks = [
  { name: 'light', width: 1280, scheme: 'light' },
  { name: 'dark', width: 1280, scheme: 'dark' },
  { name: 'narrow', width: 400, height: 800, scheme: 'light' },
  { name: 'narrow-dark-es', width: 400, height: 800, scheme: 'dark', language: 'es' },
] as const satisfies readonly (OpenOptions & { readonly name: string })[];
const looked = async (t: Test, name: string, path: string, ready: string): Promise<void> => {
  // Counsel sees what a registrar sees; of anybody’s sessions only the newest eight stand.
  for (const { name: look, ...how } of name === 'list' ? looks : [looks[0], looks[3]]) {
    const page = await house.open('counsel', { ...how, path });
    await page.locator(ready).first().waitFor();
    t.same(await axeFaults(page), [], `${name} ${look}: axe`);
    t.notOk(await overflows(page), `${name} ${look}: fits`);
    await shot(page, `imports-${name}-${look}`);
    await page.close();
  }
};

const feed = (numbers: readonly number[]): string =>
  `Line,Class,Evidence,Floor\n${numbers.map((n) => `+1646555${n},PD,letter ${n},3\n`).join('')}`;
const numbers = Array.from({ length: 30 }, (_, at) => 2000 + at * 100);

const send = async (page: Page, name: string, text: string): Promise<string> => {
  const file = join(dir, name);
  await writeFile(file, text);
  await page.goto(`${house.url}/imports`);
  await page.getByLabel('Source').fill('county-pd');
  await page.getByLabel('How it is written').selectOption('public-defender');
  await page.getByLabel('File', { exact: true }).setInputFiles(file);
  await page.getByRole('button', { name: 'Send and read' }).click();
  await page.locator('h1', { hasText: 'county-pd' }).waitFor();
  return new URL(page.url()).pathname;
};
/** The second step: a reason, a tick, and the button. */
const confirm = async (page: Page, word: string, why: string | null): Promise<void> => {
  await page.getByRole('button', { name: word, exact: true }).click();
  const dialog = page.getByRole('dialog');
  if (why !== null) await dialog.getByLabel('Reason').fill(why);
  await dialog.getByRole('checkbox').check();
  await dialog.getByRole('button', { name: word, exact: true }).click();
  await dialog.waitFor({ state: 'hidden' });
};

t.test('from a file to what it changed, and back', async (t) => {
  const page = await house.open('registrar', { path: '/imports' });
  await page.getByRole('button', { name: 'Send and read' }).click();
  await page.getByText('Choose a file.').waitFor();
  await looked(t, 'list', '/imports', 'form');

  const faulty = await send(page, 'faulty.csv', `${feed([2000])}no number,PD,letter\n`);
  await page.getByText('Nothing of this file is taken').waitFor();
  await page.getByText('The row has not as many fields as the header.').waitFor();
  t.equal(await page.getByRole('button', { name: 'Apply', exact: true }).count(), 0, 'it cannot be applied');
  await looked(t, 'faulty', faulty, '.notice');

  const first = await send(page, 'pd.csv', feed(numbers));
  await page.getByRole('cell', { name: 'nobody else' }).first().waitFor();
  await page.getByText('What it would have done to past calls').waitFor();
  await looked(t, 'diff', first, '.imports-sign-added');
  await confirm(page, 'Apply', 'the weekly feed');
  await page.getByText('Applied', { exact: true }).waitFor();
  t.equal((await house.registry.open()).length, 0, 'protection waits for nobody');

  const short = await send(page, 'short.csv', feed([...numbers.slice(0, 10), 2001]));
  await page.getByText('Is the file whole?').waitFor();
  await page.getByText('one digit different').waitFor();
  await looked(t, 'guard', short, '.imports-guard');
  t.equal(
    await page.getByRole('button', { name: 'Apply', exact: true }).count(),
    0,
    'not before two said so',
  );
  await confirm(page, 'The loss is meant', null);
  await page.getByText('was said by registrar').waitFor();
  const approver = await house.open('approver', { path: short });
  await confirm(approver, 'The loss is meant', null);
  await page.getByText('was said by registrar, approver').waitFor();
  await confirm(page, 'Apply', 'they left the office');
  await page.getByText('Waits for approval').first().waitFor();
  t.equal(
    await page.getByRole('button', { name: 'Agree to all of it' }).count(),
    0,
    'nobody agrees to their own',
  );
  await confirm(approver, 'Agree to all of it', null);
  const [removal] = await house.registry.open();
  t.match(removal, { state: 'proposed', approvers: ['approver'], needs: { approvals: 2 } });
  await looked(t, 'waiting', short, '.facts');
  await confirm(page, 'Undo', 'the file was cut off');
  await page.getByText('Changes that undo it').waitFor();
  t.notOk(
    (await house.registry.open()).some(({ id }) => id === removal?.id),
    'what waited is taken back',
  );

  await page.getByRole('link', { name: 'All imports' }).click();
  await page.getByRole('cell', { name: 'short.csv' }).waitFor();
  t.equal(await page.getByRole('row').count(), 4, 'a head and three imports');
  const auditor = await house.open('auditor', { path: '/imports' });
  await auditor.getByRole('cell', { name: 'short.csv' }).waitFor();
  t.equal(
    await auditor.getByRole('button', { name: 'Send and read' }).count(),
    0,
    'who only looks sends nothing',
  );
});
