import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { SpoolFinding } from '../../src/call/ports.js';
import type { SpokenArmed, SpokenRecordedAnchor, ThreeWayEvidence } from '../../src/call/talk.js';
import { createRecorder } from '../../src/recording/recorder.js';
import { legOf, newCallId } from '../media/decisions.js';
import { strengthOf, until } from '../media/rtp-phone.js';
import {
  channelOf,
  finished,
  type House,
  opened,
  openHouse,
  quick,
  sha256,
  spoolFiles,
  vault,
} from './house.js';
import { answered, type SpokenCall, withoutPath } from './spoken-call.js';

const fileOf = (house: House, armed: SpokenArmed): string =>
  join(house.spool, 'pcaps', String(armed.proof.file));

const grown = (house: House, armed: SpokenArmed, kilobytes = 16): Promise<void> =>
  until('sound in the file', () => statSync(fileOf(house, armed)).size > kilobytes * 1024);

const sealedOf = (finding: SpoolFinding) => {
  if (finding.state !== 'recording-sealed') throw new Error(JSON.stringify(finding));
  return finding;
};

const hangUp = async ({ caller, called, anchor }: SpokenCall) => {
  caller.stop();
  called.stop();
  return anchor.release();
};

t.test('a call that is answered first and recorded later', async (t) => {
  const house = await openHouse();
  const call = await answered(house);
  // As long as the prompts take: far more packets than the recording may miss.
  await until('packets before it', async () => ((await call.anchor.packets()) ?? 0) > 150);
  const armed = await house.recorder.armAnswered(call.decision, withoutPath(call.anchor));
  t.match(armed.proof, { heldOpen: true, nodePid: house.node.pid });
  t.match(String(armed.proof.file), new RegExp(`^${call.id}-[0-9a-f]{16}\\.pcap$`));
  await t.rejects(house.recorder.armAnswered(call.decision, call.anchor), { code: 'armed-already' } as never);
  const lost: string[] = [];
  armed.watch((code) => lost.push(code));
  await grown(house, armed);
  const totals = await hangUp(call);
  const finding = await house.recorder.finish(legOf(call.id), call.decision, call.anchor, totals);
  const { file, manifest } = finished(finding);
  t.ok(strengthOf(channelOf(file, 0, 0, 300), 440) > 0.2, 'the caller is left');
  t.ok(strengthOf(channelOf(file, 1, 0, 300), 1000) > 0.2, 'the called party is right');
  const { missingPackets, complete, sealed } = JSON.parse(readFileSync(manifest, 'utf8'));
  t.ok(missingPackets < 100, 'what came before it was recorded is not missing');
  t.equal(complete, true);
  t.equal(sealed, undefined);
  t.strictSame(house.alarms(), []);
  t.strictSame(lost, []);
  t.strictSame(spoolFiles(house.spool), []);
});

t.test('an answered call whose recording cannot be found for sure', async (t) => {
  const house = await openHouse({ proveMs: 200, settleMs: 500 });
  const pcap = (call: SpokenCall, hex: string): string =>
    join(house.spool, 'pcaps', `${call.id}-${hex}.pcap`);
  const armedAs = async (what: string, code: string, before: (call: SpokenCall) => void, record: boolean) => {
    const call = await answered(house);
    before(call);
    const none = {
      answerForCaller: '',
      path: null,
      nodePid: house.node.pid,
      ports: { caller: 1, called: 2 },
    };
    const anchor: SpokenRecordedAnchor = new Proxy(call.anchor, {
      get: (target, name) =>
        name !== 'record'
          ? Reflect.get(target, name, target)
          : async () => {
              if (!record) return none;
              await target.record(call.decision);
              writeFileSync(pcap(call, 'fedcba9876543210'), '');
              return none;
            },
    });
    await t.rejects(house.recorder.armAnswered(call.decision, anchor), { code } as never, what);
    await hangUp(call);
    t.equal((await house.recorder.discard(call.id)).state, 'nothing-found', `${what}: removed`);
  };
  await armedAs('a node that records nothing', 'no-path', () => undefined, false);
  await armedAs(
    'a file that was there before is not the recording',
    'no-path',
    (call) => writeFileSync(pcap(call, '0123456789abcdef'), ''),
    false,
  );
  await armedAs('two files', 'path-ambiguous', () => undefined, true);
  t.strictSame(house.recorder.status(), { armed: 0, finishing: 0 });
});

t.test('a call that becomes private: nothing more is written, and what was is sealed', async (t) => {
  const house = await openHouse({ firstWatchMs: 20, watchMs: 20 });
  const call = await answered(house);
  const armed = await house.recorder.armAnswered(call.decision, call.anchor);
  const lost: string[] = [];
  armed.watch((code) => lost.push(code));
  await grown(house, armed);
  await armed.stop();
  await armed.stop();
  const { size } = statSync(fileOf(house, armed));
  const packets = (await call.anchor.packets()) ?? 0;
  await until('the call goes on', async () => ((await call.anchor.packets()) ?? 0) > packets + 60);
  t.equal(statSync(fileOf(house, armed)).size, size, 'and none of it is written');

  t.equal((await house.recorder.verifyAbsence(call.id)).state, 'violation', 'until it is sealed');
  const leg = legOf(call.id);
  const sealing = await house.recorder.seal(leg, call.decision, call.anchor, 'on-privileged-list');
  const { recording, why } = sealedOf(sealing);
  t.equal(why, 'on-privileged-list');
  t.match(recording.file, /\/recordings\/sealed\/\d{4}\/\d\d\/\d\d\/c[a-z2-7]{26}\.wav\.age$/);
  t.equal(statSync(recording.file).mode & 0o777, 0o400);
  t.equal(statSync(recording.manifest).mode & 0o777, 0o400);
  for (const up of ['..', '../..', '../../..', '../../../..']) {
    t.equal(statSync(join(recording.file, up)).mode & 0o777, 0o700);
  }
  t.match(JSON.parse(readFileSync(recording.manifest, 'utf8')), {
    callId: call.id,
    sealed: { why: 'on-privileged-list', at: /^\d{4}-/ },
    keys: [{ id: 'escrow-1', role: 'escrow' }],
    files: [{ sha256: sha256(recording.file) }],
    missingPackets: null,
    decision: { verdict: 'monitored' },
  });
  t.ok(strengthOf(channelOf(recording.file, 0, 0, 300), 440) > 0.2);
  t.strictSame(spoolFiles(house.spool), [], 'nothing of it is in the spool while the call goes on');
  t.strictSame(house.recorder.status(), { armed: 0, finishing: 0 });

  const day = new Date(leg.receivedAt).toISOString().slice(0, 10).replaceAll('-', '/');
  t.match(await house.recorder.verifyAbsence(call.id), {
    state: 'nothing-found',
    evidence: { sealed: [`sealed/${day}/${call.id}.json`, `sealed/${day}/${call.id}.wav.age`] },
  });
  const other = newCallId();
  writeFileSync(join(recording.file, '..', `${other}.wav`), '');
  t.match(
    await house.recorder.verifyAbsence(other),
    { state: 'violation', evidence: { found: [{ spool: 'sealed' }] } },
    'a sealed file of a call that had nothing to seal',
  );
  await hangUp(call);
  t.strictSame(lost, [], 'the watch ended without a word');
  t.strictSame(house.alarms(), []);
});

t.test('a recording is observed as long as it is one', async (t) => {
  const house = await openHouse({ observeMs: 20 });
  const call = await answered(house);
  const armed = await house.recorder.armAnswered(call.decision, call.anchor);
  const told: ThreeWayEvidence[] = [];
  armed.observe((evidence) => told.push(evidence));
  armed.observe(() => t.fail('one listener, the first'));
  await grown(house, armed, 20);
  call.called.newSource();
  await until('another source is noticed', () => told.length > 0);
  t.match(told, [{ score: 8, signs: [{ sign: 'ssrc-change', party: 'called', atMs: Number }] }]);
  await armed.stop();
  armed.observe(() => t.fail('not after it was stopped'));
  armed.watch(() => t.fail('nor watched'));
  call.caller.newSource();
  await until('the call goes on', async () => {
    const before = (await call.anchor.packets()) ?? 0;
    await until('packets', async () => ((await call.anchor.packets()) ?? 0) > before + 50);
    return true;
  });
  t.equal(told.length, 1);
  await hangUp(call);
  sealedOf(await house.recorder.seal(legOf(call.id), call.decision, call.anchor, 'stopped'));
});

t.test('a stopped recording is sealed, whoever finishes it', async (t) => {
  const house = await openHouse();
  const call = await answered(house);
  const armed = await house.recorder.armAnswered(call.decision, call.anchor);
  await grown(house, armed);
  await armed.stop();
  const totals = await hangUp(call);
  const finding = await house.recorder.finish(legOf(call.id), call.decision, call.anchor, totals);
  t.match(sealedOf(finding).recording.file, /\/sealed\//);
  t.equal((await house.recorder.verifyAbsence(call.id)).state, 'nothing-found');

  const silent = await answered(house);
  silent.caller.stop();
  silent.called.stop();
  const early = await house.recorder.armAnswered(silent.decision, silent.anchor);
  await early.stop();
  const sealed = await house.recorder.seal(legOf(silent.id), silent.decision, silent.anchor, 'stopped');
  t.equal(sealed.state, 'nothing-found', 'nobody had spoken yet');
  t.strictSame(spoolFiles(house.spool), []);
  await hangUp(silent);
});

t.test('a node that goes on recording', async (t) => {
  const house = await openHouse({ stopMs: 300, settleMs: 200, observeMs: 20 });
  const deaf = await answered(house, { stopRecording: () => Promise.resolve() });
  const armed = await house.recorder.armAnswered(deaf.decision, deaf.anchor);
  armed.observe(() => t.fail('nobody listens to a call that is to be recorded no more'));
  await grown(house, armed);
  await t.rejects(armed.stop(), { name: 'RecordingError', code: 'recording-goes-on' });
  deaf.called.newSource();
  await grown(house, armed, statSync(fileOf(house, armed)).size / 1024 + 16);
  // Sealed all the same; what the node still holds open is removed when it is done with it.
  const finding = await house.recorder.seal(legOf(deaf.id), deaf.decision, deaf.anchor, 'stopped');
  t.match(sealedOf(finding).recording.evidence, { nodeDone: false, leftInSpool: true });
  t.equal((await house.recorder.verifyAbsence(deaf.id)).state, 'violation', 'it is being written');
  await hangUp(deaf);
  t.equal((await house.recorder.verifyAbsence(deaf.id)).state, 'nothing-found', 'it is not any more');

  const again = await answered(house, { stopRecording: () => Promise.resolve() });
  const second = await house.recorder.armAnswered(again.decision, again.anchor);
  await grown(house, second);
  await again.tell('stop recording');
  await again.tell('start recording');
  await until(
    'a second file',
    () => spoolFiles(house.spool).filter((name) => name.includes(again.id)).length > 2,
  );
  await t.rejects(second.stop(), { code: 'recording-goes-on' } as never, 'in another file');
  await hangUp(again);
  sealedOf(await house.recorder.seal(legOf(again.id), again.decision, again.anchor, 'stopped'));
  t.equal((await house.recorder.verifyAbsence(again.id)).state, 'nothing-found');

  const gone = await answered(house, { stopRecording: () => Promise.reject(new Error('no answer')) });
  const third = await house.recorder.armAnswered(gone.decision, gone.anchor);
  await gone.tell('stop recording');
  await third.stop();
  t.pass('what the node says does not count, the file does');
  await hangUp(gone);
});

t.test('where the node cannot be looked at, the file tells', async (t) => {
  const house = await openHouse({ stopMs: 1500 });
  const blind = async (stopRecording?: () => Promise<void>) => {
    const call = await answered(house, stopRecording === undefined ? {} : { stopRecording });
    const anchor = new Proxy(call.anchor, {
      get: (target, name) =>
        name === 'record'
          ? async () => ({ ...(await target.record(call.decision)), nodePid: null })
          : Reflect.get(target, name, target),
    });
    const armed = await house.recorder.armAnswered(call.decision, anchor);
    t.match(armed.proof, { heldOpen: 'not-seen' });
    await grown(house, armed, 4);
    return { call, anchor, armed };
  };
  const { call, armed } = await blind();
  await armed.stop();
  await hangUp(call);
  const deaf = await blind(() => Promise.resolve());
  await t.rejects(deaf.armed.stop(), { code: 'recording-goes-on' } as never);
  await hangUp(deaf.call);
});

t.test('a sealed part whose controller died, and one that nobody can decode', async (t) => {
  const house = await openHouse();
  const call = await answered(house);
  const armed = await house.recorder.armAnswered(call.decision, call.anchor);
  await grown(house, armed);
  await armed.stop();
  await hangUp(call);
  const later = createRecorder({
    spools: [{ node: house.node.name, dir: house.spool, pid: house.node.pid }],
    vault,
    emit: () => undefined,
    limits: quick,
  });
  const left = {
    callId: call.id,
    node: house.node.name,
    receivedAt: legOf(call.id).receivedAt,
    decision: {},
    proof: JSON.parse(JSON.stringify(armed.proof)),
    sealed: 'called-claim',
  };
  t.match(sealedOf(await later.recover(left)).why, 'called-claim');
  t.equal((await later.verifyAbsence(call.id)).state, 'nothing-found');

  const odd = await answered(house, { sources: () => ({ caller: [], called: [] }) });
  const second = await house.recorder.armAnswered(odd.decision, odd.anchor);
  await grown(house, second);
  await second.stop();
  const finding = await house.recorder.seal(legOf(odd.id), odd.decision, odd.anchor, 'stopped');
  const pcap = sealedOf(finding).recording.file.replace(/wav\.age$/, 'pcap.age');
  t.ok(statSync(pcap).size > 16_384, 'the raw packets are kept where nobody could decode them');
  t.equal(statSync(pcap).mode & 0o777, 0o400);
  t.equal(opened(pcap).readUInt32LE(0), 0xa1b2c3d4, 'a pcap, once it is opened');
  t.strictSame(spoolFiles(house.spool), []);
  t.match(await house.recorder.verifyAbsence(odd.id), { state: 'nothing-found' });
  await hangUp(odd);
});

t.end();
