import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import type { Armed, RecordedAnchor } from '../../src/call/ports.js';
import { createRecorder } from '../../src/recording/recorder.js';
import { spoolJudge } from '../../src/recording/spool.js';
import { fromRoot } from '../../src/root.js';
import { legOf, monitoredDecision, newCallId } from '../media/decisions.js';
import { strengthOf, until } from '../media/rtp-phone.js';
import {
  channelOf,
  cleanups,
  detailsOf,
  dir,
  finished,
  opened,
  openHouse,
  pcapOf,
  phone,
  quick,
  root,
  seconds,
  sha256,
  spoolFiles,
  up,
  vault,
} from './house.js';

t.test('a recorded call with re-offers from both sides', async (t) => {
  const house = await openHouse();
  const { recorder } = house;
  t.strictSame(await recorder.ready(), { ready: true });
  const call = await up(house);
  t.match(call.armed.proof, { heldOpen: true, node: 'r1', nodePid: house.node.pid });
  const stranger = await phone(2000);
  stranger.talkTo(call.armed.answerForCaller);
  await seconds(house, 0.5, call);
  await call.anchor.reoffer('called', call.called.sdp({ formats: '0 101', direction: 'sendonly' }));
  await call.anchor.reanswer('caller', call.caller.sdp({ formats: '0 101', direction: 'recvonly' }));
  await seconds(house, 1, call);
  // The caller moves to another port and codec.
  const moved = await phone(600, 'PCMA');
  await call.anchor.reoffer('caller', moved.sdp());
  const answer = await call.anchor.reanswer('called', call.called.sdp({ formats: '8 101' }));
  t.not(answer, call.armed.answerForCaller);
  t.equal(
    /m=audio (\d+)/.exec(answer)?.[1],
    /m=audio (\d+)/.exec(call.armed.answerForCaller)?.[1],
    'the port stays, so the channel does',
  );
  call.caller.stop();
  moved.talkTo(answer);
  await seconds(house, 2, call);
  moved.stop();
  stranger.stop();
  t.strictSame(call.lost, []);
  t.strictSame(recorder.status(), { armed: 1, finishing: 0 });

  const { file, manifest, evidence } = finished(await call.end());
  t.match(file, /\/recordings\/\d{4}\/\d\d\/\d\d\/c[a-z2-7]{26}\.wav\.age$/);
  const wav = opened(file);
  const length = Math.floor((wav.length - 44) / 32);
  const left = channelOf(file, 0, 0, 400);
  t.ok(strengthOf(left, 440) > 0.2, 'the caller is left');
  t.ok(strengthOf(left, 1000) < 0.02 && strengthOf(left, 2000) < 0.02, 'alone');
  const right = channelOf(file, 1, 0, length);
  t.ok(strengthOf(right, 1000) > 0.2, 'the called party is right');
  t.ok(strengthOf(right, 440) < 0.02, 'alone');
  t.ok(strengthOf(channelOf(file, 0, length - 300, length - 100), 600) > 0.2, 'with the new port and codec');
  const content = JSON.parse(readFileSync(manifest, 'utf8'));
  t.match(content, {
    callId: call.id,
    complete: true,
    decision: { verdict: 'monitored', epoch: { id: 7 }, policy: 'test' },
    caller: { lost: 0, codecs: ['PCMU', 'PCMA'], restarts: 1 },
    missingPackets: 0,
    damage: null,
    facility: 'north',
    wav: { channels: { left: 'caller', right: 'called' } },
    keys: [{ id: 'north-1', role: 'facility' }],
    files: [{ name: `${call.id}.wav.age`, bytes: statSync(file).size, sha256: sha256(file) }],
  });
  t.match(detailsOf(manifest), {
    callId: call.id,
    decision: { reasons: [{ code: 'allowed-by-caller-list' }] },
    pcapSha256: /^[0-9a-f]{64}$/,
    plain: {
      wav: { bytes: wav.length, bodySha256: createHash('sha256').update(wav.subarray(44)).digest('hex') },
    },
  });
  t.match(evidence, { keys: ['north-1'], manifestSha256: sha256(manifest), removedFromSpool: 2 });
  t.ok(content.strangersPackets > 20, 'who sent what does not belong there is counted');
  t.equal(evidence.missingPackets, 0);
  t.notMatch(JSON.stringify({ ...content, details: '' }), /\+1|127\.0\.0\.1/, 'no number, no address');
  t.equal(statSync(file).mode & 0o777, 0o600);
  t.strictSame(spoolFiles(house.spool), [], 'nothing is left in the spool');
  t.strictSame(
    readdirSync(join(file, '..')).filter((name) => name.includes('part')),
    [],
  );
  t.strictSame(recorder.status(), { armed: 0, finishing: 0 });
  t.strictSame(house.alarms(), []);

  t.equal((await recorder.verifyAbsence(newCallId())).state, 'nothing-found');
  t.equal((await recorder.verifyAbsence(call.id)).state, 'violation', 'a recording that is there is found');
  writeFileSync(join(house.spool, 'tmp', `x-${call.id}.tmp`), '');
  const other = newCallId();
  writeFileSync(join(house.spool, 'tmp', `rtpengine-meta-${other}-0123456789abcdef.tmp`), '');
  t.equal((await recorder.verifyAbsence(other)).state, 'violation', 'so is a trace in the spool');
});

t.test('a call on hold is not lost, one whose file stops growing is', async (t) => {
  const house = await openHouse({ firstWatchMs: 50, watchMs: 100 });
  const call = await up(house);
  await seconds(house, 0.5, call);
  call.caller.stop();
  call.called.stop();
  let looks = 0;
  const packets = call.anchor.packets.bind(call.anchor);
  call.anchor.packets = () => {
    looks++;
    return packets();
  };
  await until('ten looks at a call on hold', () => looks >= 10);
  t.strictSame(call.lost, []);
  const finding = await call.end();
  t.equal(finding.state, 'recording-finished');

  const cases: readonly (readonly [string, (path: string) => void, string])[] = [
    ['deleted', (path) => unlinkSync(path), 'file-vanished'],
    [
      'replaced by a link to another file',
      (path) => {
        renameSync(path, `${path}.away`);
        symlinkSync('/etc/hostname', path);
      },
      'file-replaced',
    ],
    [
      'replaced by another file',
      (path) => {
        renameSync(path, `${path}.away`);
        writeFileSync(path, readFileSync(`${path}.away`));
      },
      'file-replaced',
    ],
    ['linked elsewhere', (path) => linkSync(path, join(house.spool, 'stolen')), 'file-replaced'],
  ];
  for (const [name, tamper, code] of cases) {
    const each = await up(house);
    await seconds(house, 0.3, each);
    tamper(pcapOf(house, each));
    await until(`${name} is noticed`, () => each.lost.length > 0);
    t.strictSame(each.lost, [code], name);
    const ended = await each.end();
    if (name === 'linked elsewhere') t.equal(ended.state, 'recording-finished', 'what is there is kept');
    else t.match(ended, { state: 'recording-missing', code }, name);
    for (const file of readdirSync(join(house.spool, 'pcaps'))) unlinkSync(join(house.spool, 'pcaps', file));
  }
});

t.test('a spool the node cannot write to', async (t) => {
  const house = await openHouse();
  await (await up(house)).end();
  const pcaps = join(house.spool, 'pcaps');
  chmodSync(pcaps, 0o500);
  t.strictSame(await house.recorder.ready(), { ready: false, code: 'spool-unwritable' });
  t.notOk(house.recorder.spoolUsable('r3'));
  t.ok(house.alarms().includes('spool-unusable r3: spool-unwritable'));
  // The node says ok, and even names the file.
  await t.rejects(up(house), { name: 'RecordingError', code: 'file-missing' });
  chmodSync(pcaps, 0o755);
  t.strictSame(await house.recorder.ready(), { ready: true });
  t.ok(house.recorder.spoolUsable('r3'));
  await rm(join(house.spool, 'metadata'), { recursive: true });
  t.strictSame(await house.recorder.ready(), { ready: false, code: 'spool-missing' });
  mkdirSync(join(house.spool, 'metadata'));
  chmodSync(join(house.spool, 'metadata'), 0o777);
});

t.test('a recording that cannot be proved', async (t) => {
  const house = await openHouse({ settleMs: 500 });
  const id = newCallId();
  const decision = monitoredDecision(id);
  const [caller, called] = [await phone(440), await phone(1000)];
  await house.recorder.ready(legOf(id));
  const anchor = await house.media.anchorRecorded(id, decision, caller.sdp());
  const arm = (changed: (path: string) => string | null): Promise<Armed> => {
    // A proxy of the anchor whose claim is another one than the node's.
    const liar = Object.create(anchor, {
      callId: { value: anchor.callId },
      node: { value: anchor.node },
      answerAndRecord: {
        value: async () => ({ ...(await claim), path: changed((await claim).path ?? '') }),
      },
    }) as RecordedAnchor;
    return house.recorder.arm(decision, liar, called.sdp({ formats: '0 101' }));
  };
  const claim = anchor.answerAndRecord(decision, called.sdp({ formats: '0 101' }));
  const path = (await claim).path ?? '';
  const elsewhere = join(dir, 'elsewhere');
  mkdirSync(elsewhere);
  const name = path.slice(path.lastIndexOf('/') + 1);
  writeFileSync(join(elsewhere, name), '');
  const mine = path.replace(/[0-9a-f]{16}\.pcap$/, '0123456789abcdef.pcap');
  const cases: readonly (readonly [string, (path: string) => string | null, string])[] = [
    ['no file named', () => null, 'no-path'],
    ['a file elsewhere', () => join(elsewhere, name), 'path-outside-spool'],
    ['a file that climbs out', (claimed) => `${claimed}/../../../etc/x.pcap`, 'path-outside-spool'],
    ['a file of another call', (claimed) => claimed.replace(id, newCallId()), 'path-of-another-call'],
    ['a file of ours that nobody writes', () => mine, root ? 'file-of-another' : 'file-not-open'],
    [
      'a file that is not there',
      (claimed) => claimed.replace(/[0-9a-f]{16}\.pcap$/, 'fedcba9876543210.pcap'),
      'file-missing',
    ],
  ];
  writeFileSync(mine, '');
  for (const [what, changed, code] of cases) {
    await t.rejects(arm(changed), { name: 'RecordingError', code }, what);
  }
  unlinkSync(mine);
  symlinkSync(path, mine);
  await t.rejects(
    arm(() => mine),
    { code: 'file-not-plain' } as never,
  );
  unlinkSync(mine);
  if (root) {
    writeFileSync(mine, '');
    const { uid, gid } = statSync(path);
    execFileSync('chown', [`${uid}:${gid}`, mine]);
    await t.rejects(
      arm(() => mine),
      { code: 'file-not-open' } as never,
      'the node does not hold it open',
    );
    writeFileSync(mine, 'not a pcap at all');
    await t.rejects(
      arm(() => mine),
      { code: 'file-not-pcap' } as never,
    );
  }
  const totals = await anchor.release();
  t.match(await house.recorder.finish(legOf(id), decision, anchor, totals), {
    state: 'recording-missing',
    code: 'never-armed',
  });
  t.equal((await house.recorder.verifyAbsence(id)).state, 'nothing-found', 'what was begun is removed');
  t.strictSame(spoolFiles(house.spool), []);
});

t.test('no sound, no recording; a dead node, what it wrote', async (t) => {
  const house = await openHouse();
  const silent = await up(house);
  silent.caller.stop();
  silent.called.stop();
  t.match(await silent.end(), { state: 'recording-missing', code: 'no-audio' });
  t.strictSame(spoolFiles(house.spool), []);

  const call = await up(house);
  await seconds(house, 1, call);
  await house.node.kill();
  await until('the loss is told', () => call.lost.length > 0);
  t.match(call.lost[0], /^node-/);
  const { file, manifest } = finished(await call.end());
  t.ok(strengthOf(channelOf(file, 0, 0, 500), 440) > 0.2);
  t.match(JSON.parse(readFileSync(manifest, 'utf8')), { complete: false, damage: 'cut', nodeDone: true });
  t.strictSame(spoolFiles(house.spool), []);
});

t.test('what a controller that died left behind', async (t) => {
  const house = await openHouse({ settleMs: 300 });
  const call = await up(house);
  await seconds(house, 1, call);
  t.strictSame(await house.recorder.leftovers(), [], 'a call that is up is none');
  // Another controller, which knows only what the first one journalled.
  const later = createRecorder({
    spools: [{ node: 'r6', dir: house.spool, pid: house.node.pid }],
    vault,
    emit: (event) => house.events.push(event),
    limits: { ...quick, settleMs: 300 },
  });
  t.strictSame(await later.leftovers(), [{ node: 'r6', callId: call.id }]);
  call.caller.stop();
  call.called.stop();
  t.ok(await house.media.endLeftover('r6', call.id));
  t.equal(await house.media.endLeftover('none', call.id), false);
  const proof = JSON.parse(JSON.stringify(call.armed.proof));
  const left = {
    callId: call.id,
    node: 'r6',
    receivedAt: legOf(call.id).receivedAt,
    decision: { verdict: 'monitored' },
    proof,
  };
  for (const wrong of [
    { file: `../../x/${proof.file}` },
    { ports: null },
    { sources: { caller: 1 } },
    { ino: 'x' },
  ]) {
    const finding = await later.recover({ ...left, proof: { ...proof, ...wrong } });
    t.match(finding, { state: 'recording-missing', code: 'proof-unusable' });
  }
  t.match(await later.recover({ ...left, proof: { ...proof, ino: 1 } }), { code: 'file-replaced' });
  const { file, manifest } = finished(await later.recover(left));
  t.ok(
    strengthOf(channelOf(file, 0, 0, 500), 440) > 0.2 && strengthOf(channelOf(file, 1, 0, 500), 1000) > 0.2,
  );
  t.match(JSON.parse(readFileSync(manifest, 'utf8')), {
    decision: { verdict: 'monitored' },
    missingPackets: null,
  });
  t.strictSame(spoolFiles(house.spool), []);
  t.strictSame(await later.leftovers(), []);
});

t.test('no key, no recording; a spool on a disk is none', async (t) => {
  const house = await openHouse();
  const { recorder, media } = house;
  const id = newCallId();
  const decision = monitoredDecision(id);
  const [caller, called] = [await phone(440), await phone(1000)];
  const anchor = await media.anchorRecorded(id, decision, caller.sdp());
  const answer = called.sdp({ formats: '0 101' });
  const noKey = { name: 'RecordingError', code: 'no-recording-key' };
  await t.rejects(recorder.arm(decision, anchor, answer), noKey, 'nobody asked whether there is a key');
  const leg = legOf(id);
  const south = { ...leg, origin: { ...leg.origin, facility: 'south' as typeof leg.origin.facility } };
  t.strictSame(await recorder.ready(south), { ready: false, code: 'no-recording-key' });
  await t.rejects(recorder.arm(decision, anchor, answer), noKey);
  t.strictSame(await recorder.ready(leg), { ready: true });
  t.strictSame(
    await recorder.ready(south),
    { ready: false, code: 'no-recording-key' },
    'the last word counts',
  );
  await t.rejects(recorder.arm(decision, anchor, answer), noKey);
  t.strictSame(spoolFiles(house.spool), [], 'the node was never told to record');
  await anchor.release();
  mkdirSync(fromRoot('var'), { recursive: true });
  const onDisk = mkdtempSync(fromRoot('var', 'test-spool-'));
  cleanups.push(() => rm(onDisk, { recursive: true }));
  for (const folder of ['pcaps', 'tmp', 'metadata']) mkdirSync(join(onDisk, folder));
  const verdict = (spoolOnDisk: boolean) =>
    spoolJudge({ node: 'r1', dir: onDisk }, { minFreeBytes: 1, spoolOnDisk })();
  const type = execFileSync('stat', ['-f', '-c', '%T', onDisk], { encoding: 'utf8' }).trim();
  t.equal(await verdict(false), /^(tmpfs|ramfs)$/.test(type) ? null : 'spool-on-disk', type);
  t.equal(await verdict(true), null);
  for (const folder of ['pcaps', 'tmp', 'metadata'])
    mkdirSync(join(house.spool, folder), { recursive: true });
  const needs = { minFreeBytes: 1, spoolOnDisk: false };
  const inMemory = await spoolJudge({ node: 'r1', dir: house.spool }, needs)();
  t.equal(inMemory, house.node.spoolInMemory ? null : 'spool-on-disk');
});

t.test('a file system that does not answer is waited for once, and asked once', async (t) => {
  const here = mkdtempSync(fromRoot('var', 'test-hangs-'));
  t.teardown(() => rm(here, { recursive: true }));
  for (const folder of ['pcaps', 'tmp', 'metadata']) mkdirSync(join(here, folder));
  // What is read of a pipe comes when somebody writes to it.
  const pidFile = join(here, 'pid');
  execFileSync('mkfifo', [pidFile]);
  const judge = spoolJudge({ node: 'r1', dir: here, pidFile }, { minFreeBytes: 1, spoolOnDisk: true });
  t.equal(await judge(), 'spool-unresponsive');
  const verdicts = await Promise.all(Array.from({ length: 20 }, () => judge()));
  t.strictSame([...new Set(verdicts)], ['spool-unresponsive']);
  // Had each of them taken a thread, none would be left to write with.
  await writeFile(pidFile, 'nobody');
  await rm(pidFile);
  await until('it answers again', async () => (await judge()) === null);
});

t.test('a recording that is durable and was not tidied away', async (t) => {
  const house = await openHouse();
  const call = await up(house);
  await seconds(house, 0.5, call);
  const pcap = pcapOf(house, call);
  const proof = JSON.parse(JSON.stringify(call.armed.proof));
  const recording = finished(await call.end());
  // As a crash before the removal leaves it.
  writeFileSync(pcap, opened(recording.file));
  const left = {
    callId: call.id,
    node: proof.node,
    receivedAt: legOf(call.id).receivedAt,
    decision: {},
    proof,
  };
  const digests = [sha256(recording.file), sha256(recording.manifest)];
  const again = finished(await house.recorder.recover(left));
  t.match(again, { file: recording.file, evidence: { keptBefore: true, removedFromSpool: 1 } });
  t.strictSame([sha256(recording.file), sha256(recording.manifest)], digests, 'nothing is made twice');
  t.strictSame(spoolFiles(house.spool), []);
  const { facility: _facility, ...nobodys } = proof;
  t.match(await house.recorder.recover({ ...left, proof: nobodys }), { code: 'proof-unusable' });
});

t.test('a call that was armed and never connected is discarded', async (t) => {
  const house = await openHouse();
  const call = await up(house);
  await seconds(house, 0.5, call);
  await call.anchor.release();
  t.equal((await house.recorder.discard(call.id)).state, 'nothing-found');
  t.strictSame(spoolFiles(house.spool), []);
  t.strictSame(house.alarms(), []);
});

/** A small file system of its own; null where this machine does not let us make one. */
const smallDisk = (megabytes: number): string | null => {
  const place = join(dir, `disk${megabytes}`);
  mkdirSync(place);
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m,mode=755`, 'tmpfs', place], {
      stdio: 'ignore',
    });
  } catch {
    return null;
  }
  cleanups.push(() => execFileSync('umount', [place]));
  return place;
};

t.test('a full disk', async (t) => {
  const disk = smallDisk(1);
  if (disk === null) {
    t.comment('no file system can be mounted here: not tested');
    return;
  }
  const house = await openHouse({ firstWatchMs: 100, watchMs: 100 }, { spool: disk });
  t.strictSame(await house.recorder.ready(), { ready: true });
  const call = await up(house);
  await seconds(house, 0.5, call);
  const filler = join(disk, 'filler');
  try {
    writeFileSync(filler, Buffer.alloc(2 ** 21));
  } catch {
    // As full as it gets.
  }
  await until('the full disk is noticed', () => call.lost.length > 0);
  t.strictSame(call.lost, ['file-not-growing']);
  t.strictSame(await house.recorder.ready(), { ready: false, code: 'spool-full' });
  unlinkSync(filler);
  const { evidence } = finished(await call.end());
  t.ok(Number(evidence.missingPackets) > 0, 'what is missing is said');
  t.ok(house.alarms().includes('recording-lost packets-missing'));
});

t.end();
