import t, { type Test } from 'tap';
import { heardMs } from '../../src/phones/goertzel.js';
import { readWav } from '../../src/phones/wav.js';
import type { KeyKind, Over } from '../site/talk.js';
import {
  checkClean,
  checkUnrecorded,
  inSpanish,
  introduction,
  keysOf,
  numbersFrom,
  openTalkSite,
  placesInRedis,
  saidTo,
  waiting,
} from '../site/talk.js';

/**
 * The conversation with the called party: what both hear, what they press, and what becomes of it. All calls of this
 * file are up at the same time; prompts are found in the sound each phone received.
 */

const allowed = numbersFrom('212', 20, 60);
const privileged = numbersFrom('646', 20, 20);
const hotline = '+12125550177';
const relay = '+12125550178';
const number = (at: number): string => allowed[at] ?? '';
const attorney = (at: number): string => privileged[at] ?? '';

const introductionRecorded = introduction('recorded');
const kindsOf = (over: Over): readonly string[] => over.rows.map(({ kind }) => kind);

t.test('the conversation with the called party', async (t) => {
  t.jobs = 64;
  const house = await openTalkSite(t, {
    lists: {
      allow: { '*': allowed },
      privileged: {
        ...Object.fromEntries(privileged.map((one) => [one, 'attorney' as const])),
        [hotline]: 'hotline',
        [relay]: 'relay',
      },
    },
    local: { portCount: 1024 },
  });
  const { site } = house;
  const monitored = (kind: KeyKind, at: number) => async (t: Test) => {
    const talk = await house.talk(number(at), { as: '4711' });
    const other = await talk.called();
    // Until it is told the called party sends another tone, and so does the caller until it waits.
    other.audio.play(700);
    talk.call.audio.play(620);
    await talk.callerHears('please-hold');
    talk.call.audio.play(440);
    await talk.calledHears('menu-recorded');
    t.equal(talk.house.site.watch.named(talk.callId).length, 0, 'nothing is recorded while it is asked');
    other.audio.play(1000);
    await talk.calledPresses('1', kind);
    await talk.bothHear(t, 600);
    await talk.call.hangUp();
    const over = await talk.over();
    t.same(over.heard.called, [...introductionRecorded, 'menu-recorded', 'you-accepted']);
    t.same(over.heard.caller, [...waiting, 'told-recorded']);
    t.same(saidTo(over, 'called'), over.heard.called, 'the CDR says the same');
    t.equal(keysOf(over, 'called'), '1');
    t.match(over.cdr, { verdict: 'monitored', ending: 'caller-hung-up', status: 200, caller: '4711' });
    t.equal(over.cdr.spool.state, 'recording-finished');
    t.same(kindsOf(over), ['decision', 'armed', 'cdr']);
    const [left = new Int16Array(), right = new Int16Array()] = readWav(
      house.site.opened(over.cdr.spool.file),
    ).channels;
    t.ok(
      heardMs(left, 440) >= 200 && heardMs(right, 1000) >= 200,
      'the two are in the recording, each in its channel',
    );
    t.equal(heardMs(left, 620) + heardMs(right, 700), 0, 'and nothing of before they were told');
    t.same([...house.ear.in(left), ...house.ear.in(right)], [], 'nor what we said');
    t.ok(
      left.length / 8 < over.cdr.connectedMs + 500,
      `${left.length / 8} ms were recorded of ${over.cdr.connectedMs} ms`,
    );
  };
  const subtests: [string, (t: Test) => Promise<void>][] = [];
  subtests.push(
    ['monitored, accepted with 1 as an RTP event', monitored('events', 0)],
    ['monitored, accepted with 1 by INFO, dtmf-relay', monitored('application/dtmf-relay', 1)],
    ['monitored, accepted with 1 by INFO, dtmf', monitored('application/dtmf', 2)],
  );

  for (const [at, kind] of (['events', 'application/dtmf-relay'] as const).entries()) {
    subtests.push([
      `private, accepted with 1 by ${kind}`,
      async (t) => {
        const talk = await house.talk(attorney(at));
        await talk.calledHears('menu-private');
        await talk.calledPresses('1', kind);
        await talk.bothHear(t);
        await (await talk.called()).hangUp();
        const over = await talk.over();
        t.same(over.heard.called, [...introduction('private'), 'menu-private', 'you-accepted']);
        t.same(over.heard.caller, [...waiting, 'told-private']);
        t.match(over.cdr, {
          verdict: 'private',
          class: 'attorney',
          ending: 'called-hung-up',
          node: 'private-1',
        });
        checkUnrecorded(t, talk, over);
      },
    ]);
  }

  subtests.push(
    [
      'a hotline is a machine: nothing is said to it, and nobody’s identity is kept',
      async (t) => {
        const talk = await house.talk(hotline, { as: 'somebody' }, '*77');
        await talk.bothHear(t);
        const during = await placesInRedis(site);
        t.ok(during.length > 0, 'the call holds a place in the counts');
        await talk.call.hangUp();
        const over = await talk.over();
        t.same(over.heard.called, []);
        t.same(over.heard.caller.slice(-1), ['notice-private']);
        t.match(over.cdr, { verdict: 'private', class: 'hotline', ending: 'caller-hung-up' });
        t.notMatch(JSON.stringify(over.rows), /somebody/, 'in no row of the call');
        t.notOk('caller' in over.cdr || 'unit' in over.cdr || 'phone' in over.cdr);
        checkUnrecorded(t, talk, over);
      },
    ],
    [
      'a relay service too is a machine',
      async (t) => {
        const talk = await house.talk(relay, { as: 'r1' });
        await talk.bothHear(t);
        await talk.call.hangUp();
        const over = await talk.over();
        t.same(over.heard.called, []);
        t.match(over.cdr, { verdict: 'private', class: 'relay', caller: 'r1' });
        checkUnrecorded(t, talk, over);
      },
    ],
    [
      'declined with 2',
      async (t) => {
        const talk = await house.talk(number(3));
        await talk.calledHears('menu-recorded');
        await talk.calledPresses('2');
        const over = await talk.over();
        t.same(over.heard.called, [...introductionRecorded, 'menu-recorded', 'you-refused']);
        t.same(over.heard.caller, [...waiting, 'called-declined']);
        t.match(over.cdr, { ending: 'called-declined', connectedMs: 0 });
        checkUnrecorded(t, talk, over);
      },
    ],
    [
      '3 protects the number: the next call is refused at once, whoever calls',
      async (t) => {
        const talk = await house.talk(number(4));
        await talk.calledHears('menu-recorded');
        await talk.calledPresses('3', 'application/dtmf-relay');
        const over = await talk.over();
        t.same(over.heard.called, [...introductionRecorded, 'menu-recorded', 'you-protected']);
        t.same(over.heard.caller, [...waiting, 'refused-review']);
        t.match(over.cdr, { ending: 'called-protected', connectedMs: 0 });
        t.match(over.rows.find(({ kind }) => kind === 'answer')?.body, { answer: 'protected' });
        checkUnrecorded(t, talk, over);
        const next = await house.talk(number(4), { as: 'another' });
        const refused = await next.over();
        t.notOk(next.wasDialled, 'and is not dialled');
        t.same(refused.heard.caller, ['refused-review']);
        t.match(refused.cdr, { verdict: 'refused', ending: 'review-pending', detail: 'review-pending' });
      },
    ],
    [
      '7 blocks the number: the next call is refused at once, whoever calls',
      async (t) => {
        const talk = await house.talk(number(5));
        await talk.calledHears('menu-recorded');
        await talk.calledPresses('7');
        const over = await talk.over();
        t.same(over.heard.called, [...introductionRecorded, 'menu-recorded', 'you-blocked']);
        t.same(over.heard.caller, [...waiting, 'called-declined']);
        t.match(over.cdr, { ending: 'called-blocked-us', connectedMs: 0 });
        const next = await house.talk(number(5), { as: 'another' });
        const refused = await next.over();
        t.notOk(next.wasDialled, 'and is not dialled');
        t.same(refused.heard.caller, ['refused-blocked']);
        t.match(refused.cdr, { ending: 'blocked', reasons: [{ code: 'blocked', detail: 'called-party' }] });
      },
    ],
    [
      '8 says it all in the other language, and what follows too',
      async (t) => {
        const talk = await house.talk(number(6));
        await talk.calledHears('menu-recorded');
        await talk.calledPresses('8');
        await talk.calledHears('es:menu-recorded');
        await talk.calledPresses('1');
        await talk.bothHear(t);
        await talk.call.hangUp();
        const over = await talk.over();
        t.same(over.heard.called, [
          ...introductionRecorded,
          'menu-recorded',
          ...inSpanish([...introductionRecorded, 'menu-recorded', 'you-accepted']),
        ]);
        t.same(over.heard.caller, [...waiting, 'told-recorded'], 'the caller’s language is its own');
      },
    ],
    [
      '9 repeats, a wrong key is told, and both are bounded',
      async (t) => {
        const talk = await house.talk(number(7));
        await talk.calledHears('menu-recorded');
        await talk.calledPresses('9');
        await talk.calledHears('menu-recorded', { nth: 2 });
        await talk.calledPresses('5');
        await talk.calledHears('menu-recorded', { nth: 3 });
        await talk.calledPresses('#');
        const over = await talk.over();
        t.same(over.heard.called, [
          ...introductionRecorded,
          'menu-recorded',
          'menu-recorded',
          'wrong-key',
          'menu-recorded',
          'you-pressed-nothing',
        ]);
        t.same(over.heard.caller, [...waiting, 'called-no-key']);
        t.match(over.cdr, { ending: 'called-no-key', connectedMs: 0 });
        checkUnrecorded(t, talk, over);
      },
    ],
    [
      'voicemail presses no key: nothing is connected and nothing recorded',
      async (t) => {
        const talk = await house.talk(number(8));
        const over = await talk.over();
        t.same(over.heard.called, [
          ...introductionRecorded,
          'menu-recorded',
          'menu-recorded',
          'menu-recorded',
          'you-pressed-nothing',
        ]);
        t.same(over.heard.caller, [...waiting, 'called-no-key']);
        t.match(over.cdr, { ending: 'called-no-key', disposition: 'no-answer', connectedMs: 0 });
        checkUnrecorded(t, talk, over);
      },
    ],
    [
      'keys during the notice accept nothing; those of the menu count before its end',
      async (t) => {
        const talk = await house.talk(number(9));
        await talk.calledHears('greeting');
        await talk.calledPresses('11');
        await talk.calledHears('menu-recorded');
        t.notOk(
          site.events.some(
            (one) => one.event === 'call-phase' && one.callId === talk.callId && one.phase === 'telling',
          ),
          'the call is not accepted',
        );
        await talk.calledPresses('2');
        const over = await talk.over();
        t.match(over.cdr, { ending: 'called-declined', connectedMs: 0 });
        t.equal(keysOf(over, 'called'), '112');
        checkUnrecorded(t, talk, over);
      },
    ],
    [
      'the notice can be refused before it ends',
      async (t) => {
        const talk = await house.talk(number(10));
        await talk.calledHears('greeting');
        await talk.calledPresses('2');
        const over = await talk.over();
        t.same(over.heard.called.slice(-1), ['you-refused']);
        t.notOk(over.heard.called.includes('menu-recorded'));
        t.match(over.cdr, { ending: 'called-declined' });
      },
    ],
    [
      'of two keys at once the first counts',
      async (t) => {
        const talk = await house.talk(number(11));
        await talk.calledHears('menu-recorded');
        await Promise.all([talk.calledPresses('2'), talk.calledPresses('1')]);
        const over = await talk.over();
        t.match(over.cdr, { ending: 'called-declined', connectedMs: 0 });
        checkUnrecorded(t, talk, over);
      },
    ],
    [
      'a flood of keys ends clearly, and a flood of wrong ones too',
      async (t) => {
        const talk = await house.talk(number(12));
        await talk.calledHears('greeting');
        const other = await talk.called();
        await other.audio
          .pressKeys('4'.repeat(32), { durationMs: 40, deadlineMs: 20_000 })
          .catch(() => undefined);
        const over = await talk.over();
        t.match(over.cdr, { ending: 'called-no-key', connectedMs: 0 });
        t.same(over.heard.caller, [...waiting, 'called-no-key']);
        t.ok(over.cdr.conversation.course.length <= 64);
      },
    ],
    [
      'INFO with rubbish is no key, and ends nothing',
      async (t) => {
        const talk = await house.talk(number(13));
        await talk.calledHears('menu-recorded');
        const other = await talk.called();
        for (const [type, body] of [
          ['application/dtmf-relay', 'Signal=\r\nDuration=160'],
          ['application/dtmf-relay', 'Signal=77\r\n'],
          ['application/dtmf', 'seven'],
          ['application/dtmf', ''],
          ['text/plain', '7'],
          ['application/dtmf-relay', `Signal=1\r\n${'x'.repeat(3000)}`],
        ] as const)
          await other.sendInfo(type, body);
        await talk.calledPresses('1', 'application/dtmf');
        await talk.bothHear(t);
        await talk.call.hangUp();
        const over = await talk.over();
        t.equal(keysOf(over, 'called'), '1');
      },
    ],
    [
      'a called party that never sends a packet is asked all the same, and nothing is recorded',
      async (t) => {
        const talk = await house.talk(number(14));
        (await talk.called()).audio.mute();
        const over = await talk.over();
        t.equal(over.cdr.ending, 'called-no-key');
        t.same(over.heard.caller, [...waiting, 'called-no-key']);
        checkUnrecorded(t, talk, over);
      },
    ],
    [
      'a called party that never sends a packet can accept by INFO',
      async (t) => {
        const talk = await house.talk(number(15));
        const other = await talk.called();
        other.audio.mute();
        await talk.calledHears('menu-recorded');
        await talk.calledPresses('1', 'application/dtmf');
        await talk.phase('connected');
        await other.audio.untilHears(440);
        await talk.call.hangUp();
        const over = await talk.over();
        t.match(over.cdr, { verdict: 'monitored', ending: 'caller-hung-up' });
        t.equal(over.cdr.spool.state, 'recording-finished');
      },
    ],
  );

  // Each party hangs up at each prompt.
  const moments: readonly ['caller' | 'called', string, 'caller' | 'called'][] = [
    ['caller', 'please-hold', 'caller'],
    ['called', 'greeting', 'caller'],
    ['called', 'greeting', 'called'],
    ['called', 'notice-recorded', 'caller'],
    ['called', 'notice-recorded', 'called'],
    ['called', 'menu-recorded', 'caller'],
    ['called', 'menu-recorded', 'called'],
  ];
  for (const [at, [hearer, prompt, gone]] of moments.entries()) {
    subtests.push([
      `the ${gone} hangs up when the ${hearer} has heard ${prompt}`,
      async (t) => {
        const talk = await house.talk(number(20 + at));
        if (hearer === 'caller') await talk.callerHears(prompt as 'greeting');
        else await talk.calledHears(prompt as 'greeting');
        if (gone === 'caller') await talk.call.hangUp();
        else await (await talk.called()).hangUp();
        const over = await talk.over();
        t.equal(over.cdr.ending, gone === 'caller' ? 'caller-cancelled' : 'called-hung-up-early');
        if (gone === 'called')
          t.same(over.heard.caller.slice(-1), ['called-declined'], 'the caller hears why');
        t.equal(over.cdr.connectedMs, 0);
        checkUnrecorded(t, talk, over);
      },
    ]);
  }
  for (const [at, gone] of (['caller', 'called'] as const).entries()) {
    subtests.push([
      `the ${gone} hangs up while both are told`,
      async (t) => {
        const talk = await house.talk(number(30 + at));
        await talk.calledHears('menu-recorded');
        await talk.calledPresses('1', 'application/dtmf-relay');
        await talk.phase('telling');
        if (gone === 'caller') await talk.call.hangUp();
        else await (await talk.called()).hangUp();
        const over = await talk.over();
        t.equal(over.cdr.ending, gone === 'caller' ? 'caller-cancelled' : 'called-hung-up-early');
        t.equal(over.cdr.connectedMs, 0);
        checkUnrecorded(t, talk, over);
      },
    ]);
  }

  await Promise.all(subtests.map(([name, run]) => t.test(name, { buffered: true }, run)));
  await t.test('and nothing is left of any of them', (t) => checkClean(t, house));
});
