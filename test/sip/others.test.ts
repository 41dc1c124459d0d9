import t from 'tap';
import type { OtherParty } from '../../src/call/ports.js';
import type { Connectable } from '../../src/core/decision.js';
import type { ReceivedInvite } from '../../src/phones/answer-policy.js';
import { SipError } from '../../src/sip/sip-dialog.js';
import { decisionFor, FakeAnchor, inShort, nodeSdp, openHouse } from './house.js';

t.setTimeout(120_000);

const dialledOf = (invite: ReceivedInvite): string => /^sip:([^@]*)@/.exec(invite.uri)?.[1] ?? '';

/** Answers each question with a decision for the number that was asked about. */
const willing =
  (asked: OtherParty[], verdict: 'monitored' | 'private' = 'monitored') =>
  async (party: OtherParty): Promise<Connectable | null> => {
    asked.push(party);
    return party.target === null ? null : decisionFor(party.target, verdict);
  };

t.test('redirections', async (t) => {
  const house = await openHouse(t, {
    facility: { carriers: ['west' as never] },
  });
  const { carrier } = house;
  const dialled = (): readonly string[] => carrier.invites.map(dialledOf);

  /** The first number is redirected with this Contact and status; all others answer. */
  const redirecting = (contact: string | undefined, status = 302): void =>
    carrier.answerWith((invite) =>
      dialledOf(invite) === '+12125550123'
        ? {
            do: 'reject',
            status,
            ring: false,
            ...(contact === undefined ? {} : { headers: { Contact: contact } }),
          }
        : { do: 'answer', ring: false },
    );

  await t.test('a target decided is dialled, on the same carrier', async (t) => {
    const { leg } = await house.arrived();
    redirecting('<sip:+12125550199@192.0.2.7;user=phone>;q=0.7');
    const before = dialled().length;
    const asked: OtherParty[] = [];
    const dialling = house.dial(leg.leg, { redirect: willing(asked) });
    const outcome = await dialling.outcome;
    t.match(outcome, { state: 'answered', trunk: 'west' });
    t.same(inShort(asked), ['redirect +12125550199']);
    t.same(dialled().slice(before), ['+12125550123', '+12125550199']);
    t.same(
      dialling.attempts.map((one) => one.status),
      [302, 200],
    );
    const uris = carrier.invites.slice(before).map((one) => one.uri.split('@')[1]);
    t.equal(uris[0], uris[1], 'never the host of the Contact');
    if (outcome.state === 'answered') await outcome.called.hangUp({ code: 'caller-hung-up' });
  });

  const refused: readonly (readonly [string, string | undefined, number, readonly string[]])[] = [
    ['nobody', undefined, 302, ['redirect null']],
    ['a name', '<sip:anna@192.0.2.7>', 302, ['redirect null']],
    ['Replaces in the URI', '<sip:+12125550199@192.0.2.7?Replaces=x>', 302, ['redirect null']],
    ['another method', '<sip:+12125550199@192.0.2.7;method=REFER>', 302, ['redirect null']],
    ['a web page', '<https://192.0.2.7/+12125550199>', 302, ['redirect null']],
    ['an emergency', '<sip:911@192.0.2.7>', 302, ['redirect emergency']],
    ['a star code', '<sip:*67@192.0.2.7>', 302, ['redirect service']],
    ['a proxy', '<sip:+12125550199@192.0.2.7>', 305, ['redirect null']],
    ['an alternative', '<sip:+12125550199@192.0.2.7>', 380, ['redirect null']],
    ['a flood', Array.from({ length: 90 }, () => '<sip:+12125550199@h>').join(', '), 302, ['redirect null']],
    ['the number itself', '<sip:+12125550123@192.0.2.7>', 302, []],
  ];
  await t.test('whoever cannot be called is asked about and not dialled', async (t) => {
    const { leg } = await house.arrived();
    for (const [name, contact, status, wanted] of refused) {
      redirecting(contact, status);
      const before = dialled().length;
      const asked: OtherParty[] = [];
      // Even where somebody says yes to it.
      const redirect = (party: OtherParty): Promise<Connectable | null> => {
        asked.push(party);
        return Promise.resolve(decisionFor(leg.leg.dialled));
      };
      const { outcome } = house.dial(leg.leg, { redirect });
      t.match(await outcome, { state: 'failed', ending: { code: 'called-redirected' } }, name);
      t.same(inShort(asked), wanted, name);
      t.same(dialled().slice(before), ['+12125550123'], name);
    }
  });

  await t.test('of several targets the best usable one is taken', async (t) => {
    const { leg } = await house.arrived();
    const many = (numbers: readonly string[]): string => numbers.map((one) => `<sip:${one}@h>`).join(', ');
    for (const [contact, wanted] of [
      ['<sip:+12125550198@h>;q=0.2, <sip:+12125550199@h>;q=0.9', '+12125550199'],
      ['<sip:+12125550198@h>;q=0.5, <sip:+12125550199@h>;q=0.5', '+12125550198'],
      ['<sip:+12125550198@h>;q=0.5, <tel:+12125550199>', '+12125550199'],
      ['<sip:+12125550198@h>;q=nonsense, <sip:+12125550199@h>;q=0.1', '+12125550199'],
      ['<sip:anna@h>, "a, b" <sip:+12125550199@h>', '+12125550199'],
      ['<sip:911@h>, <sip:+12125550199@h>', '+12125550199'],
      ['<sip:+12125550123@h>, <sip:+12125550199@h>', '+12125550199'],
      [`${many(['a', 'b', 'c', 'd'])}, <sip:+12125550199@h>`, '+12125550199'],
      [`${many(['a', 'b', 'c', 'd', 'e'])}, <sip:+12125550199@h>`, null],
    ] as const) {
      redirecting(contact);
      const asked: OtherParty[] = [];
      const redirect = (party: OtherParty): Promise<null> => {
        asked.push(party);
        return Promise.resolve(null);
      };
      await house.dial(leg.leg, { redirect }).outcome;
      t.same(inShort(asked), [`redirect ${wanted}`], contact);
    }
  });

  await t.test('without an answer, or with the wrong one, the call fails as before', async (t) => {
    const { leg } = await house.arrived();
    const contact = '<sip:+12125550199@192.0.2.7>';
    redirecting(contact);
    const target = {
      kind: 'number',
      key: { e164: '+12125550199', extension: null },
      type: 'ordinary',
      region: 'US',
    };
    const other = { ...target, key: { e164: '+12125550198', extension: null } };
    const cases = [
      ['nobody is asked', undefined, 'sip-302'],
      ['no', () => Promise.resolve(null), 'sip-302'],
      ['a rejection', () => Promise.reject(new Error('x')), 'sip-302'],
      [
        'an exception',
        () => {
          throw new Error('x');
        },
        'sip-302',
      ],
      ['another number', () => Promise.resolve(decisionFor(other as never)), 'redirect-undecided'],
      ['another pool', () => Promise.resolve(decisionFor(target as never, 'private')), 'redirect-undecided'],
    ] as const;
    for (const [name, redirect, detail] of cases) {
      const before = dialled().length;
      const { outcome } = house.dial(leg.leg, redirect === undefined ? {} : { redirect });
      t.same(await outcome, { state: 'failed', ending: { code: 'called-redirected', detail } }, name);
      t.same(dialled().slice(before), ['+12125550123'], name);
    }
    const told: OtherParty[] = [];
    await house.dial(leg.leg, { other: (party) => told.push(party) }).outcome;
    t.same(inShort(told), ['redirect +12125550199'], 'who only listens is told');
    const { outcome } = house.dial(
      leg.leg,
      { redirect: () => Promise.resolve(decisionFor(target as never, 'private')) },
      { decision: decisionFor(leg.leg.dialled, 'private'), anchor: new FakeAnchor('private', 31_000) },
    );
    t.match(await outcome, { state: 'answered' }, 'a private call is redirected to a private one');
  });

  await t.test('loops and long chains end', async (t) => {
    const { leg } = await house.arrived();
    const next: Record<string, string> = {
      '+12125550123': '+12125550191',
      '+12125550191': '+12125550192',
      '+12125550192': '+12125550193',
      '+12125550193': '+12125550194',
    };
    carrier.answerWith((invite) => {
      const contact = next[dialledOf(invite)];
      if (contact === undefined) return { do: 'answer', ring: false };
      return { do: 'redirect', contact: `<sip:${contact}@h>`, ring: false };
    });
    let before = dialled().length;
    let asked: OtherParty[] = [];
    const failed = { state: 'failed', ending: { code: 'called-redirected', detail: 'redirect-limit' } };
    t.same(await house.dial(leg.leg, { redirect: willing(asked) }).outcome, failed);
    t.equal(asked.length, 3, 'three are followed');
    t.equal(dialled().length - before, 4);
    next['+12125550192'] = '+12125550191';
    before = dialled().length;
    asked = [];
    const looped = { state: 'failed', ending: { code: 'called-redirected', detail: 'redirect-loop' } };
    t.same(await house.dial(leg.leg, { redirect: willing(asked) }).outcome, looped);
    t.same(dialled().slice(before), ['+12125550123', '+12125550191', '+12125550192']);
  });

  await t.test('a caller who leaves while it is asked is not kept', async (t) => {
    const { leg } = await house.arrived();
    redirecting('<sip:+12125550199@192.0.2.7>');
    const before = dialled().length;
    let answer: (decision: Connectable | null) => void = () => undefined;
    let isAsked = false;
    const redirect = (party: OtherParty): Promise<Connectable | null> => {
      isAsked = true;
      return new Promise((resolve) => {
        answer = () => resolve(decisionFor(party.target as never));
      });
    };
    const dialling = house.dial(leg.leg, { redirect });
    await house.until('it is asked', () => isAsked);
    dialling.cancel();
    t.match(await dialling.outcome, { state: 'failed', ending: { detail: 'cancelled' } });
    answer(null);
    t.same(dialled().slice(before), ['+12125550123']);
  });
});

t.test('other parties named by the called side', async (t) => {
  const house = await openHouse(t);
  const { carrier } = house;
  const { leg } = await house.arrived();

  const say = async (status: number, headers: Record<string, string | readonly string[]>) => {
    carrier.answerWith(
      status === 200
        ? { do: 'answer', ring: false, headers }
        : { do: 'answer', ring: { status, headers }, afterMs: 20 },
    );
    const told: OtherParty[] = [];
    const outcome = await house.dial(leg.leg, { other: (party) => told.push(party) }).outcome;
    if (outcome.state !== 'answered') throw new Error('not answered');
    await outcome.called.hangUp({ code: 'caller-hung-up' });
    return inShort(told);
  };
  const other = '+12125550199';
  const cases: readonly (readonly [string, Record<string, string | readonly string[]>, readonly string[]])[] =
    [
      ['nobody', {}, []],
      ['Diversion', { Diversion: `<sip:${other}@h>;reason=unconditional` }, [`diversion ${other}`]],
      ['by whom it was dialled', { Diversion: '<sip:2125550123@h>;reason=no-answer' }, ['diversion null']],
      ['a name', { Diversion: 'Anna <sip:anna@h>' }, ['diversion null']],
      ['unreadable', { Diversion: '"<sip:x@h>' }, ['diversion null']],
      ['line end in a name', { Diversion: '"a\u0001b" <sip:+12125550199@h>' }, ['diversion null']],
      ['two URIs', { Diversion: `<sip:${other}@h> <sip:2125550123@h>` }, ['diversion null']],
      [
        'two lines of different case',
        { Diversion: `<sip:${other}@h>`, DIVERSION: '<sip:+12125550198@h>' },
        [`diversion ${other}`, 'diversion +12125550198'],
      ],
      [
        'a name that looks like one',
        { Diversion: `"<sip:2125550123@h>, x" <sip:${other}@h>` },
        [`diversion ${other}`],
      ],
      [
        'History-Info',
        {
          'History-Info': [
            '<sip:+12125550123@h;user=phone>;index=1',
            `<sip:${other}@h;cause=302?Reason=SIP%3Bcause%3D302>;index=1.1;mp=1`,
          ],
        },
        [`history-info ${other}`],
      ],
      ['its own contact', { 'History-Info': '<sip:u77@192.0.2.8>;index=1.1;rc=1' }, []],
      ['no change', { 'History-Info': '<sip:gateway@192.0.2.8>;index=1.1;np=1' }, []],
      ['somebody mapped', { 'History-Info': '<sip:anna@192.0.2.8>;index=1.1;mp=1' }, ['history-info null']],
      [
        'another as contact',
        { 'History-Info': `<sip:${other}@h>;index=1.1;rc=1` },
        [`history-info ${other}`],
      ],
      ['identity', { 'P-Asserted-Identity': `<sip:${other}@h>` }, [`connected-identity ${other}`]],
      ['the same', { 'P-Asserted-Identity': '"A" <sip:12125550123@h>, <tel:+12125550123>' }, []],
      [
        'an extension',
        { 'P-Asserted-Identity': '<tel:+12125550123;ext=5>' },
        ['connected-identity +12125550123 ext 5'],
      ],
      ['a host', { 'P-Asserted-Identity': '<sip:carrier.example>' }, []],
      ['anonymous', { 'P-Asserted-Identity': '"Anonymous" <sip:anonymous@anonymous.invalid>' }, []],
      ['somebody', { 'P-Asserted-Identity': '<sip:anna@h>' }, ['connected-identity null']],
      [
        'the older header',
        { 'Remote-Party-ID': `<sip:${other}@h>;party=called` },
        [`connected-identity ${other}`],
      ],
      ['an emergency', { 'P-Asserted-Identity': '<sip:911@h>' }, ['connected-identity emergency']],
    ];
  for (const status of [183, 200]) {
    for (const [name, headers, wanted] of cases) {
      await t.test(`${status}: ${name}`, async (t) => t.same(await say(status, headers), wanted));
    }
  }

  await t.test('181 says that it goes on, and to whom where that is said', async (t) => {
    t.same(await say(181, {}), ['forwarded null']);
    t.same(
      await say(181, { 'History-Info': `<sip:+12125550123@h>;index=1, <sip:${other}@h>;index=1.1;mp=1` }),
      [`forwarded ${other}`],
    );
    t.same(await say(181, { Diversion: `<sip:${other}@h>` }), ['forwarded null', `diversion ${other}`]);
  });

  await t.test('each is told once, and of a flood the ninth is nobody', async (t) => {
    const numbers = Array.from({ length: 14 }, (_, i) => `<sip:+121255502${10 + i}@h>`);
    const rings = Array.from({ length: 3 }, () => ({
      status: 183,
      sdp: false,
      headers: { Diversion: numbers },
    }));
    carrier.answerWith({ do: 'answer', ring: rings, afterMs: 30 });
    const told: OtherParty[] = [];
    const outcome = await house.dial(leg.leg, { other: (party) => told.push(party) }).outcome;
    if (outcome.state !== 'answered') throw new Error('not answered');
    t.same(inShort(told), [
      ...Array.from({ length: 8 }, (_, i) => `diversion +121255502${10 + i}`),
      'diversion null',
    ]);
    t.equal(
      house.events.filter((one) => one.event === 'fault' && one.code === 'too-many-other-parties').length,
      1,
    );
    const headers = { Diversion: Array.from({ length: 17 }, () => '<sip:+12125550123@h>') };
    t.same(await say(183, headers), ['diversion null'], 'a list that is too long is nobody at all');
    t.same(await say(183, { Diversion: `<sip:${'1'.repeat(4100)}@h>` }), ['diversion null']);
  });

  await t.test('within the call too', async (t) => {
    carrier.answerWith({ do: 'answer', ring: false, headers: { Diversion: `<sip:${other}@h>` } });
    const outcome = await house.dial(leg.leg).outcome;
    if (outcome.state !== 'answered') throw new Error('not answered');
    const told: OtherParty[] = [];
    outcome.called.onOther((party) => told.push(party));
    t.same(inShort(told), [`diversion ${other}`], 'what nobody heard before is kept');
    const phone = carrier.incoming.at(-1);
    if (phone === undefined) throw new Error('no call');
    await phone.acknowledged200();
    const same = { headers: { 'P-Asserted-Identity': '<sip:+12125550123@h>' } };
    t.equal((await phone.update(same)).status, 200);
    t.equal(told.length, 1);
    t.equal((await phone.update({ headers: { 'P-Asserted-Identity': '<sip:+12125550197@h>' } })).status, 200);
    const sdp = { sdp: phone.invite.request.body };
    await phone.reinvite({ ...sdp, headers: { 'Remote-Party-ID': '<sip:+12125550196@h>;party=calling' } });
    t.equal((await phone.refer('tel:+12125550195')).status, 603);
    t.same(inShort(told).slice(1), [
      'connected-identity +12125550197',
      'connected-identity +12125550196',
      'refer +12125550195',
    ]);
    const sent = carrier.messages.findLast((one) => one.title === 'UPDATE')?.text ?? '';
    const cseq = Number(/CSeq: (\d+)/.exec(sent)?.[1]);
    for (const [number, at] of [
      ['+12125550123', 10],
      ['+12125550194', 11],
    ] as const) {
      const changed = sent
        .replace(/branch=\w+/, `branch=z9hG4bKfrom${number.slice(1)}`)
        .replace(/(From: [^\r]*)\+12125550123/, `$1${number}`)
        .replace(/CSeq: \d+/, `CSeq: ${cseq + at}`)
        .replace(/P-Asserted-Identity: [^\r]*\r\n/, '');
      const answered = carrier.messages.filter((one) => one.title === '200 UPDATE').length;
      carrier.sendRaw(changed, house.sip);
      await house.until(
        'it is answered',
        () => carrier.messages.filter((one) => one.title === '200 UPDATE').length > answered,
      );
    }
    t.same(inShort(told).slice(4), ['connected-identity +12125550194'], 'a changed From is another identity');
  });

  await t.test('a listener that throws takes nothing with it', async (t) => {
    carrier.answerWith({ do: 'answer', ring: false, headers: { Diversion: `<sip:${other}@h>` } });
    const { outcome } = house.dial(leg.leg, {
      other: () => {
        throw new Error('x');
      },
    });
    t.match(await outcome, { state: 'answered' });
  });
});

t.test('a PBX that forwards somebody else’s call says so', async (t) => {
  const house = await openHouse(t);
  const told: OtherParty[] = [];
  const { leg } = await house.arrived({
    headers: {
      Diversion: '<sip:+12125550188@pbx>;reason=unconditional',
      'History-Info': '<sip:1234@pbx>;index=1, <sip:2125550123@pbx>;index=1.1',
      'P-Asserted-Identity': '<sip:+12125550177@pbx>',
    },
  });
  leg.onOther((party) => told.push(party));
  t.same(inShort(told), ['history-info null', 'diversion +12125550188']);
});

t.test('answers nobody waits for', async (t) => {
  const house = await openHouse(t);
  const { carrier } = house;

  await t.test('a second phone that answers is acknowledged and hung up, and joined to nobody', async (t) => {
    const { leg } = await house.arrived();
    carrier.answerWith({ do: 'fork', answer: 'both', ring: {}, afterMs: 20 });
    const outcome = await house.dial(leg.leg).outcome;
    if (outcome.state !== 'answered') throw new Error('not answered');
    const first = carrier.incoming.at(-1);
    const second = first?.fork;
    if (first === undefined || second === undefined) throw new Error('no fork');
    await second.acknowledged200();
    t.match(await second.ended(), { by: 'them', how: 'bye' });
    t.equal(first.ending, undefined, 'the first one stays');
    await outcome.called.hangUp({ code: 'caller-hung-up' });
  });

  await t.test('an answer that crosses our CANCEL is acknowledged and hung up', async (t) => {
    const { leg } = await house.arrived();
    carrier.answerWith({ do: 'wait', lateAnswerAfterCancel: true });
    const count = carrier.incoming.length;
    const dialling = house.dial(leg.leg);
    const call = await carrier.incomingCall({ nth: count + 1 });
    call.ring();
    await house.until('it rings', () => carrier.messages.some((one) => one.title.startsWith('180')));
    dialling.cancel();
    await call.acknowledged200();
    t.match(await call.ended(), { by: 'them', how: 'bye' });
    await dialling.outcome;
  });
});

t.test('a supervisor listens', async (t) => {
  const phones = await openHouse(t);
  const desk = phones.second;
  const house = await openHouse(t, {
    endpoint: {
      supervisors: { allowed: [`sip:desk@${desk.host}:${desk.port}`], trunk: null, ringMs: 600 },
    },
  });
  const uri = `sip:desk@${desk.host}:${desk.port}`;
  const { supervisors } = house.endpoint;
  const codeOf = (error: unknown): string => (error instanceof SipError ? error.code : String(error));
  const failure = (promise: Promise<unknown>): Promise<string> => promise.then(() => 'fulfilled', codeOf);

  await t.test('on a phone that is allowed, and nobody else’s', async (t) => {
    const offer = nodeSdp(50_000, 'sendonly');
    const call = supervisors.dial(uri, offer, { Subject: 'call 7', 'X-Call': 'c1' });
    let gone = 0;
    call.onGone(() => gone++);
    t.match(await call.answer(), /a=recvonly/);
    const phone = desk.incoming.at(-1);
    if (phone === undefined) throw new Error('no call');
    t.equal(phone.invite.request.headers.get('subject'), 'call 7');
    t.equal(phone.media.remote?.text, offer);
    await phone.acknowledged200();
    t.equal((await phone.reinvite()).status, 488, 'it cannot change what it hears');
    t.equal((await phone.refer('sip:+12125550199@h')).status, 603);
    t.equal((await phone.sendInfo('application/dtmf', '1')).status, 200);
    t.equal(gone, 0);
    await phone.hangUp();
    await house.until('it is gone', () => gone === 1);
    const before = desk.invites.length;
    for (const wrong of [
      `sip:other@${desk.host}:${desk.port}`,
      `sip:desk@${desk.host}:${desk.port + 1}`,
      `sip:desk@${desk.host}`,
      `sips:desk@${desk.host}:${desk.port}`,
      `${uri};transport=tcp`,
      `${uri};maddr=192.0.2.1`,
      `${uri}?Replaces=x`,
      `<${uri}>`,
      `${uri}\r\nX: y`,
      'tel:+12125550199',
      '',
    ]) {
      t.throws(
        () => supervisors.dial(wrong, offer),
        { code: 'supervisor-not-allowed' },
        JSON.stringify(wrong),
      );
    }
    for (const header of ['Replaces', 'Route', 'From', 'Contact', 'X-', 'X-A\r\nB']) {
      t.throws(() => supervisors.dial(uri, offer, { [header]: 'x' }), { code: 'header-not-allowed' }, header);
    }
    t.throws(() => supervisors.dial(uri, offer, { Subject: 'a\r\nB: c' }), { code: 'header-not-allowed' });
    t.throws(
      () => phones.endpoint.supervisors.dial(uri, offer),
      { code: 'supervisor-not-allowed' },
      'none by default',
    );
    t.equal(desk.invites.length, before, 'and nobody was rung');
  });

  await t.test('by a trunk of supervisors, at its address alone', async (t) => {
    const trunk = house.trunk('desks', desk);
    const house2 = await openHouse(t, { endpoint: { supervisors: { allowed: [], trunk } } });
    const call = house2.endpoint.supervisors.dial(`sip:anyone@${desk.host}:${desk.port}`, nodeSdp(50_010));
    t.match(await call.answer(), /^v=0/);
    await call.hangUp();
    await call.hangUp();
    t.match(await desk.incoming.at(-1)?.ended(), { by: 'them', how: 'bye' });
    t.throws(() => house2.endpoint.supervisors.dial(`sip:a@${desk.host}:${desk.port + 1}`, ''), {
      code: 'supervisor-not-allowed',
    });
  });

  await t.test('not where it is refused, not answered, or given up', async (t) => {
    desk.answerWith({ do: 'reject', status: 486 });
    t.equal(await failure(supervisors.dial(uri, nodeSdp(50_020)).answer()), 'sip-status');
    desk.answerWith({ do: 'ring' });
    t.equal(await failure(supervisors.dial(uri, nodeSdp(50_030)).answer()), 'supervisor-no-answer');
    await desk.incoming.at(-1)?.cancelled();
    desk.answerWith({ do: 'wait', lateAnswerAfterCancel: true });
    const count = desk.incoming.length;
    const call = supervisors.dial(uri, nodeSdp(50_040));
    await house.until('it is rung', () => desk.incoming.length > count);
    const phone = desk.incoming.at(-1);
    phone?.ring();
    await house.until('it rings', () => phone?.flow.some((one) => one.startsWith('sent 180')) === true);
    await call.hangUp();
    t.equal(await failure(call.answer()), 'cancelled');
    await phone?.acknowledged200();
    t.match(await phone?.ended(), { by: 'them', how: 'bye' }, 'an answer that crosses it is hung up');
  });
});
