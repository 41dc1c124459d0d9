import { createHash } from 'node:crypto';
import t from 'tap';
import type { AppEvent } from '../../src/call/events.js';
import type { JsonObject, SpoolFinding } from '../../src/call/ports.js';
import type { CallId, WallMs } from '../../src/core/leg.js';
import { RowsOfCalls } from '../../src/followed-rows.js';
import { canonicalJson } from '../../src/journal/canonical.js';
import type { Notes } from '../../src/recovery/ledger-lines.js';
import { CallRecovery, type RecoveryParts } from '../../src/recovery/recover-calls.js';
import type { Unfinished } from '../../src/recovery/unfinished.js';

const callId = `c${'a'.repeat(26)}` as CallId;
const decision: JsonObject = {
  callId,
  trunk: 'north-pbx',
  facility: 'north',
  caller: '4711',
  verdict: 'monitored',
  reasons: [],
  decidedAt: '2026-11-22T00:00:00.000Z',
};
const proof: JsonObject = { node: 'recorded-1', file: 'x' };
const arrived: Notes = {
  arrived: {
    at: 1000,
    held: 'here',
    leg: { trunk: 'north-pbx', facility: 'north', caller: '4711', dialled: null },
  },
};
const call = (more: Partial<Unfinished> = {}): Unfinished => ({
  callId,
  decision,
  becamePrivate: null,
  proof: null,
  notes: arrived,
  ...more,
});

const finished = (state: 'recording-finished' | 'recording-sealed'): SpoolFinding => {
  const recording = { file: 'a.age', manifest: 'a.json', evidence: { seconds: 7 } };
  return state === 'recording-finished' ? { state, recording } : { state, recording, why: 'x' };
};

/** What was asked for, in order, and the rows that were written. */
const house = (over: Partial<RecoveryParts> = {}) => {
  const did: string[] = [];
  const rows: JsonObject[] = [];
  const events: AppEvent[] = [];
  const parts: RecoveryParts = {
    nodes: ['recorded-1', 'private-1'],
    media: {
      endLeftover: async (node) => {
        did.push(`delete ${node}`);
        return true;
      },
    },
    recorder: {
      recover: async (left) => {
        did.push(`recover ${left.node} ${left.sealed ?? 'ordinary'} ${left.receivedAt}`);
        return finished(left.sealed === undefined ? 'recording-finished' : 'recording-sealed');
      },
      abandon: async () => {
        did.push('abandon');
        return { state: 'nothing-found', evidence: {} };
      },
      verifyAbsence: async () => {
        did.push('verify');
        return { state: 'nothing-found', evidence: {} };
      },
    },
    sip: {
      endLeft: async (what, trace) => {
        did.push(`end ${what} ${String(trace.of)}`);
        return 'told';
      },
    },
    counters: {
      giveBack: async (_, wasConnected) => {
        did.push(`give back ${wasConnected}`);
        return true;
      },
    },
    journal: {
      append: async (_, body) => {
        rows.push(body);
        return { seq: rows.length, hash: '' };
      },
    },
    ledger: { note: () => undefined, over: (id) => void did.push(`over ${id === callId}`) },
    clock: { wall: () => 9 as WallMs, mono: () => performance.now() },
    emit: (event) => events.push(event),
    lastSeen: 5000,
    pastRows: async () => new Map(),
    ...over,
  };
  return { did, rows, events, parts };
};

const run = async (calls: readonly Unfinished[], over: Partial<RecoveryParts> = {}) => {
  const { parts, ...seen } = house(over);
  const recovery = new CallRecovery(calls, parts);
  await recovery.end();
  return {
    ...seen,
    written: await recovery.close(),
    alarms: () => seen.events.filter((one) => one.event === 'alarm'),
  };
};

t.test('the media goes first, and the CDR last', async (t) => {
  const notes: Notes = {
    ...arrived,
    place: { member: 'm', names: ['n'] },
    caller: { trace: { of: 'caller' } },
    dialling: { trace: { of: 'invite', callId: 'b', local: 'us' } },
    called: { trace: { of: 'called', callId: 'b', local: 'us' }, trunk: 'carrier-1' },
    opened: { at: 2000 },
  };
  const { did, rows, written } = await run([call({ proof, notes })]);
  t.same(did, [
    'delete recorded-1',
    'delete private-1',
    'end dialog caller',
    'end dialog called',
    'give back true',
    'recover recorded-1 ordinary 1000',
    'over true',
  ]);
  t.equal(written, 1);
  t.match(rows, [
    {
      callId,
      caller: '4711',
      verdict: 'monitored',
      ending: 'controller-crashed',
      status: 200,
      recovered: true,
      durationMs: 4000,
      connectedMs: 7000,
      carrier: 'carrier-1',
      node: 'recorded-1',
      told: { caller: 'told', called: 'told' },
      mediaLeft: [],
      spool: { state: 'recording-finished', file: 'a.age' },
    },
  ]);
});

t.test('who answered an INVITE that was given up is told, and so is whoever rings', async (t) => {
  const invite = (of: string, callId: string) => ({ trace: { of, callId, local: '<sip:us>;tag=1' } });
  const ends = async (notes: Notes) => {
    const { did, rows } = await run([call({ notes: { ...arrived, ...notes } })]);
    const { called } = (rows[0]?.told ?? {}) as { called?: unknown };
    return [did.filter((what) => what.startsWith('end ')), called];
  };
  t.same(await ends({ dialling: invite('second', 'b') }), [['end invite second'], 'told']);
  t.same(
    await ends({ called: invite('first', 'a'), dialling: invite('second', 'b') }),
    [['end dialog first', 'end invite second'], 'told'],
    'its answer came after it had been given up',
  );
  t.same(
    await ends({ called: invite('first', 'a'), dialling: invite('first', 'a') }),
    [['end dialog first'], 'told'],
    'an INVITE that was answered rings nowhere',
  );
  t.same(await ends({ called: invite('first', 'a'), dialling: { trace: null } }), [
    ['end dialog first'],
    'told',
  ]);
});

t.test('what is done with what was recorded', async (t) => {
  const up: Notes = { ...arrived, opened: { at: 2000 } };
  const again = { ...decision, verdict: 'private', class: 'attorney' };
  const priv = { ...decision, verdict: 'private', class: 'attorney' };
  const done = async (one: Unfinished) => {
    const { did, rows } = await run([one]);
    return [did.filter((what) => /recover|abandon|verify/.test(what)).join(', '), rows[0]?.verdict];
  };
  const kept = 'recover recorded-1 ordinary 1000';
  const sealed = 'recover recorded-1 became-private 1000, verify';
  t.same(await done(call({ proof, notes: up })), [kept, 'monitored']);
  t.same(await done(call({ proof })), ['abandon', 'monitored'], 'never let through: nobody’s recording');
  t.same(await done(call()), ['abandon', 'monitored'], 'begun and not proved');
  t.same(
    await done(call({ proof, notes: null })),
    [`recover recorded-1 ordinary ${Date.parse('2026-11-22T00:00:00.000Z')}`, 'monitored'],
    'where nobody knows, it is kept',
  );
  t.same(await done(call({ proof, notes: { ...up, sealing: {} } })), [sealed, 'monitored']);
  t.same(await done(call({ proof, notes: up, becamePrivate: again })), [sealed, 'private']);
  t.same(
    await done(call({ decision: priv })),
    ['verify', 'private'],
    'of a private call nothing is removed unseen',
  );
  t.same(await done(call({ decision: null })), ['verify', 'undecided']);
});

t.test('a caller in the lobby, before any decision', async (t) => {
  const notes: Notes = { ...arrived, caller: { trace: { of: 'caller' } }, node: { node: 'private-1' } };
  const { rows } = await run([call({ decision: null, notes })]);
  t.match(rows, [
    {
      facility: 'north',
      caller: '4711',
      dialled: null,
      verdict: 'undecided',
      told: { caller: 'told', called: null },
    },
  ]);
});

t.test('whatever fails, there is a CDR that says so', async (t) => {
  const broken = async (): Promise<never> => {
    throw Object.assign(new Error('no'), { code: 'broken' });
  };
  const up: Notes = { ...arrived, opened: { at: 2000 }, place: {}, called: { trace: {} } };
  const all = await run([call({ proof, notes: up })], {
    media: { endLeftover: broken },
    recorder: { recover: broken, abandon: broken, verifyAbsence: broken },
    sip: { endLeft: broken },
    counters: { giveBack: broken },
  });
  t.match(all.rows, [
    {
      told: { caller: null, called: 'unsent' },
      mediaLeft: ['recorded-1', 'private-1'],
      spool: { state: 'unknown', code: 'broken' },
    },
  ]);
  t.match(all.alarms(), [{ alarm: 'controller-crashed' }, { alarm: 'absence-unverified' }]);
  const missing: SpoolFinding = { state: 'recording-missing', code: 'file-vanished', evidence: {} };
  const lost = await run([call({ proof, notes: up })], {
    recorder: { ...house().parts.recorder, recover: async () => missing },
  });
  t.match(lost.rows, [{ spool: { state: 'recording-missing', code: 'file-vanished' } }]);
  t.match(lost.alarms().at(-1), { alarm: 'recording-missing', callId, detail: 'file-vanished' });
  const found: SpoolFinding = { state: 'violation', evidence: {} };
  const violated = await run([call({ decision: { ...decision, verdict: 'private' } })], {
    recorder: { ...house().parts.recorder, verifyAbsence: async () => found },
  });
  t.match(violated.alarms().at(-1), { alarm: 'private-file-found' });
});

t.test(
  'a journal that takes no row is asked again, and a call that has none stays in the ledger',
  async (t) => {
    let refusals = 2;
    const rows: JsonObject[] = [];
    const journal: RecoveryParts['journal'] = {
      append: async (_, body) => {
        if (refusals-- > 0) throw Object.assign(new Error('full'), { code: 'journal-unwritable' });
        rows.push(body);
        return { seq: 1, hash: '' };
      },
    };
    const { did } = await run([call()], { journal });
    t.equal(rows.length, 1);
    t.equal(did.at(-1), 'over true');

    const stopped = house();
    const recovery = new CallRecovery([call()], stopped.parts);
    await recovery.end();
    await recovery.stop(10);
    t.equal(await recovery.close(), 0);
    t.same(stopped.rows, []);
    t.notOk(stopped.did.includes('over true'));
  },
);

t.test('with nothing to close nobody is told anything', async (t) => {
  const { events, did } = await run([]);
  t.same([events, did], [[], []]);
});

t.test('the CDR names the rows that the earlier run wrote, and those written since', async (t) => {
  const rows = new RowsOfCalls();
  let seq = 10;
  const written: JsonObject[] = [];
  const journal: RecoveryParts['journal'] = {
    follow: (id) => rows.follow(id),
    append: async (kind, body) => {
      seq += 1;
      const row = { seq, hash: `hash ${seq}` };
      rows.wrote(kind, body, Promise.resolve(row));
      if (kind === 'cdr') written.push(body);
      return row;
    },
  };
  const past = [
    { node: null, seq: 3, hash: 'hash 3' },
    { node: null, seq: 5, hash: 'hash 5' },
    { node: 'recorded-1', seq: 2, hash: 'hash 2' },
  ];
  const one = call({ notes: { ...arrived, node: { node: 'recorded-1' } } });
  await run([one], {
    journal,
    // What comes while the old rows are read belongs to the call as well, and is counted once.
    pastRows: async () => {
      const late = await journal.append('note', { callId });
      await journal.append('attestation', { node: 'recorded-1' });
      return new Map([[callId, [...past, { node: null, ...late }]]]);
    },
  });
  const named = [2, 3, 5, 11, 12].map((at) => [at, `hash ${at}`]);
  t.match(written, [
    {
      rows: {
        own: [3, 5, 11],
        nodes: { 'recorded-1': [2, 12] },
        sha256: createHash('sha256').update(canonicalJson(named)).digest('hex'),
        waiting: 0,
        more: 0,
      },
    },
  ]);
  const unread = await run([one], {
    pastRows: () => Promise.reject(new Error('no disk')),
  });
  t.equal(unread.rows.length, 1);
  t.notOk('rows' in (unread.rows[0] ?? {}), 'rows nobody could read are not said to be all');
});
