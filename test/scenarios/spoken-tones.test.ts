import { readdirSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { WallMs } from '../../src/core/leg.js';
import { publishCallers } from '../../src/lists/commands-callers.js';
import { heardMs } from '../../src/phones/goertzel.js';
import { tonesOfKey } from '../../src/phones/key-tones.js';
import type { Phone } from '../../src/phones/sip-phone.js';
import { readWav } from '../../src/phones/wav.js';
import {
  checkClean,
  checkUnrecorded,
  keysOf,
  numbersFrom,
  openTalkSite,
  phoneAt,
  press,
  type TalkWords,
  waiting,
  withTrunk,
} from '../site/talk.js';

/** Telephones on both sides that know of no events: they press keys as tones in the sound, as an ATA may. */

const allowed = numbersFrom('212', 20, 10);
const number = (at: number): string => allowed[at] ?? '';
const attorney = '+16465550120';
/** The digits below stand nowhere but in what was keyed in: that is searched for. */
const ada = { id: '841946', pin: '69203917' } as const;
const digits = ada.id + ada.pin;
const hosts = { mu: '127.0.1.2', a: '127.0.1.3', events: '127.0.1.4' } as const;

t.test('keys by tone', async (t) => {
  t.jobs = 8;
  const house = await openTalkSite(t, {
    lists: { allow: { '*': allowed }, privileged: { [attorney]: 'attorney' } },
    carrierEvents: false,
    codecs: ['PCMU', 'PCMA'],
    config: (config) =>
      Object.values(hosts).reduce(
        (made, host) =>
          withTrunk(host, {
            caller: { from: 'pin' },
            phoneHeader: 'X-Phone',
            keys: host === hosts.events ? 'events' : 'auto',
          })(made),
        { ...config, callers: { idDigits: 6, pinDigits: 8 } },
      ),
  });
  const { site } = house;
  const phones = {
    mu: await phoneAt(t, hosts.mu, 'ata', { events: false }),
    a: await phoneAt(t, hosts.a, 'ata', { events: false, codecs: ['PCMA'] }),
    events: await phoneAt(t, hosts.events, 'pbx', { events: false }),
  };
  const file = join(t.testdir({}), 'callers.csv');
  await writeFile(file, `facility,caller,number_digits,pin,language\nnorth,ada,${ada.id},${ada.pin},\n`, {
    mode: 0o600,
  });
  await publishCallers(file, {
    redis: { host: site.local.redis.host, port: site.local.redis.port },
    keyPrefix: site.config.lists.keyPrefix,
    clock: { wall: () => Date.now() as WallMs, mono: () => performance.now() },
    idDigits: 6,
    pinDigits: 8,
  });
  let count = 0;
  const talk = (to: string, from: Phone, words: TalkWords = {}) =>
    house.talk(to, { from, as: 'wall-phone', headers: { 'X-Phone': `p${++count}` }, ...words });

  const subtests: [string, (t: Test) => Promise<void>][] = [];
  for (const [at, codec] of (['mu', 'a'] as const).entries()) {
    subtests.push([
      `a PIN and an acceptance, monitored, phone ${codec}`,
      async (t) => {
        const one = await talk(number(at), phones[codec]);
        t.notMatch(one.call.media.received.at(-1)?.text ?? '', /telephone-event/);
        await one.callerHears('pin-ask');
        await one.callerPresses(`${digits}#`, 'tones');
        await one.calledHears('menu-recorded');
        t.notMatch((await one.called()).invite.request.body, /telephone-event/, 'nobody offers events');
        t.same(site.watch.named(one.callId), [], 'nothing is recorded while it is asked');
        await one.calledPresses('1', 'tones');
        await one.bothHear(t);
        await one.callerPresses('7', 'tones');
        await one.bothHear(t, 600);
        await one.call.hangUp();
        const over = await one.over();
        t.same(over.heard.caller, ['pin-ask', ...waiting, 'told-recorded']);
        t.match(over.cdr, { caller: 'ada', verdict: 'monitored', ending: 'caller-hung-up' });
        t.equal(keysOf(over, 'called'), '1');
        t.equal(over.cdr.spool.state, 'recording-finished');
        const [left = new Int16Array(), right = new Int16Array()] = readWav(
          house.site.opened(over.cdr.spool.file),
        ).channels;
        t.ok(heardMs(left, 440) > 200 && heardMs(right, 1000) > 200, 'both are in the recording');
        t.ok(heardMs(left, tonesOfKey('7')[0]) > 0, 'with what was pressed in the conversation');
        t.equal(heardMs(right, tonesOfKey('1')[0]), 0, 'and not what was pressed in the menu');
      },
    ]);
  }
  subtests.push(
    [
      'a private call: the PIN and the 1 are tones, and nothing of it is on any disk',
      async (t) => {
        const one = await talk(attorney, phones.a);
        await one.callerHears('pin-ask');
        await one.callerPresses(`99*${digits}#`, 'tones');
        await one.calledHears('menu-private');
        await one.calledPresses('1', 'tones');
        await one.bothHear(t);
        await one.call.hangUp();
        const over = await one.over();
        t.same(over.heard.caller, ['pin-ask', ...waiting, 'told-private']);
        t.match(over.cdr, { caller: 'ada', verdict: 'private', class: 'attorney', node: 'private-1' });
        checkUnrecorded(t, one, over);
      },
    ],
    [
      'a key that comes as a tone and as INFO is one key',
      async (t) => {
        const one = await talk(number(2), phones.mu);
        await one.callerHears('pin-ask');
        for (const key of `${digits}#`) {
          await Promise.all([
            press(one.call, key, 'tones'),
            // The entry may be over, and the call with it, when the second form of the last key comes.
            press(one.call, key, 'application/dtmf-relay'),
          ]);
        }
        await one.calledHears('menu-recorded');
        const other = await one.called();
        await Promise.all([press(other, '2', 'tones'), press(other, '2', 'application/dtmf')]);
        const over = await one.over();
        t.match(over.cdr, { caller: 'ada', ending: 'called-declined' });
        t.equal(keysOf(over, 'called'), '2');
        checkUnrecorded(t, one, over);
      },
    ],
    [
      'a trunk of events alone: its tones are sound and no keys',
      async (t) => {
        const one = await talk(number(3), phones.events);
        await one.callerHears('pin-ask');
        await one.callerPresses('1234', 'tones');
        await one.callerPresses(`${digits}#`, 'application/dtmf-relay');
        await one.calledHears('menu-recorded');
        await one.call.hangUp();
        t.match((await one.over()).cdr, { caller: 'ada', ending: 'caller-cancelled' });
      },
    ],
    [
      'who never presses is asked in vain, and hangs up in the midst of being listened to',
      async (t) => {
        const one = await talk(number(4), phones.mu);
        await one.callerHears('pin-ask');
        await one.callerPresses('73', 'tones');
        await one.call.hangUp();
        t.match((await one.over()).cdr, { ending: 'caller-cancelled', verdict: 'undecided' });
        const two = await talk(number(5), phones.mu);
        await two.callerHears('pin-ask');
        await two.callerPresses(`${digits}#`, 'tones');
        await two.calledHears('menu-recorded');
        await (await two.called()).hangUp();
        const over = await two.over();
        t.match(over.cdr, { caller: 'ada', verdict: 'monitored' });
        checkUnrecorded(t, two, over);
      },
    ],
  );
  await Promise.all(subtests.map(([name, run]) => t.test(name, { buffered: true }, run)));

  await t.test('nothing is left of any of them', (t) => checkClean(t, house, Object.values(phones)));

  await t.test('the digits stand in nothing that was written or told', async (t) => {
    const told = JSON.stringify(site.events);
    t.ok(told.length > 10_000);
    const files = readdirSync(site.dir, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name));
    t.ok(files.some((name) => name.endsWith('.wav.age')) && files.some((name) => name.includes('journal')));
    for (const secret of Object.values(ada)) {
      t.notOk(told.includes(secret));
      t.same(
        files.filter((name) => readFileSync(name).includes(secret)),
        [],
      );
    }
    const courses = (await site.rows({ kinds: ['cdr'] })).flatMap(
      ({ body }) => body.conversation.course as { party?: string; key?: string }[],
    );
    const keyed = courses.filter(({ key }) => key !== undefined);
    t.ok(keyed.length > 0);
    t.same(
      keyed.filter(({ party }) => party !== 'called'),
      [],
      'no key of a caller is in any row',
    );
    t.notMatch(told, /"key"/, 'nor in any event');
  });
});
