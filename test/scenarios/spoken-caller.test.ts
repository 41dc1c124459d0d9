import t, { type Test } from 'tap';
import type { Config } from '../../src/config/schema.js';
import {
  checkClean,
  checkUnrecorded,
  introduction,
  keysOf,
  numbersFrom,
  openTalkSite,
  phoneAt,
  type TalkWords,
  waiting,
  withTrunk,
} from '../site/talk.js';

/** The caller's side: claims of a private call, refusals, and what became of the called party. */

const allowed = numbersFrom('212', 20, 40);
const number = (at: number): string => allowed[at] ?? '';
const attorney = '+16465550120';
const blocked = '+16465550121';
const pending = '+16465550122';
const unlisted = '+16465550123';
const attorneyAgain = '+16465550124';
const attorneyMenu = '+16465550125';

t.test('the caller’s side of a spoken call', async (t) => {
  t.jobs = 40;
  const menuHost = '127.0.1.3';
  const closedHost = '127.0.1.4';
  const house = await openTalkSite(t, {
    lists: {
      allow: { '*': [...allowed, blocked, pending] },
      privileged: { [attorney]: 'attorney', [attorneyAgain]: 'attorney', [attorneyMenu]: 'attorney' },
      block: { [blocked]: 'facility' },
      pending: [pending],
    },
    config: (config: Config) => {
      const { north } = config.facilities;
      if (north === undefined) throw new Error('no facility');
      // Hours of a day that is neither today nor a neighbour of it, in any time zone.
      const week = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'] as const;
      const days = [week[(new Date().getUTCDay() + 3) % 7] ?? 'sun'];
      const phones = { shut: { hours: [{ days, from: '10:00', to: '11:00' }], textTelephone: false } };
      const closed: Config = {
        ...config,
        facilities: { north: { ...north, phones } },
        policy: { ...config.policy, maxRingSeconds: 2 },
      };
      return withTrunk(closedHost, { phoneHeader: 'X-Phone' })(
        withTrunk(menuHost, { offerPrivateCall: true })(closed),
      );
    },
  });
  const { site } = house;
  const menuPhone = await phoneAt(t, menuHost);
  const closedPhone = await phoneAt(t, closedHost);
  const claim = (to: string, words: TalkWords = {}) => house.talk(to, words, `*7${to.slice(1)}`);
  const subtests: [string, (t: Test) => Promise<void>][] = [];

  const refusedNow = async (t: Test, to: string): Promise<void> => {
    const next = await house.talk(to, { as: 'another' });
    const refused = await next.over();
    t.notOk(next.wasDialled, 'the next call to the number is not dialled');
    t.same(refused.heard.caller, ['refused-review']);
    t.match(refused.cdr, { verdict: 'refused', ending: 'review-pending' });
  };

  subtests.push(
    [
      'a claim by prefix to a listed number is a private call',
      async (t) => {
        const talk = await claim(attorney);
        await talk.calledHears('menu-private');
        await talk.calledPresses('1');
        await talk.bothHear(t);
        await talk.call.hangUp();
        const over = await talk.over();
        t.same(over.heard.caller, [...waiting, 'told-private']);
        t.match(over.cdr, { verdict: 'private', class: 'attorney' });
        checkUnrecorded(t, talk, over);
      },
    ],
    [
      'a claim that is not listed is explained; no key, and it stands',
      async (t) => {
        const talk = await claim(number(0));
        const over = await talk.over();
        t.same(over.heard.caller, ['claim-unlisted', 'claim-unlisted', 'claim-noted']);
        t.match(over.cdr, { verdict: 'refused', ending: 'review-pending', detail: 'private-claim-unlisted' });
        t.match(over.rows.find(({ kind }) => kind === 'claim')?.body, { outcome: 'stands' });
        t.notOk(talk.wasDialled);
        checkUnrecorded(t, talk, over);
        await refusedNow(t, number(0));
      },
    ],
    [
      'a claim stands when the caller hangs up while it is explained',
      async (t) => {
        const talk = await claim(number(1));
        await talk.call.answered();
        await talk.call.hangUp();
        const over = await talk.over();
        t.match(over.cdr, { verdict: 'refused', ending: 'caller-cancelled' });
        t.match(over.rows.find(({ kind }) => kind === 'claim')?.body, { outcome: 'stands' });
        checkUnrecorded(t, talk, over);
        await refusedNow(t, number(1));
      },
    ],
    [
      'a claim stands when the caller hangs up after it, and after a wrong key',
      async (t) => {
        const talk = await claim(number(2));
        await talk.callerHears('claim-unlisted');
        await talk.callerPresses('1');
        await talk.callerPresses('2');
        await talk.call.hangUp();
        const over = await talk.over();
        t.equal(keysOf(over, 'caller'), '12');
        t.match(over.rows.find(({ kind }) => kind === 'claim')?.body, { outcome: 'stands' });
        checkUnrecorded(t, talk, over);
        await refusedNow(t, number(2));
      },
    ],
  );
  for (const [at, kind] of (['events', 'application/dtmf-relay'] as const).entries()) {
    subtests.push([
      `5 by ${kind}, once all is explained, takes the claim back: the call is recorded, and both know`,
      async (t) => {
        const talk = await claim(number(3 + at));
        await talk.call.answered();
        await talk.callerPresses('5', kind);
        await talk.callerHears('claim-unlisted');
        t.notOk(talk.wasDialled, 'a key before the end of it takes nothing back');
        await talk.callerPresses('5', kind);
        await talk.calledHears('menu-recorded');
        await talk.calledPresses('1', kind);
        await talk.bothHear(t);
        await talk.call.hangUp();
        const over = await talk.over();
        t.same(over.heard.caller, ['claim-unlisted', ...waiting, 'told-recorded']);
        t.same(over.heard.called, [...introduction('recorded'), 'menu-recorded', 'you-accepted']);
        t.match(over.cdr, { verdict: 'monitored', ending: 'caller-hung-up' });
        t.equal(over.cdr.spool.state, 'recording-finished');
        const rows = over.rows.map(({ kind, body }) =>
          `${kind} ${body.verdict ?? body.outcome ?? ''}`.trim(),
        );
        t.same(rows, ['decision refused', 'claim withdrawn', 'decision monitored', 'armed', 'cdr monitored']);
      },
    ]);
  }
  subtests.push([
    '5 too early: it is said once more, and 5 counts from then on, heard out or not',
    async (t) => {
      const talk = await claim(number(30));
      await talk.call.answered();
      await talk.callerPresses('5');
      await talk.callerHears('claim-unlisted', { nth: 2 });
      t.notOk(talk.wasDialled, 'a key before the first end of it takes nothing back');
      // Whether the last of it has been played by now or not.
      await talk.callerPresses('5');
      await talk.calledHears('menu-recorded');
      await talk.calledPresses('2');
      const over = await talk.over();
      t.equal(keysOf(over, 'caller'), '55');
      t.same(over.heard.caller.slice(0, 3), ['claim-unlisted', 'claim-unlisted', 'please-hold']);
      t.match(over.cdr, { verdict: 'monitored', ending: 'called-declined' });
    },
  ]);
  subtests.push([
    'a claim that is taken back is judged like any other call',
    async (t) => {
      const talk = await claim(unlisted);
      await talk.callerHears('claim-unlisted');
      await talk.callerPresses('5');
      const over = await talk.over();
      t.same(over.heard.caller, ['claim-unlisted', 'refused-not-allowed']);
      t.match(over.cdr, { verdict: 'refused', ending: 'not-allowed' });
      t.notOk(talk.wasDialled);
    },
  ]);

  const menu = (to: string) => house.talk(to, { from: menuPhone });
  subtests.push(
    [
      'the menu of kinds: 1 is an ordinary call',
      async (t) => {
        const talk = await menu(number(5));
        await talk.callerHears('kind-menu');
        t.notOk(talk.wasDialled, 'nobody is dialled before');
        await talk.callerPresses('1');
        await talk.calledHears('menu-recorded');
        await talk.calledPresses('1');
        await talk.bothHear(t);
        await talk.call.hangUp();
        const over = await talk.over();
        t.same(over.heard.caller, ['kind-menu', ...waiting, 'told-recorded']);
        t.equal(keysOf(over, 'caller'), '1');
        t.match(over.cdr, { verdict: 'monitored', ending: 'caller-hung-up' });
      },
    ],
    [
      'the menu of kinds: 2 to a number that is not listed is a claim',
      async (t) => {
        const talk = await menu(number(6));
        await talk.callerHears('kind-menu');
        await talk.callerPresses('2', 'application/dtmf');
        await talk.callerHears('claim-unlisted');
        await talk.call.hangUp();
        const over = await talk.over();
        t.match(over.cdr, { verdict: 'refused', ending: 'caller-cancelled' });
        t.match(over.rows.find(({ kind }) => kind === 'claim')?.body, { outcome: 'stands' });
        checkUnrecorded(t, talk, over);
        await refusedNow(t, number(6));
      },
    ],
    [
      'the menu of kinds: no key is an ordinary call, which is announced as one',
      async (t) => {
        const talk = await menu(number(7));
        await talk.calledHears('menu-recorded');
        await talk.calledPresses('2');
        const over = await talk.over();
        t.same(over.heard.caller, ['kind-menu', 'kind-menu', ...waiting, 'called-declined']);
        t.same(over.heard.called.slice(0, 4), introduction('recorded'));
        checkUnrecorded(t, talk, over);
      },
    ],
    [
      'who calls a listed number is not asked which kind it is',
      async (t) => {
        const talk = await menu(attorneyMenu);
        await talk.calledHears('menu-private');
        await talk.call.hangUp();
        const over = await talk.over();
        t.same(over.heard.caller, waiting);
        t.match(over.cdr, { verdict: 'private', ending: 'caller-cancelled' });
      },
    ],
    [
      'the caller hangs up in the menu of kinds: no decision is the call’s',
      async (t) => {
        const talk = await menu(number(8));
        await talk.callerHears('kind-menu');
        await talk.call.hangUp();
        const over = await talk.over();
        t.match(over.cdr, { verdict: 'undecided', ending: 'caller-cancelled' });
        checkUnrecorded(t, talk, over);
      },
    ],
  );

  const refusals: readonly [string, string, string, string][] = [
    ['blocked', blocked, 'refused-blocked', 'blocked'],
    ['pending review', pending, 'refused-review', 'review-pending'],
    ['on no list', unlisted, 'refused-not-allowed', 'not-allowed'],
  ];
  for (const [what, to, prompt, ending] of refusals) {
    subtests.push([
      `a number that is ${what} is refused with its own prompt`,
      async (t) => {
        const talk = await house.talk(to);
        const over = await talk.over();
        t.same(over.heard.caller, [prompt]);
        t.match(over.cdr, { verdict: 'refused', ending });
        t.notOk(talk.wasDialled);
        checkUnrecorded(t, talk, over);
      },
    ]);
  }
  const dialled: readonly [string, string, string][] = [
    ['911', 'refused-emergency', 'emergency-number'],
    ['411', 'refused-service', 'service-barred'],
    ['21255501', 'refused-number', 'number-unparseable'],
  ];
  for (const [digits, prompt, ending] of dialled) {
    subtests.push([
      `${digits} is refused with its own prompt`,
      async (t) => {
        const talk = await house.talk(`+${digits}`, {}, digits);
        const over = await talk.over();
        t.same(over.heard.caller, [prompt]);
        t.match(over.cdr, { ending });
        const alarms = site.events.filter((one) => one.event === 'alarm' && one.callId === talk.callId);
        t.equal(alarms.length, digits === '911' ? 1 : 0, 'and 911 alone is an alarm');
      },
    ]);
  }
  subtests.push([
    'outside its hours a phone’s calls are refused, but for private ones',
    async (t) => {
      const headers = { 'X-Phone': 'shut' };
      const talk = await house.talk(number(9), { from: closedPhone, headers });
      const over = await talk.over();
      t.same(over.heard.caller, ['refused-not-now']);
      t.match(over.cdr, { verdict: 'refused', ending: 'not-now', phone: 'shut' });
      const other = await house.talk(attorneyAgain, { from: closedPhone, headers });
      await other.calledHears('menu-private');
      await other.call.hangUp();
      t.match((await other.over()).cdr, { verdict: 'private' });
    },
  ]);

  const outcomes: readonly [string, Parameters<typeof house.talk>[1], string, string][] = [
    ['busy', { answer: { do: 'reject', status: 486 } }, 'called-busy', 'called-busy'],
    ['away', { answer: { do: 'ring' } }, 'called-no-answer', 'called-no-answer'],
    ['not there', { answer: { do: 'reject', status: 404 } }, 'called-failed', 'called-number-unknown'],
    ['unreachable', { answer: { do: 'reject', status: 500 } }, 'called-failed', 'carrier-failed'],
    ['declining', { answer: { do: 'reject', status: 603 } }, 'called-failed', 'called-rejected'],
  ];
  for (const [at, [what, words, prompt, ending]] of outcomes.entries()) {
    subtests.push([
      `the caller hears that the called party is ${what}`,
      async (t) => {
        const talk = await house.talk(number(12 + at), words);
        const over = await talk.over();
        t.same(over.heard.caller.slice(-1), [prompt]);
        t.match(over.cdr, { ending, connectedMs: 0 });
        checkUnrecorded(t, talk, over);
      },
    ]);
  }
  subtests.push([
    'the caller hangs up while it rings',
    async (t) => {
      const talk = await house.talk(number(20), { answer: { do: 'ring' } });
      await talk.callerHears('please-hold');
      await talk.call.hangUp();
      const over = await talk.over();
      t.match(over.cdr, { ending: 'caller-cancelled' });
      t.ok((await talk.called()).cancel !== undefined, 'the called phone stops ringing');
      checkUnrecorded(t, talk, over);
    },
  ]);
  subtests.push([
    'the caller hangs up while it hears why it is refused',
    async (t) => {
      const talk = await house.talk(blocked);
      await talk.call.answered();
      await talk.call.hangUp();
      const over = await talk.over();
      t.match(over.cdr, { verdict: 'refused', ending: 'blocked' });
    },
  ]);
  await Promise.all(subtests.map(([name, run]) => t.test(name, { buffered: true }, run)));
  await t.test('nothing is left of any of them', (t) => checkClean(t, house, [menuPhone, closedPhone]));

  await t.test('without Redis an ordinary call is refused, and the caller hears to try again', async (t) => {
    await site.local.redis.stop();
    const talk = await house.talk(number(21));
    const over = await talk.over();
    t.same(over.heard.caller, ['refused-unavailable']);
    t.match(over.cdr, { verdict: 'refused', ending: 'lists-unavailable' });
    const other = await house.talk(attorney);
    await other.calledHears('menu-private');
    await other.calledPresses('1');
    await other.bothHear(t);
    await other.call.hangUp();
    t.match((await other.over()).cdr, { verdict: 'private', reasons: [{ code: 'privileged-in-snapshot' }] });
  });
});
