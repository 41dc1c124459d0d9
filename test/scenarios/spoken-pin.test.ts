import { readdirSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { CallerId, FacilityId, WallMs } from '../../src/core/leg.js';
import { publishCallers, unlockCaller } from '../../src/lists/commands-callers.js';
import { askCli } from '../../src/media/cli.js';
import {
  checkClean,
  checkUnrecorded,
  type KeyKind,
  numbersFrom,
  openTalkSite,
  phoneAt,
  saidTo,
  type TalkWords,
  waiting,
  withTrunk,
} from '../site/talk.js';

/** Callers who say who they are by keypad, before anything is decided or dialled. */

const allowed = numbersFrom('212', 20, 20);
const number = (at: number): string => allowed[at] ?? '';
const attorney = '+16465550120';
const hotline = '+12125550177';
/** The digits below stand nowhere but in what was keyed in: that is searched for. */
const people = {
  ada: { id: '731946', pin: '58203917', language: '' },
  berta: { id: '731957', pin: '58203928', language: 'es' },
  clara: { id: '731968', pin: '58203939', language: '' },
} as const;
const digits = (who: keyof typeof people): string => people[who].id + people[who].pin;
const wrong = (who: keyof typeof people): string => `${people[who].id}60417735`;

t.test('callers with a PIN', async (t) => {
  t.jobs = 32;
  const host = '127.0.1.2';
  const house = await openTalkSite(t, {
    lists: { allow: { '*': allowed }, privileged: { [attorney]: 'attorney', [hotline]: 'hotline' } },
    config: (config) =>
      withTrunk(host, { caller: { from: 'pin' }, phoneHeader: 'X-Phone' })({
        ...config,
        callers: { idDigits: 6, pinDigits: 8 },
      }),
  });
  const { site } = house;
  const from = await phoneAt(t, host);
  const redis = { host: site.local.redis.host, port: site.local.redis.port };
  const admin = {
    redis,
    keyPrefix: site.config.lists.keyPrefix,
    clock: { wall: () => Date.now() as WallMs, mono: () => performance.now() },
  };
  // Not in the site's folder: what is searched there is what the product wrote.
  const file = join(t.testdir({}), 'callers.csv');
  await writeFile(
    file,
    [
      'facility,caller,number_digits,pin,language',
      ...Object.entries(people).map(([name, one]) => `north,${name},${one.id},${one.pin},${one.language}`),
      '',
    ].join('\n'),
    { mode: 0o600 },
  );
  await publishCallers(file, { ...admin, idDigits: 6, pinDigits: 8 });

  let phones = 0;
  const talk = (to: string, words: TalkWords = {}, dialled?: string) =>
    house.talk(to, { from, as: 'wall-phone', headers: { 'X-Phone': `p${++phones}` }, ...words }, dialled);
  const sessions = async (pool: 'recorded' | 'private'): Promise<number> => {
    const answers = await Promise.all(site.local[pool].map((node) => askCli(node.cli, 'list numsessions')));
    return answers.reduce((sum, text) => sum + Number(/own: (\d+)/.exec(text ?? '')?.[1]), 0);
  };

  await t.test(
    'the digits are keyed in on a node that cannot record; then the call is the caller’s',
    async (t) => {
      const one = await talk(number(0));
      await one.callerHears('pin-ask');
      t.same([await sessions('recorded'), await sessions('private')], [0, 1], 'on a private node alone');
      t.notOk(one.wasDialled, 'nobody is dialled before');
      await one.callerPresses(`${digits('ada')}#`);
      await one.calledHears('menu-recorded');
      t.same([await sessions('recorded'), await sessions('private')], [1, 0], 'and then on a recorded one');
      await one.calledPresses('1');
      await one.bothHear(t);
      await one.call.hangUp();
      const over = await one.over();
      t.same(over.heard.caller, ['pin-ask', ...waiting, 'told-recorded']);
      t.match(over.cdr, { caller: 'ada', verdict: 'monitored', ending: 'caller-hung-up', phone: 'p1' });
      t.equal(over.cdr.spool.state, 'recording-finished');
      t.same(saidTo(over, 'caller'), ['pin-ask', 'please-hold', 'told-recorded']);
      t.same(
        over.rows.map(({ kind }) => kind),
        ['decision', 'armed', 'cdr'],
        'one decision, of a known caller',
      );
    },
  );

  const subtests: [string, (t: Test) => Promise<void>][] = [];
  for (const [at, kind] of (['events', 'application/dtmf-relay', 'application/dtmf'] as const).entries()) {
    subtests.push([
      `a star begins anew, by ${kind}`,
      async (t) => {
        const one = await talk(number(1 + at));
        await one.callerHears('pin-ask');
        const keys = `99*${digits('ada')}${at === 0 ? '#' : ''}`;
        await one.callerPresses(keys, kind as KeyKind);
        // Without a final key the entry ends by itself.
        await one.calledHears('menu-recorded');
        await one.calledPresses('2');
        const over = await one.over();
        t.match(over.cdr, { caller: 'ada', ending: 'called-declined' });
        checkUnrecorded(t, one, over);
      },
    ]);
  }
  subtests.push(
    [
      'keys stop the question, and the caller’s own language follows',
      async (t) => {
        const one = await talk(number(4));
        await one.call.answered();
        await one.callerPresses(`${digits('berta')}#`);
        await one.calledHears('menu-recorded');
        await one.calledPresses('1');
        await one.bothHear(t);
        await one.call.hangUp();
        const over = await one.over();
        t.same(over.heard.caller, ['es:please-hold', 'es:hold-tone', 'es:told-recorded']);
        t.match(over.cdr, { caller: 'berta' });
      },
    ],
    [
      'three wrong PINs end a call, five lock the caller, and an officer unlocks',
      async (t) => {
        const one = await talk(number(5));
        await one.callerHears('pin-ask');
        await one.callerPresses(`${wrong('clara')}#`);
        await one.callerHears('pin-ask', { nth: 2 });
        await one.callerPresses(`${wrong('clara')}#`, 'application/dtmf-relay');
        await one.callerHears('pin-ask', { nth: 3 });
        await one.callerPresses(`${wrong('clara')}#`);
        const over = await one.over();
        t.same(over.heard.caller, [
          'pin-ask',
          'pin-wrong',
          'pin-ask',
          'pin-wrong',
          'pin-ask',
          'refused-identity',
        ]);
        t.match(over.cdr, { verdict: 'undecided', caller: null, dialled: null, ending: 'pin-wrong' });
        t.notOk(one.wasDialled);
        checkUnrecorded(t, one, over);

        const two = await talk(number(5));
        await two.callerHears('pin-ask');
        await two.callerPresses(`${wrong('clara')}#`);
        await two.callerHears('pin-ask', { nth: 2 });
        await two.callerPresses(`${wrong('clara')}#`);
        await two.callerHears('pin-ask', { nth: 3 });
        await two.callerPresses(`${digits('clara')}#`);
        const locked = await two.over();
        t.same(locked.heard.caller.slice(-1), ['pin-locked'], 'the right one comes too late');
        t.match(locked.cdr, { ending: 'pin-locked', caller: null });
        t.notOk(two.wasDialled);

        await unlockCaller('north' as FacilityId, 'clara' as CallerId, admin);
        const three = await talk(number(5));
        await three.callerHears('pin-ask');
        await three.callerPresses(`${digits('clara')}#`);
        await three.calledHears('menu-recorded');
        await three.call.hangUp();
        t.match((await three.over()).cdr, { caller: 'clara', ending: 'caller-cancelled' });
      },
    ],
    [
      'nothing keyed in is asked for again, and ends clearly',
      async (t) => {
        const one = await talk(number(6));
        await one.callerHears('pin-ask');
        await one.callerPresses('#');
        await one.callerHears('pin-incomplete');
        await one.callerPresses('12*#');
        await one.callerHears('pin-incomplete', { nth: 2 });
        await one.callerPresses('#', 'application/dtmf');
        const over = await one.over();
        t.same(over.heard.caller, ['pin-ask', 'pin-incomplete', 'pin-incomplete', 'refused-identity']);
        t.match(over.cdr, { ending: 'pin-missing', verdict: 'undecided' });
        checkUnrecorded(t, one, over);
      },
    ],
    [
      'a flood of digits is a wrong PIN',
      async (t) => {
        const one = await talk(number(7));
        await one.callerHears('pin-ask');
        await one.call.audio.pressKeys('5'.repeat(26), { durationMs: 40, deadlineMs: 20_000 });
        await one.callerHears('pin-wrong');
        await one.call.hangUp();
        const over = await one.over();
        t.match(over.cdr, { ending: 'caller-cancelled', verdict: 'undecided' });
        checkUnrecorded(t, one, over);
      },
    ],
    [
      'a hotline takes no PIN and no identity',
      async (t) => {
        const one = await talk(hotline, {}, '*77');
        await one.bothHear(t);
        await one.call.hangUp();
        const over = await one.over();
        t.same(
          over.heard.caller.filter((heard) => heard.startsWith('pin')),
          [],
        );
        t.match(over.cdr, { verdict: 'private', class: 'hotline' });
        t.notOk('caller' in over.cdr || 'phone' in over.cdr);
        checkUnrecorded(t, one, over);
      },
    ],
    [
      'what is refused whoever calls is refused before anybody keys in a PIN',
      async (t) => {
        const one = await talk('+1411', {}, '411');
        const over = await one.over();
        t.same(over.heard.caller, ['refused-service']);
      },
    ],
    [
      'a privileged number is private after the PIN, on the node the caller is on already',
      async (t) => {
        const one = await talk(attorney);
        await one.callerHears('pin-ask');
        await one.callerPresses(`${digits('ada')}#`, 'application/dtmf-relay');
        await one.calledHears('menu-private');
        await one.calledPresses('1', 'application/dtmf-relay');
        await one.bothHear(t);
        await one.call.hangUp();
        const over = await one.over();
        t.same(over.heard.caller, ['pin-ask', ...waiting, 'told-private']);
        t.match(over.cdr, { caller: 'ada', verdict: 'private', class: 'attorney', node: 'private-1' });
        checkUnrecorded(t, one, over);
      },
    ],
  );
  for (const [at, prompt] of (['pin-ask', 'pin-wrong'] as const).entries()) {
    subtests.push([
      `the caller hangs up at ${prompt}`,
      async (t) => {
        const one = await talk(number(8 + at));
        await one.callerHears('pin-ask');
        if (prompt === 'pin-wrong') {
          await one.callerPresses(`${people.ada.id}#`);
          await one.callerHears('pin-wrong');
        }
        await one.callerPresses('73');
        await one.call.hangUp();
        const over = await one.over();
        t.match(over.cdr, { ending: 'caller-cancelled', verdict: 'undecided' });
        t.notOk(one.wasDialled);
        checkUnrecorded(t, one, over);
      },
    ]);
  }
  await Promise.all(subtests.map(([name, run]) => t.test(name, { buffered: true }, run)));

  await t.test('nothing is left of any of them', (t) => checkClean(t, house, [from]));

  await t.test('without Redis nobody can be asked who calls: only what is privileged goes on', async (t) => {
    await site.local.redis.stop();
    const one = await talk(attorney);
    await one.callerHears('pin-ask');
    await one.callerPresses(`${digits('ada')}#`);
    await one.calledHears('menu-private');
    await one.calledPresses('1');
    await one.bothHear(t);
    await one.call.hangUp();
    const over = await one.over();
    t.match(over.cdr, { verdict: 'private', caller: null, reasons: [{ code: 'privileged-in-snapshot' }] });
    checkUnrecorded(t, one, over);
    const two = await talk(number(10));
    const refused = await two.over();
    t.same(refused.heard.caller.slice(-1), ['refused-unavailable']);
    t.match(refused.cdr, { ending: 'lists-unavailable' });
    t.notOk(two.wasDialled);
  });

  await t.test('the digits stand in nothing that was written or told', async (t) => {
    const secrets = Object.values(people).flatMap(({ id, pin }) => [id, pin]);
    const told = JSON.stringify(site.events);
    t.ok(told.length > 10_000);
    const files = readdirSync(site.dir, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name));
    t.ok(files.some((name) => name.endsWith('.wav.age')) && files.some((name) => name.includes('journal')));
    for (const [who, secret] of secrets.entries()) {
      t.notOk(told.includes(secret), `secret ${who} is in no event`);
      const holding = files.filter((name) => readFileSync(name).includes(secret));
      t.same(holding, [], `secret ${who} is in no file`);
    }
    // Nor one by one: no caller of this file is asked anything else by key.
    const rows = JSON.stringify(await site.rows());
    t.match(rows, /"party":"called"/, 'keys of the called party are');
    t.notMatch(rows, /"party":"caller"/, 'no key of a caller is in any row');
    t.notMatch(told, /"key"/, 'nor in any event');
  });
});
