import t, { type Test } from 'tap';
import type { Config } from '../../src/config/schema.js';
import {
  checkClean,
  checkUnrecorded,
  numbersFrom,
  openTalkSite,
  phoneAt,
  type Talk,
  type TalkWords,
  waiting,
  withTrunk,
} from '../site/talk.js';

/** No call is ended early. How late depends on the machine, which is busy with other tests. */
const inTime = (connectedMs: number, limitMs: number): boolean =>
  connectedMs > limitMs - 500 && connectedMs < limitMs + 2500;

/** How long, how often and how many: what both hear of it, and that the counts come back to nothing. */

const allowed = numbersFrom('212', 20, 40);
const number = (at: number): string => allowed[at] ?? '';
const attorney = '+16465550120';
const attorneyAlone = '+16465550121';
const relay = '+16465550122';
const wide = { caller: 1000, number: 1000, phone: 1000 };
const one = { caller: 1, number: 1, phone: 1 };

t.test('limits of spoken calls', async (t) => {
  t.jobs = 40;
  const host = '127.0.1.2';
  const house = await openTalkSite(t, {
    lists: {
      allow: { '*': allowed },
      privileged: { [attorney]: 'attorney', [attorneyAlone]: 'attorney', [relay]: 'relay' },
    },
    config: (config: Config) => {
      const { north } = config.facilities;
      if (north === undefined) throw new Error('no facility');
      return withTrunk(host, { phoneHeader: 'X-Phone' })({
        ...config,
        facilities: { north: { ...north, phones: { tty: { textTelephone: true } } } },
        policy: {
          ...config.policy,
          maxCallMinutes: 0.2,
          maxPrivateCallMinutes: 0.25,
          maxRelayCallMinutes: 1.05,
          limits: {
            windowHours: 24,
            monitored: { concurrent: one, recent: { ...wide, number: 2 }, coolDownSeconds: 12 },
            private: { concurrent: { ...wide, caller: 2 }, recent: wide, coolDownSeconds: 0 },
            alone: { concurrent: { ...wide, caller: 1 }, recent: wide, coolDownSeconds: 0 },
          },
        },
      });
    },
  });
  const { site } = house;
  const from = await phoneAt(t, host);
  const up = async (t: Test, to: string, words: TalkWords = {}): Promise<Talk> => {
    const talk = await house.talk(to, words);
    if (to !== relay) {
      await talk.calledHears(to.startsWith('+1646') ? 'menu-private' : 'menu-recorded');
      await talk.calledPresses('1', 'application/dtmf');
    }
    await talk.phase('connected');
    await talk.bothHear(t);
    return talk;
  };
  const refused = async (t: Test, to: string, words: TalkWords, ending: string, detail: string) => {
    const talk = await house.talk(to, words);
    const over = await talk.over();
    t.same(over.heard.caller, ['refused-too-many']);
    t.match(over.cdr, { verdict: 'refused', ending });
    t.match(over.cdr.reasons[0], { detail });
    t.notOk(talk.wasDialled);
    checkUnrecorded(t, talk, over);
  };
  const subtests: [string, (t: Test) => Promise<void>][] = [
    [
      'a monitored call is warned ten seconds before its end, and told at its end',
      async (t) => {
        const talk = await up(t, number(0), { as: 'long' });
        await Promise.all([talk.callerHears('ten-seconds-left'), talk.calledHears('ten-seconds-left')]);
        await talk.bothHear(t);
        const over = await talk.over();
        t.same(over.heard.caller, [...waiting, 'told-recorded', 'ten-seconds-left', 'over-time']);
        t.same(over.heard.called.slice(-3), ['you-accepted', 'ten-seconds-left', 'over-time']);
        t.match(over.cdr, { ending: 'time-limit', disposition: 'completed' });
        t.ok(inTime(over.cdr.connectedMs, 12_000), `${over.cdr.connectedMs} ms of 12 s`);
        t.equal(over.cdr.spool.state, 'recording-finished');
      },
    ],
    [
      'a private call has a time of its own',
      async (t) => {
        const talk = await up(t, attorney, { as: 'client' });
        const over = await talk.over();
        t.same(over.heard.caller, [...waiting, 'told-private', 'ten-seconds-left', 'over-time']);
        t.match(over.cdr, { ending: 'time-limit', verdict: 'private' });
        t.ok(inTime(over.cdr.connectedMs, 15_000), `${over.cdr.connectedMs} ms of 15 s`);
        checkUnrecorded(t, talk, over);
      },
    ],
    [
      'relay calls and text telephones have more, and a warning a minute before',
      async (t) => {
        const headers = { 'X-Phone': 'tty' };
        const both = await Promise.all([
          up(t, relay, { as: 'deaf' }),
          up(t, number(1), { as: 'typing', from, headers }),
        ]);
        for (const talk of both) {
          await Promise.all([talk.callerHears('minute-left'), talk.calledHears('minute-left')]);
          await talk.bothHear(t);
          await talk.call.hangUp();
          t.match((await talk.over()).cdr, { ending: 'caller-hung-up' });
        }
      },
    ],
    [
      'one monitored call at a time: of a caller, to a number, from a phone; private ones count for themselves',
      async (t) => {
        const words = { as: 'busy', from, headers: { 'X-Phone': 'p7' } };
        const first = await house.talk(number(2), words);
        await first.calledHears('menu-recorded');
        await refused(t, number(3), { as: 'busy' }, 'too-many-calls', 'caller');
        await refused(t, number(2), { as: 'b2' }, 'too-many-calls', 'number');
        await refused(t, number(4), { ...words, as: 'b3' }, 'too-many-calls', 'phone');
        const priv = await house.talk(attorney, words);
        await priv.calledHears('menu-private');
        await Promise.all([first, priv].map((talk) => talk.call.hangUp()));
        await Promise.all([first.over(), priv.over()]);
        const after = await house.talk(number(3), { as: 'busy' });
        await after.calledHears('menu-recorded');
        await after.call.hangUp();
        t.match(
          (await after.over()).cdr,
          { verdict: 'monitored' },
          'and when it is over, the next is allowed',
        );
      },
    ],
    [
      'two connected calls to a number in its window, and no third, whoever calls',
      async (t) => {
        for (const as of ['v1', 'v2']) {
          const talk = await up(t, number(5), { as });
          await talk.call.hangUp();
          await talk.over();
        }
        await refused(t, number(5), { as: 'v3' }, 'too-often', 'number');
      },
    ],
    [
      'after a call the caller waits',
      async (t) => {
        const talk = await up(t, number(6), { as: 'keen' });
        await talk.call.hangUp();
        await talk.over();
        await refused(t, number(7), { as: 'keen' }, 'too-often', 'caller');
        // As long as it takes, and no longer than the bound of the wait.
        for (let tries = 0; ; tries++) {
          const next = await house.talk(number(7), { as: 'keen' });
          const dialled = await Promise.race([
            next.over().then(() => false),
            next.called().then(
              () => true,
              () => false,
            ),
          ]);
          if (!dialled && tries < 60) continue;
          t.ok(dialled, 'and then may call again');
          await next.calledHears('menu-recorded');
          await next.call.hangUp();
          await next.over();
          return;
        }
      },
    ],
  ];
  await Promise.all(subtests.map(([name, run]) => t.test(name, { buffered: true }, run)));
  await t.test('nothing is left of any of them', (t) => checkClean(t, house, [from]));

  await t.test('without Redis a controller that counts alone allows less', async (t) => {
    const words = { as: 'alone' };
    const talk = await up(t, attorney, words);
    const second = await up(t, attorneyAlone, words);
    await second.call.hangUp();
    await second.over();
    await site.local.redis.stop();
    const over = await (await house.talk(attorneyAlone, words)).over();
    t.same(over.heard.caller, ['refused-too-many']);
    t.match(over.cdr, { verdict: 'refused', ending: 'too-many-calls', reasons: [{ detail: 'caller' }] });
    await talk.bothHear(t);
    await talk.call.hangUp();
    t.match((await talk.over()).cdr, { verdict: 'private', ending: 'caller-hung-up' }, 'who was up goes on');
  });
});
