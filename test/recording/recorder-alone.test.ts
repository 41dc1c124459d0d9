import { closeSync, mkdirSync, mkdtempSync, openSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import type { AppEvent } from '../../src/call/events.js';
import {
  type JsonObject,
  type RecordingClaim,
  RecordingError,
  type Sdp,
  type SpoolFinding,
} from '../../src/call/ports.js';
import type { SpokenRecordedAnchor } from '../../src/call/talk.js';
import type { Monitored } from '../../src/core/decision.js';
import type { CallId, Leg, WallMs } from '../../src/core/leg.js';
import type { EndedRecording, FinishBounds, Finished } from '../../src/recording/finish.js';
import { createRecorder, type RecordingLimits } from '../../src/recording/recorder.js';
import type { RecorderOptions } from '../../src/recording/recorder-options.js';
import { legOf, monitoredDecision, newCallId, privateDecision } from '../media/decisions.js';

// The recorder without a media node: this process writes the pcaps and holds them open, and what finishes a recording
// says what it is told to. What a real node does is in recorder.test.ts.

const dir = mkdtempSync(join(tmpdir(), 'sallyport-recorder-alone-'));
t.teardown(() => rmSync(dir, { recursive: true, force: true }));

const sealedWhy = 'privileged';
const recordingOf = (callId: CallId, evidence: JsonObject = {}) => ({
  file: `/vault/2026/11/22/${callId}.wav.age`,
  manifest: `/vault/2026/11/22/${callId}.json`,
  evidence,
});

interface Alone {
  readonly recorder: ReturnType<typeof createRecorder>;
  readonly events: AppEvent[];
  readonly spools: readonly string[];
  readonly finishes: [EndedRecording, FinishBounds][];
  readonly looks: { spools: string[]; callId: CallId; now: number; sealed: readonly string[] }[];
  /** What the parts around the recorder say from now on. */
  readonly says: {
    now: number;
    keys: readonly string[] | null;
    vault: string | null;
    finished: (ended: EndedRecording) => Finished | Promise<Finished>;
  };
}

const fileNames = (spool: string): string[] =>
  ['pcaps', 'tmp', 'metadata'].flatMap((folder) => readdirSync(join(spool, folder)));

let made = 0;
const open = (
  limits: Partial<RecordingLimits> = {},
  also: Partial<RecorderOptions> = {},
  clocked = true,
): Alone => {
  const spools = ['a', 'b'].map((node) => join(dir, `${++made}${node}`));
  for (const spool of spools)
    for (const folder of ['pcaps', 'tmp', 'metadata']) mkdirSync(join(spool, folder), { recursive: true });
  const events: AppEvent[] = [];
  const finishes: Alone['finishes'] = [];
  const looks: Alone['looks'] = [];
  const says: Alone['says'] = {
    now: 1000,
    keys: ['key-1'],
    vault: null,
    finished: ({ callId }) => ({ state: 'finished', recording: recordingOf(callId), missingPackets: 0 }),
  };
  const recorder = createRecorder({
    spools: spools.map((spool, i) => ({ node: `n${i}`, dir: spool, pid: process.pid })),
    vault: {
      // What no facility asks for must not come to a key by accident.
      keysOf: (facility) => (facility === 'south' ? null : says.keys),
      judge: async () => says.vault,
      kept: async () => null,
      begin: () => Promise.reject(new Error('not here')),
      filesOf: async () => ({ ordinary: [], sealed: [] }),
    },
    finisher: {
      atOnce: 1,
      finish: async (ended, bounds) => {
        finishes.push([ended, bounds]);
        return says.finished(ended);
      },
      look: async (looked, callId, now, sealed): Promise<SpoolFinding> => {
        looks.push({ spools: looked.map(({ node }) => node), callId, now, sealed });
        return { state: 'nothing-found', evidence: {} };
      },
    },
    emit: (event) => events.push(event),
    ...(clocked ? { clock: { wall: () => (says.now + 5_000_000) as WallMs, mono: () => says.now } } : {}),
    limits: { minFreeBytes: 1, spoolOnDisk: true, proveMs: 100, settleMs: 0, stopMs: 50, ...limits },
    ...also,
  });
  return { recorder, events, spools, finishes, looks, says };
};

interface Stand {
  readonly callId: CallId;
  readonly leg: Leg;
  readonly decision: Monitored;
  readonly anchor: SpokenRecordedAnchor;
  readonly told: string[];
  /** Closes the pcap, as the node does when the call has ended. */
  close(): void;
}

const standIn = (
  { spools }: Alone,
  change: Partial<{ node: string; pool: string; path: null; write: number; packets: number | null }> = {},
): Stand => {
  const callId = newCallId();
  const told: string[] = [];
  const open: number[] = [];
  const spool = spools[change.node === 'n1' ? 1 : 0] ?? '';
  const claim = async (): Promise<RecordingClaim> => {
    told.push('record');
    const paths = Array.from({ length: change.write ?? 1 }, (_, i) =>
      join(spool, 'pcaps', `${callId}-${String(i).padStart(16, '0')}.pcap`),
    );
    open.push(...paths.map((path) => openSync(path, 'w')));
    const path = change.path === null ? null : (paths[0] ?? null);
    const ports = { caller: 4000, called: 4002 };
    return { answerForCaller: 'answer' as Sdp, path, nodePid: process.pid, ports };
  };
  const anchor = {
    callId,
    node: change.node ?? 'n0',
    pool: change.pool ?? 'recorded',
    sources: () => ({ caller: ['127.0.0.1 1'], called: ['127.0.0.1 2'] }),
    packets: async () => {
      told.push('packets');
      return change.packets ?? 7;
    },
    answerAndRecord: claim,
    record: claim,
    stopRecording: async () => void told.push('stop'),
  } as unknown as SpokenRecordedAnchor;
  const close = (): void => {
    for (const fd of open.splice(0)) closeSync(fd);
  };
  t.teardown(close);
  return { callId, leg: legOf(callId), decision: monitoredDecision(callId), anchor, told, close };
};

const answer = 'v=0' as Sdp;
const arm = async (alone: Alone, call: Stand) => {
  await alone.recorder.ready(call.leg);
  return alone.recorder.arm(call.decision, call.anchor, answer);
};
const refusal = (code: string, message: string) => ({
  name: 'RecordingError',
  code,
  message: `${code}: ${message}`,
});

t.test('what a node begins after its call is over is removed, and no recording is', async (t) => {
  const alone = open();
  const { recorder, spools } = alone;
  const [spool = ''] = spools;
  const late = standIn(alone, { path: null });
  await t.rejects(arm(alone, late));
  late.close();
  t.match(await recorder.verifyAbsence(late.callId), { state: 'nothing-found' });
  t.same(fileNames(spool), []);
  // The node goes on, and does what it was asked to.
  for (const [folder, ending] of [
    ['pcaps', '.pcap'],
    ['metadata', '.txt'],
  ] as const)
    writeFileSync(join(spool, folder, `${late.callId}-00${ending}`), 'x');
  const kept = standIn(alone);
  await arm(alone, kept);
  await recorder.tidy(late.callId);
  await recorder.tidy(kept.callId);
  t.same(
    fileNames(spool).map((name) => name.slice(0, kept.callId.length)),
    [kept.callId],
    'the recording of another call stays, whoever asks',
  );
  await recorder.tidy(newCallId());
});

t.test('ready says what is wrong, asks again after a while, and tells each news once', async (t) => {
  const { recorder, events, spools, says } = open({ spoolMs: 100 });
  const [first = '', second = ''] = spools;
  const unusable = () =>
    events
      .splice(0)
      .map((event) => (event.event === 'alarm' ? [event.alarm, event.callId, event.detail] : [event]))
      .sort();
  t.equal(recorder.spoolUsable('n0'), false, 'nobody looked yet');
  t.strictSame(await recorder.ready(), { ready: true });
  t.equal(recorder.spoolUsable('n0'), true);
  t.equal(recorder.spoolUsable('other'), false);
  says.vault = 'vault-full';
  rmSync(join(first, 'tmp'), { recursive: true });
  says.now += 100;
  t.strictSame(await recorder.ready(), { ready: true }, 'the last look still holds');
  says.now += 1;
  t.strictSame(await recorder.ready(), { ready: false, code: 'vault-full' });
  t.strictSame(unusable(), [
    ['spool-unusable', null, 'n0: spool-missing'],
    ['spool-unusable', null, 'vault: vault-full'],
  ]);
  says.now += 101;
  t.strictSame((await recorder.judged()).vault, 'vault-full');
  t.strictSame(Object.fromEntries((await recorder.judged()).spools), { n0: 'spool-missing', n1: null });
  t.strictSame(unusable(), [], 'told once');
  says.vault = null;
  says.now += 101;
  t.strictSame(await recorder.ready(), { ready: true }, 'one spool is enough');
  rmSync(join(second, 'tmp'), { recursive: true });
  says.now += 101;
  t.strictSame(await recorder.ready(), { ready: false, code: 'spool-missing' });
  t.strictSame(unusable(), [['spool-unusable', null, 'n1: spool-missing']]);
  says.vault = 'vault-full';
  says.now += 101;
  await recorder.ready();
  t.strictSame(unusable(), [['spool-unusable', null, 'vault: vault-full']], 'it was well in between');
  t.strictSame(await open({}, { spools: [] }).recorder.ready(), { ready: false, code: 'no-spool' });
  const twice = { node: 'n0', dir: first };
  const wrong = { name: 'RangeError', message: 'two spools of one node' };
  await t.rejects(async () => open({}, { spools: [twice, twice] }), wrong);
});

t.test('what is not armed, and with which code', async (t) => {
  const alone = open({ maxArmed: 2 });
  const { recorder, says } = alone;
  const refused = async (call: Stand, code: string, message: string): Promise<void> => {
    await t.rejects(recorder.arm(call.decision, call.anchor, answer), refusal(code, message), code);
    t.strictSame(call.told, [], 'the node was not told to record');
  };
  const notMonitored = 'only a monitored call on a recorded node is recorded';
  await refused(standIn(alone, { pool: 'private' }), 'not-monitored', notMonitored);
  const secret = standIn(alone);
  await recorder.ready(secret.leg);
  const forged = privateDecision(secret.callId) as unknown as Monitored;
  await t.rejects(recorder.arm(forged, secret.anchor, answer), refusal('not-monitored', notMonitored));
  await t.rejects(recorder.armAnswered(forged, secret.anchor), refusal('not-monitored', notMonitored));
  t.strictSame(secret.told, []);
  await refused(standIn(alone, { node: 'n9' }), 'spool-unknown', 'no spool is known for this node');
  const noKey = 'there is no key to encrypt this recording to';
  await refused(standIn(alone), 'no-recording-key', noKey);
  const withdrawn = standIn(alone);
  t.strictSame(await recorder.ready(withdrawn.leg), { ready: true });
  says.keys = null;
  await refused(withdrawn, 'no-recording-key', noKey);
  t.strictSame(await recorder.ready(withdrawn.leg), { ready: false, code: 'no-recording-key' });
  says.keys = ['key-1'];

  const call = standIn(alone);
  const armed = await arm(alone, call);
  t.match(armed.proof, { node: 'n0', facility: 'north', keys: ['key-1'], nodePid: process.pid, ms: 0 });
  t.equal(armed.answerForCaller, 'answer');
  t.strictSame(recorder.status(), { armed: 1, finishing: 0 });
  await recorder.ready(call.leg);
  call.told.splice(0);
  await refused(call, 'armed-already', 'this call is recorded already');
  await arm(alone, standIn(alone));
  const third = standIn(alone);
  await recorder.ready(third.leg);
  await refused(third, 'too-many-recordings', 'the bound of recordings at a time is reached');

  // Of the calls that were found to have a key, the oldest is forgotten over the bound: it is not armed.
  const few = open({ maxArmed: 2 });
  const [oldest, , last] = [standIn(few), standIn(few), standIn(few)];
  await few.recorder.ready(oldest.leg);
  await few.recorder.ready(legOf(newCallId()));
  await arm(few, last);
  await t.rejects(
    few.recorder.arm(oldest.decision, oldest.anchor, answer),
    refusal('no-recording-key', noKey),
  );

  // Who was busy is forgotten at its end, whichever way that is looked at: it would stay until that bound otherwise.
  for (const end of ['absence', 'finish'] as const) {
    const vain = open();
    const busy = standIn(vain);
    await vain.recorder.ready(busy.leg);
    if (end === 'absence') await vain.recorder.verifyAbsence(busy.callId);
    else await vain.recorder.finish(busy.leg, busy.decision, busy.anchor, null);
    await t.rejects(
      vain.recorder.arm(busy.decision, busy.anchor, answer),
      refusal('no-recording-key', noKey),
      end,
    );
    await vain.recorder.ready(busy.leg);
    await vain.recorder.discard(busy.callId);
    await vain.recorder.arm(busy.decision, busy.anchor, answer);
    t.equal(vain.recorder.status().armed, 1, 'what began is thrown away, and begun once more');
  }

  const kept = open({ maxArmed: 2 });
  const both = [standIn(kept), standIn(kept)];
  for (const each of both) await kept.recorder.ready(each.leg);
  for (const each of both) await kept.recorder.arm(each.decision, each.anchor, answer);
  t.equal(kept.recorder.status().armed, 2);
});

t.test('what began and is not proved is removed; what is armed needs a key again', async (t) => {
  const alone = open();
  const { recorder, spools } = alone;
  const [spool = ''] = spools;
  const unproved = standIn(alone, { path: null });
  await t.rejects(arm(alone, unproved), { code: 'no-path' });
  t.equal(fileNames(spool).length, 1);
  unproved.close();
  t.strictSame(await recorder.finish(unproved.leg, unproved.decision, unproved.anchor, null), {
    state: 'recording-missing',
    code: 'never-armed',
    evidence: { removed: 1 },
  });
  t.strictSame(fileNames(spool), []);

  const call = standIn(alone);
  await arm(alone, call);
  call.close();
  await recorder.verifyAbsence(call.callId);
  t.equal(fileNames(spool).length, 1, 'what is proved is a recording, and stays');
  t.match(await recorder.finish(call.leg, call.decision, call.anchor, null), { state: 'recording-finished' });
  await t.rejects(recorder.arm(call.decision, call.anchor, answer), { code: 'no-recording-key' });

  const never = standIn(alone);
  await arm(alone, never);
  never.close();
  t.equal(fileNames(spool).length, 2);
  t.equal((await recorder.discard(never.callId)).state, 'nothing-found');
  t.equal(fileNames(spool).length, 1, 'a call that did not come about leaves nothing');
  t.strictSame(recorder.status(), { armed: 0, finishing: 0 });
  t.equal((await recorder.discard(newCallId())).state, 'nothing-found');

  const left = standIn(alone);
  for (const each of spools) writeFileSync(join(each, 'pcaps', `${left.callId}-${'0'.repeat(16)}.pcap`), '');
  t.equal((await recorder.abandon(left.callId)).state, 'nothing-found');
  t.equal(fileNames(spool).length, 1, 'what an earlier run began is removed from every spool');
  t.strictSame(fileNames(spools[1] ?? ''), []);
});

t.test('a call that was answered before is recorded from then on', async (t) => {
  const alone = open();
  const { recorder, finishes, spools } = alone;
  const armAnswered = async (call: Stand) => {
    await recorder.ready(call.leg);
    return recorder.armAnswered(call.decision, call.anchor);
  };
  for (const change of [{}, { path: null }, { write: 2 }] as const) {
    const call = standIn(alone, change);
    await armAnswered(call);
    t.strictSame(call.told, ['packets', 'record'], 'no packet of the recording came before it');
    call.close();
    await recorder.finish(call.leg, call.decision, call.anchor, null);
    t.match(finishes.at(-1)?.[0], { callId: call.callId, countedBefore: 7 });
  }
  const plain = standIn(alone);
  await arm(alone, plain);
  plain.close();
  await recorder.finish(plain.leg, plain.decision, plain.anchor, null);
  t.equal(finishes.at(-1)?.[0].countedBefore, 0);
  await t.rejects(armAnswered(standIn(alone, { path: null, write: 2 })), { code: 'path-ambiguous' });
  await t.rejects(armAnswered(standIn(alone, { path: null, write: 0 })), { code: 'no-path' });
  const [spool = ''] = spools;
  rmSync(join(spool, 'pcaps'), { recursive: true });
  writeFileSync(join(spool, 'pcaps'), '');
  const blind = standIn(alone);
  await t.rejects(armAnswered(blind), refusal('spool-unreadable', 'the spool cannot be looked at'));
  t.strictSame(blind.told, []);
});

const totals = { packets: { caller: 1, called: 2 }, lost: { caller: 0, called: 0 } };

t.test('what the finisher is given, and what becomes of its answer', async (t) => {
  const alone = open({ maxSeconds: 77 }, { isCanary: (leg) => leg.caller === 'canary' });
  const { recorder, finishes, events, says, spools } = alone;
  const finish = async (call: Stand, leg = call.leg): Promise<SpoolFinding> => {
    await arm(alone, call);
    call.close();
    return recorder.finish(leg, call.decision, call.anchor, totals);
  };
  const call = standIn(alone);
  t.strictSame(await finish(call), { state: 'recording-finished', recording: recordingOf(call.callId) });
  t.match(finishes[0]?.[0], {
    callId: call.callId,
    node: 'n0',
    spool: spools[0],
    nodePid: process.pid,
    facility: 'north',
    receivedAt: call.leg.receivedAt,
    decision: { verdict: 'monitored', policy: 'test' },
    totals,
    countedBefore: 0,
    sealed: null,
    canary: false,
    sides: { ports: { caller: 4000 } },
  });
  t.match(finishes[0]?.[1], { nodeDone: true, maxSeconds: 77 });
  t.equal(finishes[0]?.[1].now(), says.now + 5_000_000);
  const test = standIn(alone);
  await finish(test, { ...test.leg, caller: 'canary' as typeof test.leg.caller });
  t.equal(finishes[1]?.[0].canary, true);
  t.strictSame(events, []);

  says.finished = ({ callId }) => ({ state: 'finished', recording: recordingOf(callId), missingPackets: 1 });
  const short = standIn(alone);
  t.equal((await finish(short)).state, 'recording-finished');
  t.strictSame(events, [
    { event: 'alarm', alarm: 'recording-lost', callId: short.callId, detail: 'packets-missing' },
  ]);
  says.finished = () => ({ state: 'missing', code: 'no-audio', evidence: { bytes: 24 } });
  t.strictSame(await finish(standIn(alone)), {
    state: 'recording-missing',
    code: 'no-audio',
    evidence: { bytes: 24 },
  });
  const failures: [Error, string][] = [
    [new RecordingError('vault-gone', 'x'), 'vault-gone'],
    [new Error('x'), 'recordings-unwritable'],
  ];
  for (const [error, code] of failures) {
    says.finished = () => Promise.reject(error);
    const evidence = { node: 'n0', leftInSpool: true };
    t.strictSame(await finish(standIn(alone)), { state: 'recording-missing', code, evidence });
  }
  t.strictSame(recorder.status(), { armed: 0, finishing: 0 });
  const nobody = open({}, {}, false);
  const other = standIn(nobody);
  t.ok(Number((await arm(nobody, other)).proof.ms) >= 0, 'without a clock, the system’s');
  other.close();
  await nobody.recorder.finish(other.leg, other.decision, other.anchor, null);
  t.equal(nobody.finishes[0]?.[0].canary, false, 'without being told, none is a test call');
});

t.test(
  'as many are finished at a time as the finisher takes, and over the bound the file stays',
  async (t) => {
    const alone = open({ maxWaiting: 1 });
    const { recorder, says } = alone;
    const calls = [standIn(alone), standIn(alone), standIn(alone)];
    for (const call of calls) await arm(alone, call);
    for (const call of calls) call.close();
    let release = (): void => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    says.finished = async ({ callId }) => {
      await held;
      return { state: 'finished', recording: recordingOf(callId), missingPackets: 0 };
    };
    const all = calls.map((call) => recorder.finish(call.leg, call.decision, call.anchor, null));
    const early = await Promise.race(all);
    t.match(early, { state: 'recording-missing', code: 'finish-queue-full' });
    t.strictSame(recorder.status(), { armed: 2, finishing: 2 });
    release();
    t.equal((await Promise.all(all)).filter(({ state }) => state === 'recording-finished').length, 2);
    t.strictSame(recorder.status(), { armed: 0, finishing: 0 });
  },
);

const sealedNames = (callId: CallId) =>
  ['.wav.age', '.txt.age', '.pcap.age', '.json'].map((ending) => `2026/11/22/${callId}${ending}`);

t.test('what was recorded of a call that became private is sealed, whoever asks', async (t) => {
  const alone = open({ maxSealed: 4 });
  const { recorder, finishes, looks, says, spools } = alone;
  const call = standIn(alone);
  const armed = await arm(alone, call);
  await t.rejects(armed.stop(), { code: 'recording-goes-on' });
  call.close();
  const as = { state: 'recording-sealed', recording: recordingOf(call.callId) };
  t.strictSame(await recorder.finish(call.leg, call.decision, call.anchor, totals), {
    ...as,
    why: 'stopped',
  });
  t.match(finishes[0]?.[0], { sealed: 'stopped', totals: null });
  await recorder.verifyAbsence(call.callId);
  t.strictSame(looks.pop(), {
    spools: ['n0', 'n1'],
    callId: call.callId,
    now: says.now + 5_000_000,
    sealed: sealedNames(call.callId),
  });
  await recorder.verifyAbsence(newCallId());
  t.strictSame(looks.pop()?.sealed, [], 'what one call left says nothing of another');

  const seal = async (finished: Finished | null, node = 'n0'): Promise<[SpoolFinding, Stand]> => {
    if (finished !== null) says.finished = () => finished;
    const each = standIn(alone, { node });
    await arm(alone, each);
    each.close();
    return [await recorder.seal(each.leg, each.decision, each.anchor, sealedWhy), each];
  };
  const stays = async ([, each]: [SpoolFinding, Stand], count: number, why: string): Promise<void> => {
    await recorder.verifyAbsence(each.callId);
    t.equal(spools.flatMap(fileNames).filter((name) => name.includes(each.callId)).length, count, why);
  };
  const nothing = await seal({ state: 'missing', code: 'no-audio', evidence: { bytes: 24 } });
  t.strictSame(nothing[0], { state: 'nothing-found', evidence: { bytes: 24 } });
  t.match(finishes.at(-1)?.[0], { sealed: sealedWhy, totals: null });
  await stays(nothing, 0, 'nothing was recorded: what is left is removed');
  const gone = await seal({ state: 'missing', code: 'file-cut', evidence: { nodeDone: false } });
  t.strictSame(gone[0], { state: 'recording-missing', code: 'file-cut', evidence: { nodeDone: false } });
  await stays(gone, 1, 'what is not durable is not removed');
  const finished = (evidence: JsonObject): Finished => ({
    state: 'finished',
    recording: recordingOf(newCallId(), evidence),
    missingPackets: 9,
  });
  const late = await seal(finished({ nodeDone: false }), 'n1');
  t.match(late[0], { state: 'recording-sealed', why: sealedWhy });
  await stays(late, 0, 'the node was not done with it then');
  await stays(await seal(finished({ nodeDone: true })), 1, 'the finisher removed it, or will');
  t.strictSame(alone.events, [], 'that packets are missing of what is sealed is nobody’s loss');
  says.finished = () => Promise.reject(new RecordingError('vault-gone', 'x'));
  t.match((await seal(null))[0], { state: 'recording-missing', code: 'vault-gone' });
  for (const manifest of ['/elsewhere/x.json', '/vault/2026/11/22/x.jsonl']) {
    const recording = { ...recordingOf(newCallId()), manifest };
    const [, odd] = await seal({ state: 'finished', recording, missingPackets: 0 });
    await recorder.verifyAbsence(odd.callId);
    t.strictSame(looks.at(-1)?.sealed, ['.wav.age', '.txt.age', '.pcap.age', '.json']);
  }
  // Four are remembered, and the first of the five is forgotten: its sealed files are then an alarm, not a blank.
  await recorder.verifyAbsence(call.callId);
  t.strictSame(looks.at(-1)?.sealed, []);
  await recorder.verifyAbsence(late[1].callId);
  t.equal(looks.at(-1)?.sealed.length, 4);
  t.match(await recorder.seal(call.leg, call.decision, call.anchor, sealedWhy), { code: 'never-armed' });
});

t.test('what an earlier run left is finished from its proof', async (t) => {
  const alone = open();
  const { recorder, finishes } = alone;
  const call = standIn(alone);
  const { proof } = await arm(alone, call);
  const later = createRecorder({
    spools: alone.spools.map((spool, i) => ({ node: `n${i}`, dir: spool })),
    vault: { keysOf: () => null } as never,
    emit: () => {},
    finisher: {
      atOnce: 1,
      finish: async (ended, bounds) => {
        finishes.push([ended, bounds]);
        return { state: 'finished', recording: recordingOf(ended.callId), missingPackets: 0 };
      },
      look: async () => ({ state: 'nothing-found', evidence: {} }),
    },
    limits: { settleMs: 0 },
  });
  t.strictSame(await recorder.leftovers(), []);
  t.strictSame(await later.leftovers(), [{ node: 'n0', callId: call.callId }]);
  call.close();
  const left = { callId: call.callId, node: 'n0', receivedAt: call.leg.receivedAt, decision: {}, proof };
  const unknown = { state: 'recording-missing', code: 'spool-unknown' };
  t.strictSame(await recorder.recover(left), { ...unknown, evidence: { node: 'n0' } }, 'this run records it');
  t.strictSame(await later.recover({ ...left, node: 'n9' }), { ...unknown, evidence: { node: 'n9' } });
  t.strictSame(await later.recover({ ...left, node: 'n0', proof: {} }), {
    state: 'recording-missing',
    code: 'proof-unusable',
    evidence: { node: 'n0' },
  });
  t.match(await later.recover(left), { state: 'recording-finished' });
  t.match(finishes.at(-1)?.[0], { node: 'n0', spool: alone.spools[0], totals: null, sealed: null });
  t.ok(Math.abs((finishes.at(-1)?.[1].now() ?? 0) - Date.now()) < 60_000, 'without a clock, the system’s');
  t.match(await later.recover({ ...left, sealed: sealedWhy }), { state: 'recording-sealed', why: sealedWhy });
});

t.test('nobody watches any more when the recorder closes, or the call ends', async (t) => {
  const alone = open({ firstWatchMs: 1, watchMs: 1 });
  const { recorder } = alone;
  const lost: string[] = [];
  const calls = [standIn(alone), standIn(alone), standIn(alone)] as const;
  const [seen, ended, discarded] = calls;
  for (const call of calls) {
    const armed = await arm(alone, call);
    armed.watch((code) => lost.push(code));
  }
  const asked = ({ told }: Stand): number => told.filter((one) => one === 'packets').length;
  const looked = async (call: Stand, more: number): Promise<void> => {
    const wanted = asked(call) + more;
    for (let i = 0; asked(call) < wanted; i++) {
      if (i > 5000) throw new Error('nobody looks');
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  };
  for (const call of calls) await looked(call, 1);
  for (const call of [ended, discarded]) call.close();
  await recorder.finish(ended.leg, ended.decision, ended.anchor, null);
  await recorder.discard(discarded.callId);
  await looked(seen, 5);
  const then = [asked(ended), asked(discarded)];
  await looked(seen, 20);
  t.strictSame([asked(ended), asked(discarded)], then);
  recorder.close();
  await new Promise((resolve) => setTimeout(resolve, 20));
  const last = asked(seen);
  await new Promise((resolve) => setTimeout(resolve, 50));
  t.equal(asked(seen), last);
  t.strictSame(lost, []);
});
