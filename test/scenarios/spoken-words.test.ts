import t from 'tap';
import {
  checkClean,
  checkUnrecorded,
  inSpanish,
  introduction,
  numbersFrom,
  openTalkSite,
  phoneAt,
  saidTo,
  waiting,
  withTrunk,
} from '../site/talk.js';

/** The prompts that come with Sallyport, spoken from end to end in both languages and recognised in what was heard. */

const allowed = numbersFrom('212', 20, 4);
const number = (at: number): string => allowed[at] ?? '';
const attorney = '+16465550120';

t.test('the spoken prompts, heard', async (t) => {
  t.jobs = 8;
  const host = '127.0.1.2';
  const house = await openTalkSite(t, {
    prompts: 'own',
    lists: { allow: { '*': allowed }, privileged: { [attorney]: 'attorney' } },
    config: withTrunk(host, { language: 'es' }),
  });
  const from = await phoneAt(t, host);
  await Promise.all([
    t.test('monitored, in English', { buffered: true }, async (t) => {
      const talk = await house.talk(number(0));
      await talk.calledHears('menu-recorded', { deadlineMs: 60_000 });
      await talk.calledPresses('1');
      await talk.bothHear(t);
      await talk.call.hangUp();
      const over = await talk.over();
      t.same(over.heard.called, [...introduction('recorded'), 'menu-recorded', 'you-accepted']);
      t.same(over.heard.caller, [...waiting, 'told-recorded']);
      t.same(saidTo(over, 'called'), over.heard.called);
      t.match(over.cdr, { verdict: 'monitored', ending: 'caller-hung-up' });
    }),
    t.test('private, in Spanish', { buffered: true }, async (t) => {
      const talk = await house.talk(attorney, { from });
      await talk.calledHears('es:menu-private', { deadlineMs: 60_000 });
      await talk.calledPresses('1', 'application/dtmf-relay');
      await talk.bothHear(t);
      await talk.call.hangUp();
      const over = await talk.over();
      t.same(over.heard.called, inSpanish([...introduction('private'), 'menu-private', 'you-accepted']));
      t.same(over.heard.caller, ['es:please-hold', 'hold-tone', 'es:told-private']);
      t.same(saidTo(over, 'called'), over.heard.called);
      checkUnrecorded(t, talk, over);
    }),
    t.test('a claim, explained and taken back', { buffered: true }, async (t) => {
      const talk = await house.talk(number(1), {}, `*7${number(1).slice(1)}`);
      await talk.callerHears('claim-unlisted', { deadlineMs: 60_000 });
      // The node sends a little ahead of time, and a key before the end takes nothing back.
      await talk.call.audio.untilSilent({ forMs: 400 });
      await talk.callerPresses('5');
      await talk.calledHears('notice-recorded', { deadlineMs: 60_000 });
      await talk.calledPresses('2');
      const over = await talk.over();
      t.equal(over.heard.caller[0], 'claim-unlisted');
      t.equal(over.heard.caller.at(-1), 'called-declined');
      t.equal(over.heard.called.at(-1), 'you-refused');
    }),
  ]);
  await t.test('nothing is left of any of them', (t) => checkClean(t, house, [from]));
});
