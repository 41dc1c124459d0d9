import type { Test } from 'tap';
import type { Row } from '../../site/site.js';
import type { Verdict } from './cells.js';
import { calledHz, callerHz, heard, hearEachOther, type Stage } from './stage.js';

/** What the crossing does not hold: forks, take-overs, new descriptions, chains of redirects, answers that cross a CANCEL. */

/** Numbers of the call's own class, of the other one, and of a hotline; each scenario takes fresh ones. */
export interface Numbers {
  own(): string;
  other(): string;
  readonly hotline: string;
}

interface Scene {
  readonly t: Test;
  readonly stage: Stage;
  readonly verdict: Verdict;
  readonly numbers: Numbers;
  readonly as: string;
}

export interface Scenario {
  readonly name: string;
  /** Gives the CDR, and what is remarkable about the call, for the table. */
  readonly play: (scene: Scene) => Promise<{ readonly cdr: Row['body']; readonly remark: string }>;
}

const cdrOf = async ({ stage }: Scene, callId: string): Promise<Row['body']> => {
  await stage.over(callId);
  return stage.site.cdr(callId);
};

/** A call that is up, with both hearing each other. */
const talking = async (scene: Scene, number = scene.numbers.own()) => {
  const { stage, as } = scene;
  const { call, callId } = await stage.place(number, as);
  await call.answered();
  const other = await stage.incoming(number);
  await stage.up(callId);
  await hearEachOther(call, other, 200);
  return { call, other, callId, number };
};

const refused = async (scene: Scene, number: string, detail: string) => {
  const { call, callId } = await scene.stage.place(number, scene.as);
  const answer = await call.failed();
  const cdr = await cdrOf(scene, callId);
  scene.t.match(
    { status: answer.status, ending: cdr.ending, detail: cdr.detail },
    { status: 403, ending: 'called-redirected', detail },
    `${scene.verdict}: ${detail}`,
  );
  scene.t.notOk(heard(call, calledHz), 'the caller heard nobody');
  return cdr;
};

const fork: Scenario = {
  name: 'fork, two answers',
  play: async (scene) => {
    const { t, stage, numbers, as, verdict } = scene;
    const number = numbers.own();
    stage.on(number, { do: 'fork', answer: 'both' });
    const { call, callId } = await stage.place(number, as);
    await call.answered();
    const first = await stage.incoming(number);
    const second = first.fork;
    if (second === undefined) throw new Error('no second branch');
    const [one, two] = await Promise.race([
      first.ended().then(() => [second, first] as const),
      second.ended().then(() => [first, second] as const),
    ]);
    t.match(two.ending, { by: 'them', how: 'bye' }, `${verdict}: the second answer is hung up`);
    t.ok(two.acksReceived > 0, `${verdict}: after its ACK`);
    await hearEachOther(call, one);
    t.notOk(heard(two, callerHz), `${verdict}: the second heard nobody`);
    await call.hangUp();
    return { cdr: await cdrOf(scene, callId), remark: 'second 200: ACK and BYE' };
  },
};

const newDescription: Scenario = {
  name: 're-INVITE with new SDP',
  play: async (scene) => {
    const { t, verdict } = scene;
    const { call, other, callId } = await talking(scene);
    const nodes = () => [
      ...new Set([call, other].flatMap((one) => one.media.received.flatMap((sdp) => sdp.addresses))),
    ];
    const before = nodes();
    for (const holder of [call, other]) {
      t.equal((await holder.hold()).status, 200);
      await Promise.all([call.audio.untilSilent(), other.audio.untilSilent()]);
      t.equal((await holder.resume()).status, 200);
      await hearEachOther(call, other, 200);
    }
    t.same(nodes(), before, `${verdict}: the node that was told is the only one that ever is`);
    await call.hangUp();
    return { cdr: await cdrOf(scene, callId), remark: 'held, silent, heard again; same node' };
  },
};

const replaces: Scenario = {
  name: 'Replaces',
  play: async (scene) => {
    const { t, stage, numbers, verdict } = scene;
    const { call, other, callId } = await talking(scene);
    const theirs = (await call.answered()).headers.get('to')?.split('tag=')[1] ?? '';
    const text = `${call.callId};to-tag=${theirs};from-tag=${call.localTag}`;
    const before = stage.site.called.invites.length;
    const rejected = stage.site.events.length;
    const at = stage.site.sip();
    const take = await stage.site.caller.call({
      to: `sip:${numbers.own().slice(1)}@${at.host}:${at.port}`,
      via: at,
      headers: { Replaces: text },
    });
    t.equal((await take.failed()).status, 403, `${verdict}: a new INVITE that would take the call over`);
    await stage.site.until('it is in the events', () =>
      stage.site.events
        .slice(rejected)
        .some((event) => event.event === 'call-rejected' && event.ending === 'transfer-refused'),
    );
    for (const party of [call, other]) {
      t.equal((await party.reinvite({ headers: { Replaces: text } })).status, 403, `${verdict}: in the call`);
      const to = `sip:${numbers.other()}@carrier.invalid?Replaces=${encodeURIComponent(text)}`;
      t.equal((await party.refer(to)).status, 603, `${verdict}: an attended transfer`);
    }
    await stage.site.event('other-party', (event) => event.callId === callId && event.how === 'refer');
    await hearEachOther(call, other, 200);
    t.ok(
      stage.site.called.invites.slice(before).every(({ uri }) => !uri.includes('carrier.invalid')),
      'nobody was dialled for it',
    );
    await call.hangUp();
    const cdr = await cdrOf(scene, callId);
    for (const party of cdr.otherParties) {
      t.same(party, { how: 'refer', verdict: 'unreadable', outcome: 'flag' }, `${verdict}: noted`);
    }
    return { cdr, remark: '403 and 603; the call goes on' };
  },
};

const chain = (hops: number): Scenario => ({
  name: `302, ${hops} in a row`,
  play: async (scene) => {
    const { t, stage, numbers, as, verdict } = scene;
    const list = Array.from({ length: hops + 1 }, () => numbers.own());
    list.forEach((number, index) => {
      const next = list[index + 1];
      if (next !== undefined)
        stage.on(number, { do: 'redirect', contact: `<sip:${next}@carrier.invalid>`, ring: false });
    });
    const first = list[0] ?? '';
    if (hops > 3) {
      const cdr = await refused(scene, first, 'redirect-limit');
      t.equal(stage.callOf(list.at(-1) ?? ''), undefined, `${verdict}: the last was never dialled`);
      return { cdr, remark: 'the fourth is refused' };
    }
    const { call, callId } = await stage.place(first, as);
    await call.answered();
    await stage.up(callId);
    await hearEachOther(call, await stage.incoming(list.at(-1) ?? ''), 200);
    await call.hangUp();
    const cdr = await cdrOf(scene, callId);
    const each = { how: 'redirect', verdict, outcome: 'same' };
    t.same(
      cdr.otherParties,
      list.slice(1).map(() => each),
      `${verdict}: each has its decision`,
    );
    return { cdr, remark: 'all followed, each decided' };
  },
});

const loop = (length: 1 | 2): Scenario => ({
  name: length === 1 ? '302 to itself' : '302 to and fro',
  play: async (scene) => {
    const { stage, numbers } = scene;
    const [one, two] = [numbers.own(), numbers.own()];
    const redirect = (to: string) =>
      ({ do: 'redirect', contact: `<sip:${to}@carrier.invalid>`, ring: false }) as const;
    stage.on(one, redirect(length === 1 ? one : two));
    stage.on(two, redirect(one));
    return { cdr: await refused(scene, one, 'redirect-loop'), remark: 'refused' };
  },
});

/** Both are private, and still a name must not reach a hotline (28 CFR 115.51(b)). */
const toHotline: Scenario = {
  name: '302 to a hotline',
  play: async (scene) => {
    const { stage, numbers } = scene;
    const number = numbers.own();
    const contact = `<sip:${numbers.hotline}@carrier.invalid>`;
    stage.on(number, { do: 'redirect', contact, ring: false });
    const cdr = await refused(scene, number, 'sip-302');
    scene.t.equal(stage.callOf(numbers.hotline), undefined, 'the hotline was not dialled');
    return { cdr, remark: 'refused' };
  },
};

const lateAnswer = (why: 'caller' | 'forward'): Scenario => ({
  name: why === 'caller' ? 'late 200 after the caller’s CANCEL' : 'late 200 after a forward ends it',
  play: async (scene) => {
    const { t, stage, numbers, as, verdict } = scene;
    const number = numbers.own();
    const forwarded = {
      status: 181,
      headers: { 'History-Info': `<sip:${numbers.other()}@carrier.invalid>;index=1.1` },
    };
    stage.on(number, {
      do: 'ring',
      lateAnswerAfterCancel: true,
      ...(why === 'forward' ? { ring: [{}, forwarded] } : {}),
    });
    const { call, callId } = await stage.place(number, as);
    if (why === 'caller') {
      await call.progressed({ status: 180 });
      t.equal((await call.cancel()).status, 487);
    } else {
      t.equal((await call.failed()).status, 403);
    }
    const other = await stage.incoming(number);
    t.match(await other.ended(), { by: 'them', how: 'bye' }, `${verdict}: the late answer is hung up`);
    t.ok(other.acksReceived > 0, `${verdict}: after its ACK`);
    t.notOk(heard(call, calledHz) || heard(other, callerHz), `${verdict}: and nobody heard anybody`);
    const cdr = await cdrOf(scene, callId);
    t.equal(cdr.ending, why === 'caller' ? 'caller-cancelled' : 'forwarded');
    return { cdr, remark: 'ACK and BYE' };
  },
});

export const scenarios: readonly Scenario[] = [
  fork,
  newDescription,
  replaces,
  chain(3),
  chain(4),
  loop(1),
  loop(2),
  toHotline,
  lateAnswer('caller'),
  lateAnswer('forward'),
];
