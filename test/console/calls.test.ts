import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Page } from 'playwright-core';
import t, { type Test } from 'tap';
import { publicFileOf } from '../../src/cli/journal-heads.js';
import { makeEvidence } from '../../src/evidence/make.js';
import { verifyEvidence } from '../../src/evidence/verify/verify.js';
import { readJournal } from '../../src/journal/read.js';
import type { JournalRow } from '../../src/journal/row.js';
import { atOnce } from '../../src/journal/verify/at-once.js';
import { publicKeyOf } from '../../src/journal/verify/signed.js';
import { heardMs } from '../../src/phones/goertzel.js';
import { makeIdentity } from '../../src/vault/age-keys.js';
import { Terminal } from '../cli/terminal.js';
import { until } from '../lists/redis-server.js';
import { bothHear } from '../site/conversation.js';
import { writeHalfYear } from '../statement/half-year.js';
import { axeFaults, numbers, openConsoleSite, shot } from './console-site.js';

t.setTimeout(600_000);

/** A made-up half year beside the site’s own journal: statements are of periods that are over. */
const past = mkdtempSync(join(tmpdir(), 'sallyport-past-'));
t.teardown(() => rmSync(past, { recursive: true, force: true }));
const recount = await writeHalfYear({
  ...{ dirs: [join(past, 'a')], calls: 900, seed: 5 },
  ...{ from: '2026-01-01T00:00:00.000Z', to: '2026-07-01T00:00:00.000Z' },
});

/** An identity provider that does not answer: nothing listens on the port of `discard`. */
const oidc = {
  ...{ issuer: 'http://127.0.0.1:9', clientId: 'sallyport' },
  ...{ nameClaim: 'preferred_username', rolesClaim: 'groups' },
  roles: [{ value: 'staff', roles: ['auditor' as const] }],
  ...{ facilitiesClaim: 'jails', facilities: [{ value: 'every', facilities: ['all'] }] },
};
const house = await openConsoleSite(t, {
  site: { text: true },
  config: (config) => ({
    ...config,
    serve: { ...config.serve, oidc, journals: [config.journal.directory, join(past, 'a')] },
  }),
});
const { site } = house;
site.called.answerWith({ do: 'answer', ring: {}, afterMs: 50 });

let privates = 1;

/** The private node is looked at once more after its call, and a head is signed over that. */
const lookedAgain = async (callId: string): Promise<void> => {
  const left = Number((await site.cdr(callId))?.replies[0]?.leftAt);
  await until(
    'the node of the private call was looked at again',
    async () =>
      (await site.rows({ kinds: ['attestation'] })).some(
        ({ body }) => body.node === 'private-1' && body.verdict === 'attested' && body.at >= left,
      ),
    60_000,
  );
  await site.sallyport.journal.signHead();
};

/** What the program says of a call's evidence: the page is held against it. */
const isProved = async (callId: string): Promise<boolean> => {
  const key = atOnce(publicKeyOf(headKey));
  const bytes = await makeEvidence({ journal: site.config.journal.directory, callId, countersigned: [] });
  const options = { keys: key === undefined ? [] : [key], countersigners: [], recording: null };
  return (await verifyEvidence(bytes, options)).code === null;
};

/** One call of each kind with both parties heard, the look at their nodes after them, and a head over all of it. */
const threeCalls = async (t: Test): Promise<readonly [string, string, string]> => {
  const ids: string[] = [];
  for (const number of [numbers.allowed, numbers.attorney]) {
    const talk = await house.converse(number);
    await bothHear(t, talk, `a call to ${number}`, 1200);
    if (number === numbers.allowed) {
      talk.call.text.type('did you feed the dog?');
      await talk.other.text.untilReads('did you feed the dog?');
      talk.other.text.type('twice, <b>today</b>');
      await talk.call.text.untilReads('twice, <b>today</b>');
    }
    const before = site.endedCalls;
    await talk.call.hangUp();
    await site.ended(before + 1);
    ids.push(talk.callId);
  }
  const before = site.endedCalls;
  const refused = await site.call(numbers.unlisted);
  await refused.failed();
  await site.ended(before + 1);
  ids.push(site.callIds().at(-1) ?? '');
  await lookedAgain(ids[1] ?? '');
  // On a busy machine a node may not answer a look in time: then its evidence rightly lacks something. Another call has it.
  for (let more = 0; more < 6 && !(await isProved(ids[1] ?? '')); more += 1) {
    const talk = await house.converse(numbers.attorney);
    const ended = site.endedCalls;
    await talk.call.hangUp();
    await site.ended(ended + 1);
    privates += 1;
    ids[1] = talk.callId;
    await lookedAgain(talk.callId);
  }
  return [ids[0] ?? '', ids[1] ?? '', ids[2] ?? ''];
};

const headKeyFile = site.config.journal.heads?.keyFile ?? '';
const headKey = readFileSync(publicFileOf(headKeyFile), 'utf8');
let ids: readonly [monitored: string, privately: string, refused: string] = ['', '', ''];

/** Looks at a page as it stands: nothing serious by axe, nothing beyond its edge, and a picture. */
const looked = async (t: Test, page: Page, name: string): Promise<void> => {
  t.same(await axeFaults(page), [], `${name}: nothing serious`);
  const beyond = 'document.documentElement.scrollWidth > document.documentElement.clientWidth';
  t.equal(await page.evaluate(beyond), false, `${name}: nothing beyond the edge`);
  await shot(page, name);
};

const giveKey = async (page: Page, keep = false): Promise<void> => {
  await page.getByLabel('The key, in PEM').fill(headKey);
  await page.getByLabel('Whose key').fill('Registrar of the court');
  if (keep) await page.getByLabel('Remember it in this browser').check();
  await page.getByRole('button', { name: 'Use this key' }).click();
};

t.test('an auditor finds a call, reads it from end to end, and verifies its evidence', async (t) => {
  ids = await threeCalls(t);
  const [monitored, privately, refused] = ids;
  const page = await house.open('auditor', { path: '/calls' });
  const results = page.getByRole('region', { name: 'Calls found' });
  await results.locator(`a[href="/calls/${refused}"]`).waitFor();
  t.equal(await results.getByRole('row').count(), 51, 'a page of them, and a head');
  await results.getByRole('button', { name: 'Show more' }).click();
  await results.getByRole('row').nth(100).waitFor();
  await page.getByLabel('Number called').fill(numbers.attorney);
  await page.getByLabel('Period').selectOption({ label: 'The last hour' });
  await page.getByLabel('Class of a private call').selectOption({ label: 'Attorney' });
  await page.getByRole('button', { name: 'Search', exact: true }).click();
  await results.getByText(`${privates} of ${privates}`).waitFor();
  await looked(t, page, 'calls-light');

  await results.locator(`a[href="/calls/${privately}"]`).click();
  await page.getByRole('heading', { name: 'From its first row to its last' }).waitFor();
  const rows = await page.locator('.event h3').allTextContents();
  t.ok(rows.includes('Decided') && rows.includes('Closing record'), rows.join(', '));
  t.ok(rows.filter((row) => row.startsWith('Media node private-1')).length >= 1, 'what its node was');
  t.notOk(rows.includes('Recording armed'));
  const timeline = page.locator('.events');
  t.match(await timeline.textContent(), /Privileged list\s*listed \(attorney, number\)/);
  t.match(await timeline.textContent(), /Bytes it may write to a file\s*0/);

  await page.getByRole('button', { name: 'Take the evidence and verify it' }).click();
  await page.getByText('No key yet').waitFor();
  await giveKey(page, true);
  await page.getByText('A private call: decided so before it was connected').waitFor();
  const checks = page.getByRole('table', { name: 'Every check' });
  t.match(await checks.textContent(), /Nothing was left on a disk/);
  t.equal(await checks.getByText('Missing').count(), 0);
  await looked(t, page, 'call-private-light');
  const saving = page.waitForEvent('download');
  await page.getByRole('button', { name: 'Save the file' }).click();
  const saved = await (await saving).path();
  const bytes = readFileSync(saved);

  // Somebody’s file, in the same browser: the key is remembered, the file is judged by its bytes.
  await page.goto(`${house.url}/calls/verify`);
  const judged = async (name: string, buffer: Buffer, says: string | RegExp): Promise<void> => {
    await page.getByLabel('File of evidence').setInputFiles({ name, mimeType: 'application/json', buffer });
    await page.getByText(says).first().waitFor();
  };
  await judged('good.json', bytes, /^A private call/);
  const text = bytes.toString('utf8');
  await judged('tampered.json', Buffer.from(text.replace('nothing-found', 'nothing-foumd')), 'Not genuine');
  t.match(await page.locator('.notice.tone-bad').textContent(), /row-unproved/);
  await looked(t, page, 'evidence-tampered-light');
  await judged('cut.json', bytes.subarray(0, 900), 'The file is not evidence of a call.');
  await page.getByRole('button', { name: /Forget the key/ }).click();
  await judged('good.json', bytes, 'No key yet');
  await page.getByLabel('The key, in PEM').fill('-----BEGIN PRIVATE KEY-----');
  await page.getByRole('button', { name: 'Use this key' }).click();
  await page.getByText('Nobody but its owner may have it').waitFor();

  await page.goto(`${house.url}/calls/${monitored}`);
  await page.getByRole('heading', { name: 'Recording armed' }).waitFor();
  await page.goto(`${house.url}/calls/${refused}`);
  await page.getByRole('heading', { name: 'From its first row to its last' }).waitFor();
  t.match(await page.locator('.events').textContent(), /Dialled\s*nobody/);
  await page.goto(`${house.url}/calls/c${'q'.repeat(26)}`);
  await page.getByText('No call has this id.').waitFor();
  const small = await house.open('auditor', { path: `/calls/${privately}`, width: 400, scheme: 'dark' });
  await small.getByRole('heading', { name: 'From its first row to its last' }).waitFor();
  await looked(t, small, 'call-dark-400');
  await small.goto(`${house.url}/calls`);
  await small.locator(`a[href="/calls/${refused}"]`).waitFor();
  await looked(t, small, 'calls-dark-400');
});

/** Keeps what the page hands to the sound card: each buffer’s two sides, as 16-bit samples. */
const listenIn = `
  window.heard = [[], []];
  const start = AudioBufferSourceNode.prototype.start;
  AudioBufferSourceNode.prototype.start = function (...given) {
    for (const side of [0, 1])
      window.heard[side].push(...Array.from(this.buffer.getChannelData(side), (one) => Math.round(one * 32767)));
    return start.apply(this, given);
  };
`;

t.test(
  'an investigator opens a recording with a key of their own, and hears the right party on each side',
  async (t) => {
    const [monitored] = ids;
    const page = await house.open('investigator', { path: '/recordings' });
    await page.addInitScript(listenIn);
    await page.reload();
    await page.locator(`a[href="/recordings/${monitored}"]`).waitFor();
    await looked(t, page, 'recordings-light');
    await page.locator(`a[href="/recordings/${monitored}"]`).click();
    const identity = readFileSync(join(dirname(headKeyFile), 'DEMO-ONLY-facility.identity.txt'), 'utf8');
    const wrong = makeIdentity().text;
    const open = async (why: string, key: string): Promise<void> => {
      await page.getByLabel('Why it is read').fill(why);
      await page.getByLabel('Your age identity').fill(key);
      await page.getByRole('button', { name: 'Fetch and open it' }).click();
    };
    await open('case 4711', 'my key');
    await page.getByText('This is no age identity').waitFor();
    await open('case 4711', wrong);
    await page.getByText('The recording is not encrypted to this identity').waitFor();
    await open('case 4711', identity);
    const slider = page.getByRole('slider', { name: 'Place in the recording' });
    await slider.waitFor();
    await page.getByRole('heading', { name: 'Text' }).waitFor();
    t.equal(
      await page.getByText('The same', { exact: true }).count(),
      8,
      'fetched, manifest, journal, and the head, of the sound and of the text',
    );
    const transcript = (await page.locator('.transcript').textContent()) ?? '';
    t.match(transcript, /caller[^\n]*did you feed the dog\?/i, 'what was typed beside what was said');
    t.match(transcript, /called[^\n]*twice, <b>today<\/b>/i, 'as it was typed, and nothing of it is markup');
    t.equal(await page.locator('.transcript b').count(), 0);
    t.equal(await page.getByLabel('Your age identity').count(), 0, 'the key is nowhere on the page');
    await looked(t, page, 'recording-light');

    const length = Number(await slider.getAttribute('aria-valuemax'));
    t.ok(length >= 1, `${length} s`);
    await slider.focus();
    await page.keyboard.press('End');
    t.equal(Number(await slider.getAttribute('aria-valuenow')), length);
    await page.keyboard.press('Home');
    t.equal(Number(await slider.getAttribute('aria-valuenow')), 0);
    await page.keyboard.press(' ');
    await page.getByRole('button', { name: 'Pause' }).waitFor();
    await page.getByRole('button', { name: 'Mute: Called party' }).click();
    t.equal(
      await page.getByRole('button', { name: 'Mute: Called party' }).getAttribute('aria-pressed'),
      'true',
    );
    await page.getByRole('button', { name: 'Play' }).waitFor();
    const [left, right] = (await page.evaluate('window.heard')) as readonly [number[], number[]];
    const [caller, called] = [Int16Array.from(left), Int16Array.from(right)];
    // The parties say their tones one after the other is up: each is there for a second and more.
    t.ok(heardMs(caller, 440) >= 900, 'the caller’s tone on the left');
    t.ok(heardMs(caller, 1000) < 200, 'and not the called party’s');
    t.ok(heardMs(called, 1000) >= 900, 'the called party’s tone on the right');
    t.ok(heardMs(called, 440) < 200, 'and not the caller’s');

    const rows: JournalRow[] = [];
    for await (const row of readJournal(site.config.serve.journal)) rows.push(row);
    const asked = rows.filter(({ kind }) => kind === 'http-recording-asked');
    t.match(
      asked.map(({ body }) => body),
      [{ by: 'investigator', callId: monitored, why: 'case 4711', sealed: false }, { why: 'case 4711' }],
    );
    t.equal(rows.filter(({ kind }) => kind === 'http-recording-read').length, 4, 'of each file each try');
    t.notMatch(JSON.stringify(rows), /AGE-SECRET/);
    await page.getByRole('button', { name: 'Close it and forget it' }).click();
    await page.getByLabel('Why it is read').waitFor();
  },
);

t.test('a private call shows its proof in the place of a player, a refused one why', async (t) => {
  const [, privately, refused] = ids;
  const page = await house.open('auditor', { path: `/recordings/${privately}` });
  await page.getByRole('heading', { name: 'Proof of absence' }).waitFor();
  await page.getByRole('button', { name: 'Take the evidence and verify it' }).click();
  await giveKey(page);
  await page.getByText('nothing was left on any disk').waitFor();
  t.equal(await page.getByRole('slider').count(), 0);
  await looked(t, page, 'absence-light');
  await page.goto(`${house.url}/recordings/${refused}`);
  await page.getByText('there was nothing to record').waitFor();
  const investigator = await house.open('investigator', {
    ...{ path: `/recordings/${privately}`, width: 400, scheme: 'dark', language: 'es' },
  });
  await investigator.getByText('No hay ninguna grabación con este identificador').waitFor();
  t.notMatch(await investigator.locator('main').textContent(), /privad|centro|north|\d:\d\d/i);
  t.equal(await investigator.locator('a[href^="/calls"], a[href="/now"], a[href="/system"]').count(), 0);
  await looked(t, investigator, 'absence-es-dark-400');
});

t.test('a statement is previewed, made, signed and downloaded', async (t) => {
  const page = await house.open('auditor', { path: '/statement' });
  await page.getByLabel('Period').selectOption({ label: 'From … to' });
  await page.getByLabel('From', { exact: true }).fill('2026-01-01');
  await page.getByLabel('To, this day counted').fill('2026-06-30');
  await page.getByRole('button', { name: 'Preview' }).click();
  await page.getByRole('heading', { name: 'Preview' }).waitFor();
  for (const [name, verdict] of [
    ['Monitored', 'monitored'],
    ['Private', 'private'],
    ['Refused', 'refused'],
  ] as const) {
    const shown = (await page.locator('.tile', { hasText: name }).locator('dd').textContent()) ?? '';
    t.equal(Number(shown.replace(/\D/g, '')), recount.byVerdict[verdict]?.calls, name);
  }
  await looked(t, page, 'statement-light');
  await page.getByRole('button', { name: 'Make and sign it' }).click();
  await page.getByText('Made and signed').waitFor();
  for (const [what, begins] of [
    ['PDF', '%PDF-'],
    ['JSON', '{"access"'],
  ] as const) {
    const downloading = page.waitForEvent('download');
    await page.getByRole('link', { name: new RegExp(`^${what} of the statement from 2026-01-01`) }).click();
    const file = readFileSync(await (await downloading).path());
    t.equal(file.subarray(0, begins.length).toString('latin1'), begins);
  }
  await page.getByLabel('To, this day counted').fill('2020-01-01');
  await page.getByRole('button', { name: 'Preview' }).click();
  await page.getByText('period-empty').waitFor();
  const today = await house.open('auditor', { path: '/statement', width: 400, scheme: 'dark' });
  await today.getByLabel('Period').selectOption({ label: 'From … to' });
  await today.getByRole('button', { name: 'Preview' }).click();
  await today.getByRole('heading', { name: 'Preview' }).waitFor();
  t.equal(await today.locator('.tile-private dd').textContent(), String(privates), 'of today, so far');
  await looked(t, today, 'statement-dark-400');
});

t.test(
  'a recording that proves to be of an attorney: sealed for an auditor, not there for an investigator',
  async (t) => {
    const [monitored] = ids;
    const investigator = await house.open('investigator', { path: '/recordings' });
    const inList = investigator.locator(`a[href="/recordings/${monitored}"]`);
    await inList.waitFor();
    await house.registry.propose('registrar', 'letter on file', [
      {
        ...{ op: 'privileged-add', class: 'attorney', evidence: 'bar no. 7', note: '' },
        target: { form: 'number', number: numbers.allowed },
      },
    ]);
    await investigator.reload();
    await investigator.getByText('There is no recording here.').waitFor();
    t.equal(await inList.count(), 0, 'from that moment on, before anything is sealed');
    await house.desk.turn();
    const file = join(past, 'sallyport.yaml');
    const listen = site.config.sip.listen.map((one) => ({ ...one, port: 5060 }));
    writeFileSync(file, JSON.stringify({ ...site.config, sip: { ...site.config.sip, listen } }));
    const check = await new Terminal(['custody', 'check', '--config', file]).done;
    t.match(check.out, /sealed/, check.err);

    await investigator.goto(`${house.url}/recordings/${monitored}`);
    await investigator.getByText('There is no recording here that you may see').waitFor();
    t.notMatch(await investigator.locator('main').textContent(), /sealed|private|attorney/i);
    await looked(t, investigator, 'recording-not-theirs');
    await investigator.context().close();

    const page = await house.open('auditor', { path: '/recordings' });
    const row = page.locator('tr', { has: page.locator(`a[href="/recordings/${monitored}"]`) });
    await row.getByText('Sealed', { exact: true }).waitFor();
    await looked(t, page, 'recordings-sealed');
    await row.locator('a').first().click();
    await page.getByLabel('Why it is read').waitFor();
    await looked(t, page, 'recording-sealed');
    const { facility, escrow } = site.local.identities;
    const [outer, inner] = [readFileSync(escrow, 'utf8'), readFileSync(facility, 'utf8')];
    const open = async (key: string): Promise<void> => {
      await page.getByLabel('Why it is read').fill('order of the court');
      await page.getByLabel('Your age identity').fill(key);
      await page.getByRole('button', { name: 'Fetch and open it' }).click();
    };
    await open(inner);
    await page.locator('.notice.tone-bad').waitFor();
    t.equal(await page.locator('.notice.tone-bad').count(), 1, 'told once');
    await shot(page, 'recording-sealed-one-key');
    await open(`${outer}\n${inner}`);
    await page.getByRole('slider', { name: 'Place in the recording' }).waitFor();
    t.match(await page.locator('.transcript').textContent(), /did you feed the dog/);
    await page.setViewportSize({ width: 400, height: 800 });
    await page.emulateMedia({ colorScheme: 'dark' });
    await looked(t, page, 'recording-sealed-open-dark-400');
  },
);

t.test('an identity provider: its button, and what is said when its way leads nowhere', async (t) => {
  const page = await house.visit({ path: '/calls' });
  const button = page.getByRole('link', { name: 'Sign in with your organisation' });
  await button.waitFor();
  await looked(t, page, 'sign-in-provider');
  await button.click();
  await page.getByText('Your organisation’s sign-in did not work').waitFor();
  t.notMatch(page.url(), /refused/);
  await page.getByLabel('Name').waitFor();
  await looked(t, page, 'sign-in-provider-gone');
  await page.goto(`${house.url}/v1/session/oidc/callback?code=x&state=y`);
  await page.getByText('It does not vouch for you here').waitFor();
  t.match(
    await (await fetch(`${house.url}/v1/session/oidc`)).json(),
    { code: 'part-unavailable' },
    'programs get a code',
  );
});
