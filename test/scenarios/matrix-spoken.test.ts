import t, { type Test } from 'tap';
import type { AnswerPolicy } from '../../src/phones/answer-policy.js';
import type { ListWords, Row } from '../site/site.js';
import type { Heard } from '../site/spoken.js';
import { checkClean, introduction, openTalkSite, type Talk, type TalkSite, waiting } from '../site/talk.js';
import { calledAfterHz, callerAfterHz, checkSealed, Tracer } from './matrix/moved.js';
import { calledHz, callerHz, follow, heard, hearEachOther, orderLockdown } from './matrix/stage.js';
import { tableOf } from './matrix/table.js';

t.setTimeout(240_000);

/** The same crossing where Sallyport holds the conversation: what each party is told, to the word. */

const lockdownMs = 2000;
const at = (index: number): string => `+1212559${2000 + index}`;
const uri = (number: string): string => `<sip:${number}@carrier.invalid>`;
const forwardedTo = (number: string): AnswerPolicy => ({
  do: 'ring',
  ring: [{}, { status: 181, headers: { 'History-Info': `${uri(number)};index=1.1` } }],
});
const redirectedTo = (number: string): AnswerPolicy => ({
  do: 'redirect',
  contact: uri(number),
  ring: false,
});

type Kind = 'recorded' | 'private';
const asked = (kind: Kind): readonly Heard[] => [...introduction(kind), `menu-${kind}`];
const accepted = (kind: Kind): readonly Heard[] => [...asked(kind), 'you-accepted'];
const toldCaller = (kind: Kind): readonly Heard[] => [...waiting, `told-${kind}`];

interface Scene {
  readonly name: string;
  readonly number: string;
  readonly verdict: 'monitored' | 'private';
  readonly answer?: AnswerPolicy;
  /** Brings the call to where the change meets it. */
  readonly begin: 'up' | 'ringing' | 'asked' | 'over';
  /** The number that is rung in the end, where it is not the one dialled. */
  readonly rings?: string;
  /** What happens in the call; the lists change for all of them at once, after it. */
  readonly happens?: (talk: Talk) => Promise<unknown>;
  /** What comes of it, once the lists have changed. */
  readonly after?: (talk: Talk, t: Test) => Promise<unknown>;
  readonly ending: string;
  readonly says: { readonly caller: readonly Heard[]; readonly called: readonly Heard[] };
  readonly ends?: 'private';
  readonly disk: 'recording' | 'sealed' | 'nothing';
}

const attorney = at(90);
const otherAttorney = at(91);
const friend = at(92);
const names = (number: string) => async (talk: Talk) =>
  (await talk.called()).update({ headers: { 'P-Asserted-Identity': uri(number) } });

const goesOn = async (talk: Talk): Promise<void> => {
  await hearEachOther(talk.call, await talk.called(), 200);
  await talk.call.hangUp();
};

const scenes: readonly Scene[] = [
  {
    name: 'becomes privileged',
    number: at(0),
    verdict: 'monitored',
    begin: 'up',
    after: async (talk) => {
      await Promise.all([talk.callerHears('now-private'), talk.calledHears('now-private')]);
      const other = await talk.called();
      await hearEachOther(talk.call, other, 300, [calledAfterHz, callerAfterHz]);
      await talk.call.hangUp();
    },
    ending: 'caller-hung-up',
    says: {
      caller: [...toldCaller('recorded'), 'now-private'],
      called: [...accepted('recorded'), 'now-private'],
    },
    ends: 'private',
    disk: 'sealed',
  },
  {
    name: 'becomes blocked',
    number: at(1),
    verdict: 'monitored',
    begin: 'up',
    ending: 'blocked',
    says: {
      caller: [...toldCaller('recorded'), 'over-blocked'],
      called: [...accepted('recorded'), 'over-blocked'],
    },
    disk: 'recording',
  },
  {
    name: 'private, privileged no more',
    number: at(2),
    verdict: 'private',
    begin: 'up',
    after: goesOn,
    ending: 'caller-hung-up',
    says: { caller: toldCaller('private'), called: accepted('private') },
    disk: 'nothing',
  },
  {
    name: 'rings when it becomes privileged',
    number: at(3),
    verdict: 'monitored',
    answer: { do: 'ring' },
    begin: 'ringing',
    ending: 'became-private',
    says: { caller: [...waiting, 'refused-unavailable'], called: [] },
    disk: 'nothing',
  },
  {
    name: 'asked when it becomes privileged',
    number: at(4),
    verdict: 'monitored',
    begin: 'asked',
    ending: 'became-private',
    says: {
      caller: [...waiting, 'over-technical'],
      called: [...asked('recorded'), 'over-technical'],
    },
    disk: 'nothing',
  },
  {
    name: 'monitored, UPDATE names an attorney',
    number: at(5),
    verdict: 'monitored',
    begin: 'up',
    happens: names(attorney),
    ending: 'forwarded',
    says: {
      caller: [...toldCaller('recorded'), 'over-forwarded'],
      called: [...accepted('recorded'), 'over-forwarded'],
    },
    disk: 'sealed',
  },
  {
    name: 'private, UPDATE names a friend',
    number: at(6),
    verdict: 'private',
    begin: 'up',
    happens: names(friend),
    ending: 'forwarded',
    says: {
      caller: [...toldCaller('private'), 'over-forwarded'],
      called: [...accepted('private'), 'over-forwarded'],
    },
    disk: 'nothing',
  },
  {
    name: 'monitored, 302 to an attorney',
    number: at(7),
    verdict: 'monitored',
    answer: redirectedTo(attorney),
    begin: 'over',
    ending: 'called-redirected',
    says: { caller: ['called-failed'], called: [] },
    disk: 'nothing',
  },
  {
    name: 'private, 302 to a friend',
    number: at(8),
    verdict: 'private',
    answer: redirectedTo(friend),
    begin: 'over',
    ending: 'called-redirected',
    says: { caller: ['called-failed'], called: [] },
    disk: 'nothing',
  },
  {
    name: 'private, 302 to another attorney',
    number: at(9),
    verdict: 'private',
    answer: redirectedTo(otherAttorney),
    rings: otherAttorney,
    begin: 'up',
    after: goesOn,
    ending: 'caller-hung-up',
    says: { caller: toldCaller('private'), called: accepted('private') },
    disk: 'nothing',
  },
  {
    name: 'monitored, 302 to a friend',
    number: at(10),
    verdict: 'monitored',
    answer: redirectedTo(friend),
    rings: friend,
    begin: 'up',
    after: goesOn,
    ending: 'caller-hung-up',
    says: { caller: toldCaller('recorded'), called: accepted('recorded') },
    disk: 'recording',
  },
  {
    name: 'monitored, 181 to an attorney',
    number: at(11),
    verdict: 'monitored',
    answer: forwardedTo(attorney),
    begin: 'over',
    ending: 'forwarded',
    says: { caller: ['over-forwarded'], called: [] },
    disk: 'nothing',
  },
  {
    name: 'private, 181 to a friend',
    number: at(12),
    verdict: 'private',
    answer: forwardedTo(friend),
    begin: 'over',
    ending: 'forwarded',
    says: { caller: ['over-forwarded'], called: [] },
    disk: 'nothing',
  },
  {
    name: 'monitored, 200 of an attorney',
    number: at(13),
    verdict: 'monitored',
    answer: { do: 'answer', ring: false, headers: { 'P-Asserted-Identity': uri(attorney) } },
    begin: 'over',
    ending: 'forwarded',
    says: { caller: ['over-forwarded'], called: [] },
    disk: 'nothing',
  },
  {
    name: 'monitored, REFER to an attorney',
    number: at(14),
    verdict: 'monitored',
    begin: 'up',
    happens: async (talk) => (await talk.called()).refer(`sip:${attorney}@carrier.invalid`),
    after: goesOn,
    ending: 'caller-hung-up',
    says: { caller: toldCaller('recorded'), called: accepted('recorded') },
    disk: 'recording',
  },
];

const numberOf = (name: string): string => scenes.find((scene) => scene.name === name)?.number ?? '';
const gone = numberOf('private, privileged no more');
const locked = { monitored: at(80), private: at(81) };

const listsBefore: ListWords = {
  allow: {
    '*': [
      friend,
      locked.monitored,
      ...scenes.filter(({ verdict }) => verdict === 'monitored').map(({ number }) => number),
    ],
  },
  privileged: Object.fromEntries(
    [attorney, otherAttorney, locked.private]
      .concat(scenes.filter(({ verdict }) => verdict === 'private').map(({ number }) => number))
      .map((number) => [number, 'attorney' as const]),
  ),
};
const becoming = scenes.filter(({ name }) => name.endsWith('becomes privileged')).map(({ number }) => number);
const listsAfter: ListWords = {
  allow: listsBefore.allow ?? {},
  privileged: Object.fromEntries(
    [...Object.keys(listsBefore.privileged ?? {}).filter((number) => number !== gone), ...becoming].map(
      (number) => [number, 'attorney' as const],
    ),
  ),
  block: { [numberOf('becomes blocked')]: 'facility' },
};

/** The called party's end, which may be at another number than was dialled. */
const calledOf = (house: TalkSite, { rings, number }: Scene) => house.rung(rings ?? number).at(-1);

const begin = async (house: TalkSite, tracer: Tracer, scene: Scene): Promise<Talk> => {
  const { number, answer, rings, verdict } = scene;
  const words = answer === undefined ? {} : { answer };
  const talk = await house.talk(number, words);
  const kind: Kind = verdict === 'monitored' ? 'recorded' : 'private';
  // Whoever is redirected is rung at the target: from there on it is a call to that number.
  const there = rings === undefined ? talk : asRung(house, talk, rings);
  switch (scene.begin) {
    case 'over':
      break;
    case 'ringing':
      await talk.called();
      await talk.phase('dialling');
      await talk.callerHears('please-hold');
      break;
    case 'asked':
      await there.calledHears(`menu-${kind}`);
      break;
    case 'up':
      await there.calledHears(`menu-${kind}`);
      tracer.trace(talk.callId, talk.call, await there.called());
      await there.calledPresses('1');
      await talk.phase('connected');
      await hearEachOther(talk.call, await there.called(), 400);
      break;
    default:
      throw new Error('unreachable');
  }
  await scene.happens?.(there);
  return there;
};

const asRung = (house: TalkSite, talk: Talk, rings: string): Talk =>
  new (talk.constructor as new (house: TalkSite, parts: object) => Talk)(house, {
    call: talk.call,
    callId: talk.callId,
    number: rings,
    ignored: 0,
  });

const outcome = (cdr: Row['body'], files: readonly string[]): Scene['disk'] => {
  if (cdr.sealed?.state === 'recording-sealed') return 'sealed';
  if (cdr.spool?.state === 'recording-finished') return 'recording';
  return cdr.verdict === 'private' && files.length > 0 ? 'recording' : 'nothing';
};

t.test('what each party is told when a call changes', async (t) => {
  const house = await openTalkSite(t, {
    lists: listsBefore,
    t1Ms: 100,
    config: (config) => ({ ...config, journal: { ...config.journal, deadlineMs: 2900 } }),
  });
  const { site } = house;
  const tracer = new Tracer(site);
  t.teardown(follow(site, (event) => tracer.observe(event)));
  const talks = await Promise.all(
    scenes.map(async (scene) => {
      try {
        return { scene, talk: await begin(house, tracer, scene) };
      } catch (error) {
        t.fail(scene.name, { broken: String(error).slice(0, 800) });
        return null;
      }
    }),
  );
  // Two approve it: it removes a privileged entry.
  await site.publish(listsAfter, { approvedBy: ['one', 'two'] });
  const table: (readonly string[])[] = [
    ['call', 'verdict', 'ending', 'disk', 'caller heard', 'called heard'],
  ];
  const rest = (all: readonly Heard[], common: readonly Heard[]): string =>
    all.filter((one) => !common.includes(one)).join(' ') || '-';
  await Promise.all(
    talks.map(async (begun) => {
      if (begun === null) return;
      const { scene, talk } = begun;
      const { name } = scene;
      try {
        await scene.after?.(talk, t);
        const { cdr, heard: said } = await talk.over();
        const files = site.watch.named(talk.callId);
        t.equal(cdr.ending, scene.ending, `${name}: how it ended`);
        t.equal(cdr.verdict, scene.ends ?? scene.verdict, `${name}: its verdict`);
        // Whoever is answered at once hears that he is to hold for as long as the machine takes for it: no word, or one.
        const [first] = said.caller;
        const brief = scene.begin === 'over' && first === 'please-hold' && scene.says.caller[0] !== first;
        const told = brief ? said.caller.slice(1) : said.caller;
        t.same(told, scene.says.caller, `${name}: what the caller was told`);
        t.same(said.called, scene.says.called, `${name}: what the called party was told`);
        t.equal(outcome(cdr, files), scene.disk, `${name}: what is left of it`);
        if (scene.verdict === 'private') t.same(files, [], `${name}: no file, at any moment`);
        if (scene.begin !== 'up') {
          const other = calledOf(house, scene);
          t.notOk(heard(talk.call, calledHz) || heard(other, callerHz), `${name}: neither heard the other`);
        }
        if (scene.disk === 'sealed') {
          const { atStop, since } = tracer.sizes(talk.callId);
          t.ok(atStop !== null && atStop > 0 && since <= atStop, `${name}: the pcap grows no more`, {
            atStop,
            since,
          });
          checkSealed(t, site, cdr, name);
        }
        const usual = [...waiting, ...accepted('recorded'), ...accepted('private')];
        table.push([
          name,
          cdr.verdict,
          cdr.ending,
          outcome(cdr, files),
          rest(said.caller, usual),
          rest(said.called, usual),
        ]);
      } catch (error) {
        t.fail(name, { broken: String(error).slice(0, 1500) });
      }
    }),
  );
  for (const line of tableOf(table)) t.comment(line);

  await t.test(
    'lockdown: the monitored call ends within two seconds, and is told; the private one goes on',
    (t) => lockedDown(t, house, tracer),
  );
  await t.test('and nothing is left of any of it', (t) => checkClean(t, house));
});

const lockedDown = async (t: Test, house: TalkSite, tracer: Tracer): Promise<void> => {
  const { site } = house;
  const base = { begin: 'up', ending: '', says: { caller: [], called: [] }, disk: 'nothing' } as const;
  const [monitored, kept] = await Promise.all([
    begin(house, tracer, { ...base, name: 'monitored', number: locked.monitored, verdict: 'monitored' }),
    begin(house, tracer, { ...base, name: 'private', number: locked.private, verdict: 'private' }),
  ]);
  const given = performance.now();
  await orderLockdown(site, 'on');
  const other = await monitored.called();
  const within = { deadlineMs: lockdownMs };
  await Promise.all([monitored.call.ended(within), other.ended(within)]);
  t.comment(`ended within ${Math.round(performance.now() - given)} ms`);
  const { cdr, heard: said } = await monitored.over();
  t.match(cdr, { ending: 'lockdown', verdict: 'monitored', spool: { state: 'recording-finished' } });
  t.same([said.caller.at(-1), said.called.at(-1)], ['over-lockdown', 'over-lockdown']);
  await goesOn(kept);
  const over = await kept.over();
  t.match(over.cdr, { ending: 'caller-hung-up', verdict: 'private' });
  t.same(over.heard.called, accepted('private'), 'the private party heard of no lockdown');
  t.same(site.watch.named(kept.callId), []);
  const refused = await house.talk(locked.monitored, {});
  const { cdr: no, heard: words } = await refused.over();
  t.match(no, { ending: 'lockdown' });
  t.equal(words.caller.at(-1), 'refused-lockdown');
  await orderLockdown(site, 'off');
};
