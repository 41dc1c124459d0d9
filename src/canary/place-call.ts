import type { CallId, WallMs } from '../core/leg.js';
import { encodeG711 } from '../phones/g711.js';
import type { OutgoingCall } from '../phones/outgoing-call.js';
import type { PhoneCall } from '../phones/phone-call.js';
import type { Phone } from '../phones/sip-phone.js';
import { PACKET_SAMPLES, toneSamples } from '../phones/tone.js';
import type { CallWatch } from './call-watch.js';
import type { DiskLook, Snapshot } from './disk-look.js';
import {
  type CanaryFacts,
  type CanaryKind,
  type DiskFinding,
  noFacts,
  type RecordingFinding,
} from './facts.js';
import type { MenuEar } from './menu-ear.js';
import type { Tones } from './recording-look.js';

/** Everything a test call is made with. */
export interface CallKit {
  readonly caller: Phone;
  readonly called: Phone;
  readonly sip: { readonly host: string; readonly port: number };
  /** Null where the conversation is not held here: then nobody is asked. */
  readonly ear: MenuEar | null;
  readonly disk: DiskLook;
  readonly recording: (callId: CallId, tones: Tones) => Promise<RecordingFinding>;
  readonly now: () => WallMs;
  readonly stop: AbortSignal;
}

export interface Wanted {
  readonly kind: CanaryKind;
  readonly number: string;
  readonly from: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly tones: Tones;
}

/** With the longest greeting, three menus and a busy machine. */
const CONNECT_MS = 75_000;
const HEAR_MS = 10_000;
const END_MS = 40_000;
/** Each party must be heard this long at a time, and both talk on for as long as the recording is to show. */
const HEAR_FOR_MS = 400;
const TALK_MS = 1800;

/** A packet of each party's sound, as it would stand in a file: no other call has one. */
const soundsOf = ({ caller, called }: Tones): readonly Buffer[] =>
  [caller, called].map((hz) => Buffer.from(encodeG711('PCMU', toneSamples(hz, PACKET_SAMPLES))));

/** Makes one test call and tells all it showed. Never rejects, and is over within about three minutes. */
export const placeCall = async (wanted: Wanted, kit: CallKit, watch: CallWatch): Promise<CanaryFacts> => {
  const { called, disk, stop } = kit;
  const before = wanted.kind === 'privileged' ? await disk.snapshot() : null;
  const rung = called.invites.length;
  const answered = called.incoming.length;
  called.answerWith({ do: 'answer', afterMs: 100, tone: wanted.tones.called });
  let call: OutgoingCall;
  try {
    call = await kit.caller.call({
      to: `sip:${wanted.number}@${hostOf(kit.sip.host)}:${kit.sip.port}`,
      via: kit.sip,
      from: `<sip:${wanted.from}@${hostOf(kit.caller.host)}>`,
      headers: wanted.headers,
      tone: wanted.tones.caller,
    });
  } catch {
    return { ...noFacts, unsent: 'phone' };
  }
  const pressing = accepting(kit, answered, watch);
  await watch.until(() => watch.connected || watch.isOver || call.final?.status === 408, CONNECT_MS, stop);
  const heard = watch.connected ? await talk(call, called.incoming[answered], wanted.tones) : noFacts.heard;
  const during = watch.connected ? await look(wanted, kit, watch.callId, before) : null;
  await call.giveUp();
  if (watch.callId !== null) await watch.until(() => watch.isOver, END_MS, stop);
  await pressing;
  const { callId, rejected, decided, connected, ended } = watch;
  const after = await look(wanted, kit, callId, before);
  return {
    callId,
    unsent: null,
    rejected,
    decided,
    rung: called.invites.length - rung,
    connected,
    heard,
    ended,
    disk: gravest(during, after),
    recording:
      wanted.kind === 'monitored' && connected && callId !== null
        ? await kit.recording(callId, wanted.tones)
        : null,
  };
};

const hostOf = (host: string): string => (host.includes(':') ? `[${host}]` : host);

const accepting = async ({ ear, called, stop }: CallKit, nth: number, watch: CallWatch): Promise<void> => {
  if (ear === null) return;
  const rang = called.incomingCall({ nth: nth + 1, deadlineMs: CONNECT_MS }).catch(() => null);
  // A call that is refused rings nobody: then there is nobody to wait for.
  const over = watch.until(() => watch.connected || watch.isOver, CONNECT_MS, stop).then(() => null);
  const call = await Promise.race([rang, over]);
  if (call !== null) await ear.accept(call, () => !watch.connected && !watch.isOver);
};

const talk = async (
  call: OutgoingCall,
  other: PhoneCall | undefined,
  tones: Tones,
): Promise<CanaryFacts['heard']> => {
  const hears = (work: Promise<void> | undefined): Promise<boolean> =>
    work === undefined
      ? Promise.resolve(false)
      : work.then(
          () => true,
          () => false,
        );
  const both = (forMs: number): Promise<[boolean, boolean]> => {
    const wait = { forMs, deadlineMs: HEAR_MS };
    return Promise.all([
      hears(call.audio.untilHears(tones.called, wait)),
      hears(other?.audio.untilHears(tones.caller, wait)),
    ]);
  };
  const [byCaller, byCalled] = await both(HEAR_FOR_MS);
  // By what is heard, and not by the clock: this process may get no turn for a while, and sends nothing then.
  if (byCaller && byCalled) await both(TALK_MS);
  return { byCaller, byCalled };
};

const look = async (
  { kind, tones }: Wanted,
  { disk, now }: CallKit,
  callId: CallId | null,
  before: Snapshot | null,
): Promise<DiskFinding | null> =>
  kind === 'privileged' ? disk.look(before, callId, soundsOf(tones), now()) : null;

/** Of two looks: what either found, and clean only where both were. */
const gravest = (one: DiskFinding | null, other: DiskFinding | null): DiskFinding | null => {
  if (one === null || other === null) return one ?? other;
  const state = [one, other].some((each) => each.state === 'found')
    ? 'found'
    : [one, other].some((each) => each.state === 'unreadable')
      ? 'unreadable'
      : 'clean';
  return {
    state,
    what: [...new Set([...one.what, ...other.what])],
    files: Math.max(one.files, other.files),
    descriptors: Math.max(one.descriptors, other.descriptors),
  };
};
