import t from 'tap';
import { readJournal } from '../../src/journal/read.js';
import { axeFaults, lookFaults, numbers, openConsoleSite, shot } from './console-site.js';

/** The pages that watch and order: real calls come, move through their steps and go while somebody looks. */

t.setTimeout(600_000);
const house = await openConsoleSite(t, {
  // Two calls of one caller at once, so that more than one is there to be seen.
  config: (config) => ({
    ...config,
    policy: {
      ...config.policy,
      limits: {
        ...config.policy.limits,
        monitored: {
          ...config.policy.limits.monitored,
          concurrent: { ...config.policy.limits.monitored.concurrent, caller: 4 },
        },
      },
    },
  }),
});

t.test('calls as they come and go', async (t) => {
  const page = await house.open('operator', { path: '/now' });
  await page.getByText('Live', { exact: true }).waitFor();
  await page.getByText('Nobody is on the phone.').waitFor();
  // Rings and is not answered yet: the call stands where it is dialled.
  house.site.called.answerWith({ do: 'wait' });
  const ringing = await house.site.call(numbers.allowed);
  const other = await house.site.called.incomingCall({ deadlineMs: 30_000 });
  const row = page.locator('tbody tr').filter({ hasText: 'Dialling' });
  await row.waitFor();
  t.match(await row.locator('.badge').first().textContent(), 'Monitored');
  other.answer();
  await ringing.answered({ deadlineMs: 30_000 });
  await page.locator('tbody tr', { hasText: 'Talking' }).waitFor();
  house.site.called.answerWith({ do: 'answer' });
  const privately = await house.converse(numbers.attorney);
  const talking = page.locator('.now-sums > div', { hasText: 'Talking' }).locator('dd');
  await page.locator('.now-sums .verdict-private dd', { hasText: '1' }).waitFor();
  t.equal(await talking.textContent(), '2');
  t.notMatch(await page.locator('main').textContent(), /5550111|5550142|4711/, 'no number and no caller');
  await page.locator('tr', { hasText: 'private-1' }).locator('td', { hasText: /^1$/ }).waitFor();
  await page.getByText('Armed', { exact: true }).waitFor();
  t.same(await lookFaults(page, 'now'), []);

  // Ending one: not without a reason, and not without a tick.
  await page
    .locator('tbody tr', { hasText: 'Monitored' })
    .getByRole('button', { name: /^End call/ })
    .click();
  const dialog = page.getByRole('dialog');
  const end = dialog.getByRole('button', { name: 'End the call' });
  t.equal(await end.getAttribute('aria-disabled'), 'true');
  await end.click({ force: true });
  await dialog.getByLabel('I mean this call').check();
  await end.click();
  await dialog.getByText('Say why.').waitFor();
  t.same(await axeFaults(page), []);
  await shot(page, 'now-end');
  t.equal(house.site.endedCalls, 0, 'nothing has happened');
  await dialog.getByLabel('Why').fill('asked for by the shift lead');
  await end.click();
  await house.site.ended(1);
  await page.locator('tr', { hasText: 'Ended:' }).waitFor();
  await privately.call.hangUp();
  await house.site.ended(2);
  await page.locator('.now-sums > div', { hasText: 'Under way' }).locator('dd', { hasText: '0' }).waitFor();
  const orders = [];
  for await (const { body } of readJournal(house.site.config.serve.journal, { kinds: ['http-order'] }))
    orders.push(body);
  t.match(orders, [{ by: 'operator', order: 'end-call' }], 'who ordered it is written down');
  await page.context().close();
  // Who may only look gets no button.
  const looks = await house.open('auditor', { path: '/now' });
  await looks.getByText('Live', { exact: true }).waitFor();
  t.equal(await looks.getByText('Order', { exact: true }).count(), 0);
  await looks.context().close();
});

t.test('a lockdown, in two steps', async (t) => {
  const page = await house.open('operator', { path: '/lockdown' });
  await page.getByText('No phone is locked').waitFor();
  t.same(await lookFaults(page, 'lockdown'), []);
  await page.getByLabel('What is locked').selectOption('facility');
  const next = page.getByRole('button', { name: 'Go on' });
  await next.click();
  await page.getByText('This is needed.').waitFor();
  await page.getByLabel('Why').fill('a fight in the yard');
  await next.click();
  const dialog = page.getByRole('dialog');
  await dialog.getByText('No call will be connected from north').waitFor();
  t.same(await axeFaults(page), []);
  await shot(page, 'lockdown-confirm');
  await page.keyboard.press('Escape');
  await dialog.waitFor({ state: 'detached' });
  await page.getByText('No phone is locked').waitFor();
  await next.click();
  await dialog.getByLabel('I have read this and mean it').check();
  await dialog.getByRole('button', { name: 'Lock now' }).click();
  await page.getByText('One lockdown stands').waitFor();
  await page.locator('.lockdown-banner').waitFor();
  t.same(await lookFaults(page, 'lockdown-on'), []);
  const refused = await house.site.call(numbers.allowed);
  await refused.failed({ deadlineMs: 30_000 });

  const auditor = await house.open('auditor', { path: '/lockdown' });
  await auditor.getByText('a fight in the yard').waitFor();
  t.equal(await auditor.getByRole('button', { name: /Lift|Go on/ }).count(), 0, 'an auditor only looks');
  await auditor.context().close();
  const registrar = await house.open('registrar', { path: '/why' });
  await registrar.locator('.lockdown-banner', { hasText: 'Lockdown is on' }).waitFor();
  await registrar.getByLabel('Number').fill(numbers.allowed);
  await registrar.getByLabel('Caller').fill('4711');
  await registrar.getByRole('button', { name: 'Show the decision' }).click();
  t.match(await registrar.locator('.why-decides').textContent(), /^6/, 'and it is the reason why');
  await registrar.context().close();

  await page.getByRole('button', { name: /^Lift/ }).click();
  await dialog.getByLabel('Why').fill('it is quiet again');
  await dialog.getByRole('button', { name: 'Go on' }).click();
  await dialog.getByLabel('I have read this and mean it').check();
  await dialog.getByRole('button', { name: 'Lift now' }).click();
  await page.getByText('No phone is locked').waitFor();
  await page.locator('.lockdown-banner').waitFor({ state: 'detached' });
  const again = await house.converse(numbers.allowed);
  await again.call.hangUp();
  await page.context().close();
});

t.test('the parts of the site', async (t) => {
  const page = await house.open('auditor', { path: '/system' });
  const node = page.locator('tr', { hasText: 'recorded-1' });
  await node.getByText('attested', { exact: true }).waitFor();
  await page.locator('.plot canvas').waitFor();
  await page.locator('.plot summary').click();
  const connected = page.locator('.plot tbody tr', { hasText: 'connected' });
  await connected.waitFor();
  t.match(await connected.locator('td').first().textContent(), /^\d/, 'a median that was measured');
  await page.getByLabel('Which delay').selectOption('journal-append');
  await page.locator('figcaption', { hasText: 'durable' }).waitFor();
  await page.getByText('registry', { exact: true }).first().waitFor();
  t.same(await lookFaults(page, 'system'), []);
  await page.context().close();
});

t.test('the controller goes, and comes back', async (t) => {
  const page = await house.open('operator', { path: '/now' });
  await page.getByText('Live', { exact: true }).waitFor();
  await house.site.stop();
  await page.getByText('The controller does not answer', { exact: true }).waitFor();
  await page.locator('.health-bad').waitFor();
  t.same(await axeFaults(page), []);
  await shot(page, 'now-without-controller');
  await page.context().close();
});
