import { existsSync } from 'node:fs';
import t, { type Test } from 'tap';
import type { OutgoingCall } from '../../src/phones/outgoing-call.js';
import { checkNothingLeft, mediaSessions } from '../site/left-over.js';
import { openSite, type Site } from '../site/site.js';

t.setTimeout(180_000);

const numbers = { monitored: '2125550142', private: '12125550111' } as const;
type Verdict = keyof typeof numbers;

/** The caller leaves, by whatever means its state allows. */
const leave = (call: OutgoingCall): void => {
  const done = call.final === undefined ? call.cancel({ impatient: true }) : call.hangUp();
  done.catch(() => undefined);
};

/** Calls `then` once, in the same tick in which the call enters the phase. */
const atPhase = (site: Site, phase: string, then: () => void): Promise<void> => {
  const from = site.events.length;
  let happened = false;
  return site.until(`the phase ${phase}`, () => {
    const there = site.events
      .slice(from)
      .some((event) => event.event === 'call-phase' && event.phase === phase);
    if (there && !happened) {
      happened = true;
      then();
    }
    return there;
  });
};

interface Wanted {
  readonly verdict: Verdict;
  readonly endings: readonly string[];
  /** Decisions there may be: a caller who leaves before the decision gets none. */
  readonly decisions?: readonly number[];
  /** The CDR says what this caller was told. */
  readonly call?: OutgoingCall;
}

/** However the call ended: once, cleanly, with its rows in order, and with nothing left of it anywhere. */
const expectClean = async (t: Test, site: Site, count: number, wanted: Wanted): Promise<void> => {
  // A CANCEL may be answered before the controller has heard of the INVITE.
  await site.until('the call is known', () => site.callIds().length > count);
  const callId = site.callIds()[count] ?? '';
  await site.event('call-ended', (event) => event.callId === callId);
  await site.until('the phones are clean', () => site.caller.liveCalls + site.called.liveCalls === 0);
  t.equal(await mediaSessions(site), 0, 'no call is left on any media node');
  const rows = await site.rows({ callId, kinds: ['decision', 'cdr'] });
  const kinds = rows.map((row) => row.kind);
  const { decisions = [1] } = wanted;
  t.ok(decisions.includes(kinds.filter((kind) => kind === 'decision').length), `decisions: ${kinds}`);
  t.equal(kinds.filter((kind) => kind === 'cdr').length, 1, 'one CDR');
  t.equal(kinds.at(-1), 'cdr', 'after the decision');
  const cdr = rows.at(-1)?.body;
  t.ok(wanted.endings.includes(cdr.ending), `ended as ${cdr.ending}`);
  if (wanted.call !== undefined) t.equal(cdr.status, wanted.call.final?.status, 'what the caller was told');
  t.ok(cdr.verdict === wanted.verdict || cdr.verdict === 'undecided', cdr.verdict);
  const seen = site.watch.named(callId);
  const inSpool = seen.filter((file) => !file.startsWith(site.config.recording.directory));
  t.same(inSpool.filter(existsSync), [], 'nothing is left in the spool');
  if (wanted.verdict === 'private') t.same(seen, [], 'and nothing ever was');
  // Of a call this short there may be no audio to record, or less than the node has counted: both are paged.
  const paged = ['recording-missing', 'recording-lost'];
  const alarms = site.events.filter(
    (event) => event.event === 'alarm' && event.callId === callId && !paged.includes(event.alarm),
  );
  t.same(alarms, [], 'no other alarm');
};

const beforeAnswer = ['looking-up', 'journalling', 'readying', 'anchoring', 'dialling'] as const;
const afterAnswer = ['arming', 'answering', 'connecting', 'opening', 'connected'] as const;
const phasesOf = (verdict: Verdict): readonly string[] =>
  [...beforeAnswer, ...afterAnswer].filter(
    (phase) => !(verdict === 'private' ? ['readying', 'arming'] : ['answering']).includes(phase),
  );

t.test('the caller leaves at every moment', async (t) => {
  const site = await openSite(t, { t1Ms: 100 });
  const { called } = site;
  called.answerWith({ do: 'answer', ring: {}, afterMs: 20 });

  for (const verdict of ['monitored', 'private'] as const) {
    for (const phase of phasesOf(verdict)) {
      await t.test(`${verdict}: in ${phase}`, async (t) => {
        const count = site.callIds().length;
        const arrived: { call?: OutgoingCall } = {};
        const left = atPhase(site, phase, () => arrived.call !== undefined && leave(arrived.call));
        arrived.call = await site.call(numbers[verdict]);
        await left;
        await expectClean(t, site, count, {
          verdict,
          endings: ['caller-cancelled', 'caller-hung-up'],
          decisions: phase === 'looking-up' ? [0, 1] : [1],
          call: arrived.call,
        });
      });
    }
  }

  for (const verdict of ['monitored', 'private'] as const) {
    for (const phase of ['anchoring', verdict === 'monitored' ? 'arming' : 'answering', 'opening']) {
      await t.test(`${verdict}: in ${phase}, while the media node stands still`, async (t) => {
        const node = (verdict === 'monitored' ? site.local.recorded : site.local.private)[0];
        if (node === undefined) throw new Error('no node');
        const count = site.callIds().length;
        const arrived: { call?: OutgoingCall } = {};
        const left = atPhase(site, phase, () => {
          process.kill(node.pid, 'SIGSTOP');
          if (arrived.call !== undefined) leave(arrived.call);
        });
        try {
          arrived.call = await site.call(numbers[verdict]);
          await left;
          const { call } = arrived;
          if (phase === 'opening') await call.answered();
          else t.equal((await call.failed()).status, 487, 'the caller is free at once');
          const callId = site.callIds()[count] ?? '';
          await site.event('call-phase', (event) => event.callId === callId && event.phase === 'ending');
          t.equal(site.endedCalls, count, 'the call waits for the node');
        } finally {
          process.kill(node.pid, 'SIGCONT');
        }
        await expectClean(t, site, count, {
          verdict,
          endings: ['caller-cancelled', 'caller-hung-up'],
        });
      });
    }
  }

  for (const verdict of ['monitored', 'private'] as const) {
    await t.test(`${verdict}: after it has rung, and the called party answers all the same`, async (t) => {
      called.answerWith({ do: 'ring', lateAnswerAfterCancel: true });
      const count = site.callIds().length;
      const incoming = called.incoming.length;
      const call = await site.call(numbers[verdict]);
      await call.progressed({ status: 180 });
      t.equal((await call.cancel()).status, 487);
      const other = await called.incomingCall({ nth: incoming + 1 });
      t.match(await other.ended(), { by: 'them', how: 'bye' }, 'it is hung up on');
      t.equal(other.acksReceived, 1, 'after an ACK');
      await expectClean(t, site, count, { verdict, endings: ['caller-cancelled'] });
      called.answerWith({ do: 'answer', ring: {}, afterMs: 20 });
    });

    await t.test(`${verdict}: after ringing`, async (t) => {
      called.answerWith({ do: 'ring' });
      const count = site.callIds().length;
      const incoming = called.incoming.length;
      const call = await site.call(numbers[verdict]);
      await call.progressed({ status: 180 });
      t.equal((await call.cancel()).status, 487);
      const other = await called.incomingCall({ nth: incoming + 1 });
      t.match(await other.ended(), { how: 'cancelled' });
      await expectClean(t, site, count, { verdict, endings: ['caller-cancelled'] });
      called.answerWith({ do: 'answer', ring: {}, afterMs: 20 });
    });

    for (const phase of phasesOf(verdict).filter((one) => (afterAnswer as readonly string[]).includes(one))) {
      await t.test(`${verdict}: the called party leaves in ${phase}`, async (t) => {
        const count = site.callIds().length;
        const incoming = called.incoming.length;
        const left = atPhase(site, phase, () => {
          const other = called.incoming.at(-1);
          if (called.incoming.length === incoming + 1) other?.hangUp().catch(() => undefined);
        });
        const call = await site.call(numbers[verdict]);
        await left;
        const end = await call.ended();
        t.ok(end.how === 'bye' || end.status === 480, `the caller hears ${end.how} ${end.status}`);
        await expectClean(t, site, count, {
          verdict,
          endings: ['called-hung-up', 'called-hung-up-early'],
        });
      });
    }
  }

  await t.test('callers who hang up at random moments', async (t) => {
    for (let ms = 0; ms <= 60; ms += 4) {
      const verdict = ms % 8 === 0 ? 'monitored' : 'private';
      const count = site.callIds().length;
      const call = await site.call(numbers[verdict]);
      setTimeout(() => leave(call), ms);
      await call.ended();
      await expectClean(t, site, count, {
        verdict,
        endings: ['caller-cancelled', 'caller-hung-up'],
        decisions: [0, 1],
        call,
      });
    }
  });

  await t.test('and nothing is left of any of them', (t) => checkNothingLeft(t, site));
});
