import t from 'tap';
import { askWorker } from '../../src/workers/worker-socket.js';
import { checkNothingLeft } from '../site/left-over.js';
import { numbers, openSite, type Site } from '../site/site.js';
import { agreed, CodeEar, withCounsel } from './counsel-site.js';

/** Calls that tell a code, made by a whole controller to telephones that know nothing of it. */

const ask = async (site: Site, number: string, code: string, language = 'en') => {
  const answer = await askWorker(site.config.control.socket, {
    ...{ command: 'code-call', number, code, language, by: 'alma' },
  } as Parameters<typeof askWorker>[1]);
  if (answer === null) throw new Error('the controller did not answer');
  return answer;
};
const callIn = (answer: { readonly ok: boolean }): string =>
  String((answer as unknown as { result: { call: string } }).result.call);

t.setTimeout(240_000);
t.test('what two sayings of a code are, to whoever hears them', async (t) => {
  for (const [sayings, code] of [
    [['582066', '582066'], '582066'],
    [['58206', '582066'], '582066'],
    [['582066', '82066'], '582066'],
    [['582066', '8206'], undefined],
    [['58206', '82066'], undefined],
    [['582066', '582067'], undefined],
    [['582066', '58207'], undefined],
    [['582066'], undefined],
    [['582066582066'], '582066'],
    [['582066582067'], undefined],
    [['58206658206'], undefined],
    [['582066582066582066'], undefined],
    [['582066', '582066', '582066'], undefined],
    [[], undefined],
  ] as const)
    t.equal(agreed(sayings), code, sayings.join(' '));
});

t.test('whoever answers hears the code twice, on a node that cannot record', async (t) => {
  const site = await openSite(t, { config: withCounsel, keepAudioMs: 120_000 });
  site.called.answerWith({ do: 'answer', afterMs: 50 });
  // A claim that waits for review must not keep anybody from proving it. English is heard in test/console/counsel.test.ts.
  const wanted = [['es', '582066', numbers.pending]] as const;
  const placed = [];
  for (const [language, code, number] of wanted) {
    const answer = await ask(site, number, code, language);
    t.equal(answer.ok, true, JSON.stringify(answer));
    placed.push(callIn(answer));
  }
  for (const [at, [language, code, number]] of wanted.entries()) {
    const callId = placed[at] ?? '';
    await site.event('call-ended', (event) => event.callId === callId, 90_000);
    const rang = site.called.invites.findIndex(({ uri }) => uri.includes(number));
    const call = site.called.incoming[rang];
    const heard = new CodeEar(language).hears(call?.audio.samples() ?? new Int16Array());
    t.equal(heard.code, code, `${language}: exactly these digits, twice: ${heard.sayings.join(' ')}`);
    t.same(heard.words, ['code-intro', 'code-again', 'code-end']);
    const cdr = await site.cdr(callId);
    t.match(cdr, {
      trunk: 'code.north',
      caller: 'code-call',
      verdict: 'private',
      class: 'code-call',
      ending: 'caller-hung-up',
      dialled: { number },
      spool: { state: 'nothing-found' },
    });
    const [decision] = await site.rows({ callId, kinds: ['decision'] });
    t.match(decision?.body, { verdict: 'private', row: 8, reasons: [{ code: 'code-call' }] });
    t.same(await site.rows({ callId, kinds: ['armed'] }), []);
    t.same(
      site.watch.named(callId).filter((file) => !file.includes('/journal/') && !file.includes('ledger')),
      [],
      'no file of it anywhere',
    );
  }
  const asked = await site.rows({ kinds: ['supervision'] });
  t.match(
    asked.map(({ body }) => body),
    [{ use: 'code-call', by: 'alma', language: 'es' }],
    'who asked is written down before it is done',
  );
  t.notMatch(JSON.stringify(await site.rows()), /582066/, 'the code is in no row');
  await checkNothingLeft(t, site);
});

t.test('what no call may go to, no code goes to; and an extension is dialled by keys', async (t) => {
  const site = await openSite(t, { config: withCounsel });
  for (const [number, reason] of [
    [numbers.blocked, 'blocked'],
    ['+18005550199', 'number-type-barred'],
  ] as const) {
    const callId = callIn(await ask(site, number, '123456'));
    await site.event('call-ended', (event) => event.callId === callId);
    const [decision] = await site.rows({ callId, kinds: ['decision'] });
    t.match(decision?.body, { verdict: 'refused', reasons: [{ code: reason }] }, reason);
  }
  t.equal(site.called.invites.length, 0, 'nobody was rung');
  t.match(await ask(site, '911', '123456'), { ok: false, code: 'number-invalid' });
  t.match(await ask(site, numbers.unlisted, '12345a'), { ok: false, code: 'code-invalid' });

  site.called.answerWith({ do: 'answer', afterMs: 50 });
  const first = callIn(await ask(site, `${numbers.unlisted};ext=27`, '123456'));
  const second = callIn(await ask(site, '+12125550195', '654321'));
  t.not(first, second, 'two at once are known apart');
  t.match(await ask(site, '+12125550196', '111111'), { ok: false, code: 'code-calls-busy' });
  await site.until('both rang', () => site.called.incoming.length === 2);
  const extension = site.called.incoming.find((_, at) => /ext=27/.test(site.called.invites[at]?.uri ?? ''));
  t.ok(extension, 'the extension stands in the request too');
  await (extension ?? site.called.incoming[0])?.audio.untilKeys('27', { deadlineMs: 20_000 });
  for (const call of site.called.incoming) await call.hangUp();
  await site.until('both are over', () => site.sallyport.controller.calls().length === 0);
  t.match(await site.cdr(first), { verdict: 'private', ending: 'called-hung-up' });
  await checkNothingLeft(t, site);
});

t.test('who only calls himself so is refused like everybody', async (t) => {
  const site = await openSite(t, { config: withCounsel });
  const call = await site.call(numbers.unlisted, { as: 'code-call' });
  t.equal((await call.failed()).status, 403);
  t.equal(site.called.invites.length, 0);
});
