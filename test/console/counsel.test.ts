import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { Page } from 'playwright-core';
import t, { type Test } from 'tap';
import { publicFileOf } from '../../src/cli/journal-heads.js';
import { totpAt } from '../../src/http/totp.js';
import { fromRoot } from '../../src/root.js';
import { CodeEar, withCounsel } from '../counsel/counsel-site.js';
import { hangUp } from '../site/conversation.js';
import { axeFaults, openConsoleSite, overflows, shot } from './console-site.js';

/**
 * An attorney from the first page to a proof that verifies: on real parts, with real calls. What the telephone was told
 * is heard by a recogniser that knows nothing of the code; the code is in no other place that the test could take it from.
 */

t.setTimeout(280_000);
const house = await openConsoleSite(t, { site: { config: withCounsel, keepAudioMs: 120_000 } });
const { site } = house;
const number = '+12125550123';
const passphrase = 'a long and quiet evening';

const looked = async (t: Test, page: Page, name: string): Promise<void> => {
  await shot(page, `counsel-${name}`);
  t.same(await axeFaults(page), [], `${name}: nothing serious`);
  t.notOk(await overflows(page), `${name}: within the page`);
};

t.test('an attorney registers, proves a number, and sees that calls to it are private', async (t) => {
  const page = await house.visit({ width: 400 });
  await page.getByRole('link', { name: /Attorneys: register/ }).click();
  await page.getByLabel('Your name').waitFor();
  await looked(t, page, 'join-400');
  await page.getByRole('button', { name: 'Make the account' }).click();
  t.ok(await page.getByText('This is needed.').first().isVisible());
  await page.getByLabel('Your name').fill('Jane Doe');
  await page.getByLabel('Jurisdiction').fill('New York');
  await page.getByLabel('Bar number').fill('1234567');
  await page.getByLabel('Password', { exact: true }).fill(passphrase);
  await page.getByLabel('Password once more').fill(passphrase);
  await page.getByRole('button', { name: 'Make the account' }).click();
  await page.getByRole('heading', { name: 'Your account is made' }).waitFor();
  await looked(t, page, 'once-400');
  const account = (await page.locator('.counsel-once code').first().textContent()) ?? '';
  const secret = ((await page.locator('.counsel-secret').textContent()) ?? '').replaceAll(' ', '');
  await page.getByLabel(/I have added the key/).check();
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByLabel('Name').fill(account);
  await page.getByLabel('Password').fill(passphrase);
  await page.getByLabel('Code').fill(totpAt(secret, Math.floor(Date.now() / 30_000)));
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('heading', { name: 'My numbers', level: 1 }).waitFor();
  await looked(t, page, 'none-400');

  // Before anything is proved a call to the number is refused or recorded like any other.
  await page.getByLabel('Telephone number').fill('(212) 555-0123');
  await page.getByRole('button', { name: 'Add this number' }).click();
  site.called.answerWith({ do: 'answer', afterMs: 50 });
  await page.getByRole('button', { name: 'Call me now' }).click();
  await page.getByText('We are calling').waitFor();
  await looked(t, page, 'calling-400');
  const told = await site.called.incomingCall({ deadlineMs: 20_000 });
  await told.ended({ deadlineMs: 60_000 });
  const { code = '', sayings } = new CodeEar('en').hears(told.audio.samples());
  t.match(code, /^\d{6}$/, `six digits, twice, as a telephone hears them: ${sayings.join(' ')}`);
  await page.getByText('The call is over').waitFor({ timeout: 30_000 });
  await page.getByLabel('Code').fill(code);
  await page.getByRole('button', { name: 'Prove the number' }).click();
  await page.getByText('Waiting for approval').waitFor();
  await looked(t, page, 'waiting-400');

  // Nobody is connected to it until somebody agrees; then every call is private.
  await house.desk.turn();
  const held = await site.call(number);
  await held.failed();
  const [change] = await house.registry.open();
  t.match(change, { maker: account, needs: { approvals: 1 } });
  await house.registry.say('approver', change?.id ?? '', 'approve', 'bar roll looked at');
  await house.desk.turn();
  await site.until('the controller has the new lists', () => site.sallyport.lists.armed().armed);
  const talk = await house.converse(number);
  const cdr = await hangUp(site, talk);
  t.match(cdr, { verdict: 'private', class: 'attorney' });

  await page.getByText('Protected since').waitFor();
  await looked(t, page, 'protected-400');
  await page.getByRole('link', { name: 'Calls and evidence' }).click();
  await page.getByRole('heading', { name: 'Calls to this number' }).waitFor();
  await page.getByText('Private').first().waitFor();
  // The node is looked at once more after the call, and the rows are signed: then the bundle proves all there is.
  const last = (await site.rows({ kinds: ['cdr'] })).at(-1)?.seq ?? 0;
  const node = String((cdr.media as { readonly node?: unknown } | undefined)?.node ?? '');
  for (;;) {
    const looks = await site.rows({ kinds: ['attestation'] });
    if (
      looks.some(
        ({ seq, body }) => seq > last && (node === '' ? body.pool === 'private' : body.node === node),
      )
    )
      break;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  await site.sallyport.journal.signHead();
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('button', { name: /Download the evidence/ }).click(),
  ]);
  const file = await download.path();
  t.match(download.suggestedFilename(), new RegExp(`^${talk.callId}`));
  t.ok(readFileSync(file).length > 1000);
  const verified = spawnSync(
    process.execPath,
    [
      fromRoot('dist', 'src', 'evidence', 'verify', 'main.js'),
      file,
      ...['--public-key', publicFileOf(site.config.journal.heads?.keyFile ?? '')],
    ],
    { encoding: 'utf8' },
  );
  t.match(verified, { status: 0, stdout: /PROVED: a private call/ }, 'it verifies with a public key alone');
  await looked(t, page, 'calls-400');
  t.notMatch((await page.locator('main').textContent()) ?? '', /4711/, 'not who called');
  await page.setViewportSize({ width: 1280, height: 900 });
  await page.emulateMedia({ colorScheme: 'dark' });
  await looked(t, page, 'calls-dark');
  await page.goto(`${house.url}/counsel`);
  await page.getByText('Protected since').waitFor();
  await looked(t, page, 'protected-dark');
  await page.emulateMedia({ colorScheme: 'light' });
  await looked(t, page, 'protected-light');
});

t.test('nobody else has these pages', async (t) => {
  const page = await house.open('investigator', { path: '/counsel' });
  await page.getByRole('heading', { level: 1 }).waitFor();
  t.notMatch((await page.locator('main').textContent()) ?? '', /555-0123/);
});

t.test('a registrar invites an attorney', async (t) => {
  const page = await house.open('registrar', { path: '/attorneys', width: 400 });
  await page.getByLabel('For whom it is').fill('Jo Roe, admitted in Kansas');
  await page.getByRole('button', { name: 'Make a link' }).click();
  const link = (await page.locator('.counsel-secret').textContent()) ?? '';
  t.match(link, /\/join#invitation=[\w-]{43}$/);
  await looked(t, page, 'office-400');
  const invited = await house.visit({ path: link.slice(house.url.length), language: 'es', scheme: 'dark' });
  await invited.getByLabel('Su nombre').waitFor();
  t.notMatch(invited.url(), /invitation/, 'the secret does not stay in the address');
  await looked(t, invited, 'join-es-dark');
});
