import { existsSync } from 'node:fs';
import t, { type Test } from 'tap';
import { setLockdown } from '../../src/cli/control.js';
import { askController } from '../../src/cli/control-client.js';
import { heardMs } from '../../src/phones/goertzel.js';
import { readWav } from '../../src/phones/wav.js';
import { inProcess } from '../cli/terminal.js';
import {
  checkClean,
  checkUnrecorded,
  numbersFrom,
  openTalkSite,
  phoneAt,
  type Talk,
  type TalkWords,
  withTrunk,
} from '../site/talk.js';

/** What can happen to a spoken call that is up: lockdown, supervision, a third party. */

const allowed = numbersFrom('212', 20, 40);
const number = (at: number): string => allowed[at] ?? '';
const attorney = '+16465550120';
const hotline = '+12125550177';
const watched = '+16465550130';
const becoming = '+16465550131';
const by = { by: 'officer', why: 'a test of the whole' } as const;

t.test('lockdown and supervision of spoken calls', async (t) => {
  const host = '127.0.1.2';
  const desk = await phoneAt(t, '127.0.1.9', 'desk');
  desk.answerWith({ do: 'answer', ring: false, tone: 1700 });
  const lists = {
    allow: { '*': [...allowed, watched, becoming] },
    privileged: { [attorney]: 'attorney', [hotline]: 'hotline' },
  } as const;
  const house = await openTalkSite(t, {
    lists,
    config: (config) =>
      withTrunk(host, { unitHeader: 'X-Unit', phoneHeader: 'X-Phone' })({
        ...config,
        control: {
          ...config.control,
          supervisors: [desk.uri],
          alerts: [{ number: watched, phone: desk.uri }],
        },
      }),
  });
  const { site } = house;
  const from = await phoneAt(t, host);
  const { socket } = site.config.control;
  const order = (command: string, more: Record<string, unknown>) =>
    askController(socket, { command, ...by, ...more }) as Promise<{ note: string | null }>;
  const code = async (command: string, more: Record<string, unknown>): Promise<string> => {
    try {
      await order(command, more);
      return 'done';
    } catch (error) {
      return (error as { code?: string }).code ?? String(error);
    }
  };

  /** A call that is up. */
  const up = async (t: Test, to: string, words: TalkWords = {}, dialled?: string): Promise<Talk> => {
    const talk = await house.talk(to, words, dialled);
    if (to !== hotline) {
      await talk.calledHears(to === attorney ? 'menu-private' : 'menu-recorded');
      await talk.calledPresses('1', 'application/dtmf-relay');
    }
    await talk.phase('connected');
    await talk.bothHear(t);
    return talk;
  };
  const at = (unit: string, phone: string): TalkWords => ({
    from,
    headers: { 'X-Unit': unit, 'X-Phone': phone },
  });
  const isUp = (talk: Talk): boolean => talk.call.ending === undefined;

  await t.test(
    'lockdown ends exactly the monitored calls of its place, and refuses new ones there',
    async (t) => {
      const [phone1, unitB, elsewhere, priv, anonymous] = await Promise.all([
        up(t, number(0), at('A', 'p1')),
        up(t, number(1), at('B', 'p2')),
        up(t, number(2)),
        up(t, attorney, at('A', 'p1')),
        up(t, hotline, at('B', 'p2'), '*77'),
      ]);
      const asking = await house.talk(number(3), at('B', 'p3'));
      await asking.calledHears('menu-recorded');
      const steps: readonly [Record<string, string>, readonly Talk[], TalkWords][] = [
        [{ level: 'phone', facility: 'north', phone: 'p1' }, [phone1], at('A', 'p1')],
        [{ level: 'unit', facility: 'north', unit: 'B' }, [unitB, asking], at('B', 'p9')],
        [{ level: 'global' }, [elsewhere], {}],
      ];
      const ended = new Set<Talk>();
      for (const [step, [place, ending, words]] of steps.entries()) {
        const soon = Promise.all(ending.map((talk) => talk.call.ended({ deadlineMs: 2000 })));
        await Promise.all([soon, order('lockdown', { place, state: 'on' })]);
        t.pass(`${place.level}: within 2 s`);
        for (const talk of ending) {
          ended.add(talk);
          const over = await talk.over();
          t.match(over.cdr, { ending: 'lockdown', verdict: 'monitored' });
          t.equal(over.heard.caller.at(-1), 'over-lockdown');
          t.equal(over.heard.called.at(-1), 'over-lockdown');
          if (talk === asking) checkUnrecorded(t, talk, over);
          else t.equal(over.cdr.spool.state, 'recording-finished');
        }
        for (const talk of [phone1, unitB, elsewhere, asking, priv, anonymous])
          t.equal(isUp(talk), !ended.has(talk), 'the others go on');
        const next = await house.talk(number(10 + step), words);
        const refused = await next.over();
        t.same(refused.heard.caller, ['refused-lockdown']);
        t.notOk(next.wasDialled);
        t.match(refused.cdr, { verdict: 'refused', ending: 'lockdown' });
        await order('lockdown', { place, state: 'off' });
      }
      await Promise.all([priv.bothHear(t), anonymous.bothHear(t)]);
      const again = await up(t, number(0), at('A', 'p1'));
      await Promise.all([again, priv, anonymous].map((talk) => talk.call.hangUp()));
      for (const talk of [priv, anonymous]) {
        const over = await talk.over();
        t.match(over.cdr, { verdict: 'private', ending: 'caller-hung-up' });
        checkUnrecorded(t, talk, over);
      }
      await again.over();
      const rows = await site.rows({ kinds: ['supervision'] });
      t.equal(rows.length, 6, 'each order is a row');
      t.match(rows[0]?.body, {
        use: 'lockdown',
        state: 'on',
        by: 'officer',
        why: by.why,
        place: { phone: 'p1' },
      });
    },
  );

  await t.test('the command line locks a facility down', async (t) => {
    const talk = await up(t, number(4));
    const run = await inProcess((terminal) =>
      setLockdown('on', { facility: 'north' }, by, { socket, json: false, terminal }),
    );
    t.equal(run.code, 0, run.err);
    const over = await talk.over();
    t.match(over.cdr, { ending: 'lockdown' });
    await order('lockdown', { place: { level: 'facility', facility: 'north' }, state: 'off' });
  });

  await t.test('a change of callers is journalled before it is made', async (t) => {
    await order('callers', { change: 'unlock', facility: 'north', caller: '4711' });
    const [row] = (await site.rows({ kinds: ['supervision'] })).slice(-1);
    t.match(row?.body, { use: 'callers', change: 'unlock', facility: 'north', caller: '4711', ...by });
  });

  await t.test('an officer ends a monitored call, and no private one', async (t) => {
    const [one, priv] = await Promise.all([up(t, number(5)), up(t, attorney)]);
    t.equal(await code('end', { call: priv.callId }), 'call-private');
    t.equal(await code('end', { call: one.callId }), 'done');
    const over = await one.over();
    t.match(over.cdr, { ending: 'ended-by-staff', disposition: 'completed' });
    t.equal(over.cdr.spool.state, 'recording-finished');
    t.match(over.rows.find(({ kind }) => kind === 'supervision')?.body, { use: 'end', ...by });
    t.ok(isUp(priv));
    await priv.call.hangUp();
    await priv.over();
  });

  await t.test(
    'a supervisor hears both and is heard by none; of a private call nobody hears anything',
    async (t) => {
      const [one, priv] = await Promise.all([up(t, number(6)), up(t, attorney)]);
      const rung = desk.incoming.length;
      t.equal(await code('listen', { call: priv.callId, to: desk.uri }), 'call-private');
      t.equal(
        await code('listen', { call: one.callId, to: `sip:desk@127.0.1.8:5060` }),
        'supervisor-not-allowed',
      );
      t.equal(desk.incoming.length, rung, 'nobody was rung');
      t.equal(await code('listen', { call: one.callId, to: desk.uri }), 'done');
      const ear = await desk.incomingCall({ nth: rung + 1 });
      await Promise.all([440, 1000].map((hz) => ear.audio.untilHears(hz, { forMs: 300 })));
      t.pass('the supervisor hears both');
      const other = await one.called();
      await one.bothHear(t, 600);
      for (const [who, call] of [
        ['caller', one.call],
        ['called party', other],
      ] as const)
        t.equal(heardMs(call.audio.samples(), 1700), 0, `the ${who} never hears the supervisor`);
      await one.call.hangUp();
      const over = await one.over();
      await ear.ended();
      t.match(over.rows.filter(({ kind }) => kind === 'supervision').at(-1)?.body, { use: 'listen', ...by });
      t.equal(over.cdr.spool.state, 'recording-finished');
      const { channels } = readWav(house.site.opened(over.cdr.spool.file));
      t.same(
        channels.map((channel) => heardMs(channel, 1700)),
        [0, 0],
        'nor does the recording',
      );
      await priv.call.hangUp();
      checkUnrecorded(t, priv, await priv.over());
    },
  );

  await t.test('a watched number rings the supervisor when the call is up, and not before', async (t) => {
    const rung = desk.incoming.length;
    const talk = await house.talk(watched);
    await talk.calledHears('menu-recorded');
    t.equal(desk.incoming.length, rung, 'nobody is rung while it is asked');
    await talk.calledPresses('1');
    const ear = await desk.incomingCall({ nth: rung + 1 });
    await Promise.all([440, 1000].map((hz) => ear.audio.untilHears(hz, { forMs: 300 })));
    await talk.bothHear(t);
    await (await talk.called()).hangUp();
    const over = await talk.over();
    await ear.ended();
    t.match(over.rows.find(({ kind }) => kind === 'supervision')?.body, { use: 'listen', by: 'alert' });
    t.same(over.heard.called.slice(-1), ['you-accepted'], 'nobody hears of it');
  });

  await t.test(
    'a number that becomes privileged: ears and recording end, both are told, both go on',
    async (t) => {
      const talk = await up(t, becoming);
      const rung = desk.incoming.length;
      t.equal(await code('listen', { call: talk.callId, to: desk.uri }), 'done');
      const ear = await desk.incomingCall({ nth: rung + 1 });
      await ear.audio.untilHears(440);
      await site.publish({ ...lists, privileged: { ...lists.privileged, [becoming]: 'attorney' } });
      await ear.ended();
      const other = await talk.called();
      await Promise.all([talk.callerHears('now-private'), talk.calledHears('now-private')]);
      // What is said from here on is in no file.
      other.audio.play(1300);
      talk.call.audio.play(760);
      await Promise.all([
        talk.call.audio.untilHears(1300, { forMs: 400, deadlineMs: 10_000 }),
        other.audio.untilHears(760, { forMs: 400, deadlineMs: 10_000 }),
      ]);
      t.equal(await code('listen', { call: talk.callId, to: desk.uri }), 'call-private');
      await talk.call.hangUp();
      const over = await talk.over();
      t.match(over.cdr, {
        verdict: 'private',
        class: 'attorney',
        node: 'private-1',
        ending: 'caller-hung-up',
      });
      t.equal(over.cdr.sealed?.state, 'recording-sealed');
      const { file } = over.cdr.sealed;
      t.ok(existsSync(file) && file.includes('/sealed/'), 'what was recorded is sealed');
      const { channels } = readWav(house.site.opened(file));
      t.same(
        channels.map((channel) => heardMs(channel, 1300) + heardMs(channel, 760)),
        [0, 0],
      );
    },
  );

  await t.test('nothing is left of any of them', (t) => checkClean(t, house, [from, desk]));
});

for (const policy of ['note', 'warn', 'end'] as const) {
  t.test(`signs of a third party: ${policy}`, async (t) => {
    const house = await openTalkSite(t, {
      lists: { allow: { '*': allowed }, privileged: { [attorney]: 'attorney' } },
      config: (config) => ({
        ...config,
        policy: { ...config.policy, onThreeWay: policy, threeWayScore: 50 },
      }),
    });
    const flash = async (to: string): Promise<Talk> => {
      const talk = await house.talk(to);
      await talk.calledHears(to === attorney ? 'menu-private' : 'menu-recorded');
      await talk.calledPresses('1');
      await talk.bothHear(t);
      const other = await talk.called();
      await other.audio.pressKeys('!');
      // Where such a call ends, it ends before the last of them.
      const keys = other.audio.pressKeys('2125550199');
      if (policy === 'end' && to !== attorney) keys.catch(() => undefined);
      else await keys;
      return talk;
    };
    const [talk, priv] = await Promise.all([flash(number(0)), flash(attorney)]);
    const seen = await house.site.event(
      'three-way-suspected',
      (event) => event.callId === talk.callId && event.score >= 50,
    );
    t.ok(seen.signs.includes('hook-flash') && seen.signs.includes('dtmf-burst'), seen.signs.join(' '));
    if (policy === 'warn') {
      await Promise.all([talk.callerHears('three-way-warning'), talk.calledHears('three-way-warning')]);
      await talk.bothHear(t);
    }
    if (policy !== 'end') await talk.call.hangUp();
    const over = await talk.over();
    t.match(over.cdr, {
      ending: policy === 'end' ? 'three-way' : 'caller-hung-up',
      threeWay: { score: seen.score },
    });
    t.equal(
      over.heard.caller.at(-1),
      { note: 'told-recorded', warn: 'three-way-warning', end: 'over-three-way' }[policy],
    );
    t.equal(
      over.heard.called.at(-1),
      { note: 'you-accepted', warn: 'three-way-warning', end: 'over-three-way' }[policy],
    );
    await priv.bothHear(t);
    await priv.call.hangUp();
    const quiet = await priv.over();
    t.notOk('threeWay' in quiet.cdr, 'nobody looks at a private call');
    t.notOk(
      house.site.events.some((one) => one.event === 'three-way-suspected' && one.callId === priv.callId),
    );
    checkUnrecorded(t, priv, quiet);
  });
}
