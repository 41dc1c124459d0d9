import type { Manner } from '../core/call-state.js';
import type { Monitored, Private } from '../core/decision.js';
import type { Key } from '../core/key.js';
import type { CallerId, CallId, FacilityId, Leg, Origin } from '../core/leg.js';
import type { Dialled, NumberKey } from '../core/number.js';
import type { Clip, Language } from '../core/prompt.js';
import type { Usage } from '../core/usage.js';
import type {
  AnchorFor,
  Armed,
  JsonObject,
  Party,
  PrivateAnchor,
  RecordedAnchor,
  Recorder,
  RecordingClaim,
  Sdp,
  SpoolFinding,
} from './ports.js';

/**
 * The roles a spoken call needs filled beyond those of ports.ts. As there: every promise settles within its
 * adapter's own bound.
 */

// ---- the conversation as a whole

export interface Conversation {
  readonly manner: Manner;
  readonly language: Language;
  /** Absent: `auto` for both. */
  readonly keys?: KeysOfTrunks;
}

/**
 * How a trunk's keys are heard beside SIP INFO: as events (RFC 4733), or as tones in the sound. `auto`: as events where
 * its description holds them, else as tones.
 */
export type KeysBy = 'auto' | 'in-band' | 'events';

export interface KeysOfTrunks {
  readonly caller: KeysBy;
  /** By the name of the carrier's trunk. */
  readonly called: (trunk: string) => KeysBy;
}

/** Who is asked for a key, and how it may come. */
export interface Asked {
  readonly party: Party;
  readonly by: KeysBy;
}

// ---- prompts

/** One sound file, as the media nodes can read it. */
export interface Sound {
  /** Name within the prompts' directory, such as 'en/greeting.wav': each node has its own root for it. */
  readonly file: string;
  /** Length in milliseconds, by the file's own samples. */
  readonly ms: number;
}

export interface Prompts {
  /** Digest (sha256, hex) over the manifest: says years later which words were spoken. */
  readonly version: string;
  /** The sounds of these clips in this language. A name nobody recorded is left out, never an error. */
  sounds(
    clips: readonly Clip[],
    language: Language,
    of: { readonly facility: FacilityId; readonly caller: CallerId | null },
  ): readonly Sound[];
}

// ---- media

export interface Voice {
  /**
   * Plays these sounds one after another to one party alone, in place of whatever it was hearing from us. Resolves
   * 'said' after the last one's end, 'hushed' when `hush` or another `say` cut it short. `repeat` plays them until
   * hushed. Rejects with MediaError where the node does not play.
   */
  say(to: Party, sounds: readonly Sound[], repeat?: boolean): Promise<'said' | 'hushed'>;
  /** Stops what plays to a party. Does nothing where nothing does. */
  hush(to: Party): Promise<void>;
  /**
   * Each key a party presses, once, at its end (RFC 4733 events as the node reports them, or tones: see `ask`). One
   * listener; null listens no more: nobody looks at what is pressed on a private call that is up.
   */
  onKey(listener: ((party: Party, key: Key) => void) | null): void;
  /**
   * Says who is asked for a key from now on: this party's sound is listened to for tones, where its keys come so. Null,
   * and `open`, end it. Never throws; where it cannot be done, a `fault` says so and no tone is heard.
   */
  ask(asked: Asked | null): void;
  /** Stops media between the parties, as before `open`. What we say is heard all the same. */
  shut(): Promise<void>;
  /**
   * Answers the caller's offer before there is a called party, so that it can be spoken to: the description for
   * the caller. Later the called party's answer takes the placeholder's place. Of the sound this description stays
   * true; real-time text is taken as the caller offers it, and where the called party takes none or another form,
   * the caller is to be told so (`correction`).
   */
  receive(): Promise<Sdp>;
  /** A party's own description changed (its answer to our re-INVITE): the node sends there from now on. */
  readdress(party: Party, sdp: Sdp): Promise<void>;
  /** Deletes the call on the node at once. Idempotent. */
  release(): Promise<unknown>;
  /** See `Anchored`. */
  replies?(): JsonObject;
}

/**
 * The caller alone on a node that cannot record, before any decision: here a PIN is asked for and a refusal
 * explained. It can become a private call and nothing else.
 */
export interface LobbyAnchor extends Voice {
  readonly callId: CallId;
  readonly node: string;
  onLost(lost: (why: string) => void): void;
  /** The same call on the same node, now a private call's. The lobby must not be used afterwards. */
  becomePrivate(decision: Private): SpokenPrivateAnchor;
}

/** A supervisor's ear on a monitored call: hears both, is heard by none. There is no such thing on a PrivateAnchor. */
export interface Ear {
  /** The offer for the supervisor's phone. */
  readonly offer: Sdp;
  answer(sdp: Sdp): Promise<void>;
  /** Idempotent, never rejects. */
  end(): Promise<void>;
}

export interface SpokenRecordedAnchor extends RecordedAnchor, Omit<Voice, 'release'> {
  /** Takes the called party's answer and does not record yet. */
  answer(decision: Monitored, answer: Sdp): Promise<Sdp>;
  /** Starts the recording of an answered call. `answerForCaller` is what `answer` or `receive` gave. */
  record(decision: Monitored): Promise<RecordingClaim>;
  /** Stops it at once: the call is to be recorded no more. Idempotent. */
  stopRecording(): Promise<void>;
  listen(decision: Monitored): Promise<Ear>;
}

export type SpokenPrivateAnchor = PrivateAnchor & Omit<Voice, 'release'>;

export interface SpokenMedia {
  anchorLobby(callId: CallId, offer: Sdp, also?: AnchorFor): Promise<LobbyAnchor>;
  anchorPrivate(
    callId: CallId,
    decision: Private,
    offer: Sdp,
    also?: AnchorFor,
  ): Promise<SpokenPrivateAnchor>;
  anchorRecorded(
    callId: CallId,
    decision: Monitored,
    offer: Sdp,
    also?: AnchorFor,
  ): Promise<SpokenRecordedAnchor>;
}

// ---- recording

/** Something in the sound of a monitored call that a third party may explain. A score, never a proof. */
export interface ThreeWayEvidence {
  /** 0-100, rising over the call. */
  readonly score: number;
  /** What was noticed, oldest first, such as 'hook-flash', 'silence-gap', 'dial-tone', 'ssrc-change'. */
  readonly signs: readonly { readonly sign: string; readonly party: Party; readonly atMs: number }[];
}

/** A recording of a spoken call, proved to run. There is no such thing for a private call. */
export interface SpokenArmed extends Armed {
  /**
   * The call is to be recorded no more (I5): stops the recording and proves by the file itself that the node writes
   * none of it any longer. The watch and the listener of `observe` end without a word. Rejects with RecordingError
   * `recording-goes-on` where that could not be seen in time: the call must then lose its media. What was recorded
   * can from now on only be sealed, whoever asks for it. Idempotent.
   */
  stop(): Promise<void>;
  /**
   * Looks into the recording for signs of a third party and tells the evidence each time it changed, until the
   * recording ends. One listener, the first.
   */
  observe(listener: (evidence: ThreeWayEvidence) => void): void;
}

export interface SpokenRecorder extends Recorder {
  arm(decision: Monitored, anchor: RecordedAnchor, answer: Sdp): Promise<SpokenArmed>;
  /** Records a call that was answered before, and proves it as `arm` does. Rejects as `arm` does. */
  armAnswered(decision: Monitored, anchor: SpokenRecordedAnchor): Promise<SpokenArmed>;
  /**
   * The call became private after `stop` (or lost its media): makes the WAV and its manifest out of what was recorded
   * until then, in a folder apart that the ordinary recordings do not contain. `decision` is the one it was recorded
   * under, `why` a reason code. The spool holds nothing of the call afterwards: `verifyAbsence` at the call's end
   * finds it so, and names the sealed files. 'nothing-found' where nothing had been recorded yet.
   */
  seal(leg: Leg, decision: Monitored, anchor: SpokenRecordedAnchor, why: string): Promise<SpoolFinding>;
}

// ---- the two legs

export interface SpokenLeg {
  /** Keys sent as SIP INFO (application/dtmf-relay, application/dtmf), from now on. One listener; null for none. */
  onKey(listener: ((key: Key) => void) | null): void;
  /** Our own re-INVITE in the leg's dialog; the party's answer. Waits out glare (491). Rejects with SipError. */
  reinvite(offer: Sdp): Promise<Sdp>;
}

/** What the called side said about another party, before or after the answer. Each is a leg to be decided (I7). */
export interface OtherParty {
  readonly how: 'redirect' | 'forwarded' | 'diversion' | 'history-info' | 'connected-identity' | 'refer';
  /** Who it is, read as strictly as a dialled number; null where the message names nobody we can read. */
  readonly target: Dialled | null;
}

// ---- who is calling

export type PinAnswer =
  | { readonly state: 'known'; readonly caller: CallerId; readonly language: Language | null }
  | { readonly state: 'wrong' }
  /** Too many wrong ones, for this caller or from this phone. */
  | { readonly state: 'locked' }
  /** Redis could not be asked. */
  | { readonly state: 'unknown'; readonly why: string };

export interface Callers {
  /** Never rejects. `digits` are the caller's number and PIN as keyed in; they are kept nowhere. */
  check(origin: Origin, digits: string): Promise<PinAnswer>;
}

// ---- counting

export type { Usage, Used } from '../core/usage.js';

/** One call's place in the counts, from before its decision to its end. */
export interface Place {
  readonly usage: Usage;
  /** The parties could hear each other: counts for velocity and cool-down. */
  connected(): void;
  /** Idempotent, never rejects. */
  leave(): Promise<void>;
}

/** A place that is asked for in the same breath as the lists; until it is settled nobody has it. */
export interface Entering {
  /** What Redis is told, as the counters' script wants it. */
  readonly keys: readonly string[];
  readonly args: readonly (string | number)[];
  /**
   * The place, by what Redis said: null where it did not say it in time, undefined where it was not asked, and is asked
   * now. Never rejects.
   */
  settle(reply: unknown): Promise<Place>;
}

export interface Counters {
  /** As `enter`, for the lists to ask Redis in our place. */
  entering?(
    leg: Leg,
    key: NumberKey,
    kind: 'monitored' | 'private',
    taking?: (trace: JsonObject) => void,
  ): Entering | null;
  /**
   * Takes the place first and tells what was there before it, so that two calls cannot both be the last. `taking` is told
   * before that what a later run of the controller needs to give it back. Never rejects.
   */
  enter(
    leg: Leg,
    key: NumberKey,
    kind: 'monitored' | 'private',
    taking?: (trace: JsonObject) => void,
  ): Promise<Place>;
}

// ---- orders

/**
 * What people decided since the last publication of the lists: the called party's key 3 or 7, a caller's claim, a
 * lockdown, a suspension. They hold until somebody takes them back, whatever happens to Redis.
 */
export type Order =
  | { readonly kind: 'pending'; readonly key: NumberKey; readonly cause: 'caller-claim' | 'called-claim' }
  | { readonly kind: 'block'; readonly key: NumberKey; readonly cause: 'called-party' | 'security' }
  | { readonly kind: 'lockdown'; readonly place: Locked }
  | { readonly kind: 'suspension'; readonly caller: CallerId };

/** Where a lockdown holds: everywhere, or in one facility, unit or phone. */
export type Locked =
  | { readonly level: 'global' }
  | { readonly level: 'facility'; readonly facility: FacilityId }
  | { readonly level: 'unit'; readonly facility: FacilityId; readonly unit: string }
  | { readonly level: 'phone'; readonly facility: FacilityId; readonly phone: string };

export interface OrderGiven {
  readonly order: Order;
  readonly state: 'on' | 'off';
  /** Who gave it: an officer's name, or 'caller' and 'called' for what was keyed in. */
  readonly by: string;
  readonly why: string;
  readonly callId: CallId | null;
}

export interface Orders {
  /** Resolves once it holds in this process and is durable on this host; Redis follows. Rejects with a coded error. */
  give(given: OrderGiven): Promise<void>;
  /** 'unknown' where the orders could not be read. */
  lockdown(origin: Origin): 'off' | 'on' | 'unknown';
  suspended(caller: CallerId): boolean | 'unknown';
  /** Calls back after every change, also those of other controllers. */
  onChange(listener: () => void): void;
}
