import { createHash } from 'node:crypto';
import { chmodSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import type { AppEvent } from '../../src/call/events.js';
import type { Armed, FinishedRecording, RecordedAnchor, SpoolFinding } from '../../src/call/ports.js';
import type { CallId } from '../../src/core/leg.js';
import { createMedia, type MediaPools } from '../../src/media/media.js';
import { createRecorder, type RecordingLimits, type SpoolRecorder } from '../../src/recording/recorder.js';
import { type RtpengineOptions, type RunningRtpengine, startRtpengine } from '../../src/stack/rtpengine.js';
import { writeIdentityFile } from '../../src/vault/key-files.js';
import { createLocalStore } from '../../src/vault/local-store.js';
import { createVault } from '../../src/vault/vault.js';
import { legOf, monitoredDecision, newCallId } from '../media/decisions.js';
import { RtpPhone, until } from '../media/rtp-phone.js';
import { openedByAge } from '../site/opened.js';

/** A recording node of our own with a recorder beside it, and calls on it. */

export const dir = await mkdtemp(join(tmpdir(), 'sallyport-recorder-'));
chmodSync(dir, 0o755);
export const cleanups: (() => unknown)[] = [];
t.teardown(async () => {
  for (const work of cleanups.reverse()) await work();
  await rm(dir, { recursive: true, force: true });
});

/** The two halves of the house's keys: the vault has the public ones, the tests open with the private ones. */
const facilityKey = join(dir, 'facility.identity.txt');
const escrowKey = join(dir, 'escrow.identity.txt');
export const vault = createVault({
  store: createLocalStore({ dir: join(dir, 'recordings'), minFreeBytes: 1 }),
  facilities: new Map([
    ['north', [{ id: 'north-1', role: 'facility', recipient: await writeIdentityFile(facilityKey, []) }]],
  ]),
  sealed: [{ id: 'escrow-1', role: 'escrow', recipient: await writeIdentityFile(escrowKey, []) }],
});

/** The plain bytes of a recording's file, by Debian's age and not by us. */
export const opened = (file: string): Buffer =>
  openedByAge(file, file.includes('/sealed/') ? escrowKey : facilityKey);

/** What stands encrypted in a manifest. */
export const detailsOf = (manifest: string) => {
  const file = join(dir, 'details.age');
  writeFileSync(file, JSON.parse(readFileSync(manifest, 'utf8')).details);
  const key = manifest.includes('/sealed/') ? escrowKey : facilityKey;
  return JSON.parse(openedByAge(file, key).toString('utf8'));
};

export const root = process.getuid?.() === 0;

export const quick: Partial<RecordingLimits> = {
  minFreeBytes: 1,
  spoolOnDisk: true,
  spoolMs: 0,
  proveMs: 1000,
  firstWatchMs: 300,
  watchMs: 300,
};

export interface House {
  readonly node: RunningRtpengine;
  readonly spool: string;
  readonly media: MediaPools;
  readonly recorder: SpoolRecorder;
  readonly events: AppEvent[];
  alarms(): string[];
}

let houses = 0;

export const openHouse = async (
  limits: Partial<RecordingLimits> = {},
  options: Partial<RtpengineOptions> = {},
): Promise<House> => {
  const name = `r${++houses}`;
  const node = await startRtpengine({ kind: 'recorded', dir, name, portCount: 32, ...options });
  const spool = node.spool ?? '';
  const events: AppEvent[] = [];
  const emit = (event: AppEvent): void => void events.push(event);
  const recorder = createRecorder({
    spools: [{ node: name, dir: spool, pid: node.pid }],
    vault,
    emit,
    limits: { ...quick, ...limits },
  });
  const media = createMedia({
    nodes: [
      { name, pool: 'recorded', ng: node.ng, cli: node.cli, pid: node.pid, mediaAddress: '127.0.0.1', spool },
    ],
    emit,
    peerNetworks: ['127.0.0.0/8'],
    timing: { pingMs: 150, pingDeadlineMs: 3000, commandMs: 5000, attestMs: 200 },
  });
  cleanups.push(async () => {
    media.close();
    recorder.close();
    await node.stop();
  });
  await media.start();
  const alarms = (): string[] =>
    events.flatMap((event) => (event.event === 'alarm' ? `${event.alarm} ${event.detail}` : []));
  return { node, spool, media, recorder, events, alarms };
};

export interface Call {
  readonly id: CallId;
  readonly anchor: RecordedAnchor;
  readonly armed: Armed;
  readonly caller: RtpPhone;
  readonly called: RtpPhone;
  /** Codes the watch and the node gave for an end of the recording. */
  readonly lost: string[];
  end(): Promise<SpoolFinding>;
}

export const phone = async (hz: number, codec: 'PCMU' | 'PCMA' = 'PCMU'): Promise<RtpPhone> => {
  const made = await new RtpPhone({ hz, codec }).open();
  cleanups.push(() => made.close());
  return made;
};

export const up = async ({ media, recorder }: House): Promise<Call> => {
  const id = newCallId();
  const [caller, called] = [await phone(440), await phone(1000)];
  const decision = monitoredDecision(id);
  await recorder.ready(legOf(id));
  const anchor = await media.anchorRecorded(id, decision, caller.sdp());
  const lost: string[] = [];
  anchor.onLost((why) => lost.push(why));
  const armed = await recorder.arm(decision, anchor, called.sdp({ formats: '0 101' }));
  armed.watch((code) => lost.push(code));
  await anchor.open();
  caller.talkTo(armed.answerForCaller);
  called.talkTo(anchor.offerForCalled);
  const end = async (): Promise<SpoolFinding> => {
    caller.stop();
    called.stop();
    return recorder.finish(legOf(id), decision, anchor, await anchor.release());
  };
  return { id, anchor, armed, caller, called, lost, end };
};

export const spoolFiles = (spool: string): string[] =>
  readdirSync(spool, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => entry.name);

export const pcapOf = ({ spool }: House, { armed }: Call): string =>
  join(spool, 'pcaps', String(armed.proof.file));

export const finished = (finding: SpoolFinding): FinishedRecording => {
  if (finding.state !== 'recording-finished') throw new Error(JSON.stringify(finding));
  return finding.recording;
};

/** One channel of an encrypted WAV, from `fromMs` on. */
export const channelOf = (file: string, channel: 0 | 1, fromMs: number, toMs: number): number[] => {
  const bytes = opened(file);
  const samples: number[] = [];
  for (let frame = fromMs * 8; frame < toMs * 8 && 44 + frame * 4 + 4 <= bytes.length; frame++) {
    samples.push(bytes.readInt16LE(44 + frame * 4 + channel * 2));
  }
  return samples;
};

export const sha256 = (file: string): string => createHash('sha256').update(readFileSync(file)).digest('hex');

export const seconds = (house: House, count: number, call: Call): Promise<void> =>
  until(`${count} s of sound in the file`, () => statSync(pcapOf(house, call)).size > count * 21_600, 15_000);
