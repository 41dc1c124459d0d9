import type { CallerGone } from '../core/call-state.js';
import type { Connectable, Monitored, Private } from '../core/decision.js';
import type { Ending } from '../core/ending.js';
import type { CallerId, CallId, FacilityId, Leg, WallMs } from '../core/leg.js';
import type { ListAnswers } from '../core/lists.js';
import type { NumberKey } from '../core/number.js';
import type { AppEvent } from './events.js';
import type { Conversation, Entering, OtherParty, Place, SpokenLeg } from './talk.js';

export type { OtherParty, SpokenLeg } from './talk.js';

/**
 * The roles a call needs filled. Adapters implement them and import nothing of each other; `main.ts` joins them.
 * Every promise here settles within its adapter's own bound: the call never waits on an adapter for ever, and the
 * controller sets a second, longer bound of its own.
 */

export interface Clock {
  /** Wall time in ms since the epoch: for rows and validity, never for durations. */
  wall(): WallMs;
  /** Monotonic milliseconds, with fraction: for durations and deadlines. */
  mono(): number;
}

/** Typed events for logs, metrics and alarms. Never throws, never blocks. */
export type Emit = (event: AppEvent) => void;

// ---- lists

export interface ListQuestion {
  readonly key: NumberKey;
  /** Null where nobody knows who calls: only what holds for everybody is asked. */
  readonly caller: CallerId | null;
  readonly facility: FacilityId;
}

export interface Lists {
  /** Never rejects: what could not be asked comes back as `unknown`. At most about 50 ms. */
  lookUp(question: ListQuestion): Promise<ListAnswers>;
  /** True while nothing that is asked is answered: what was waited for in vain says nothing about us. */
  readonly silent?: boolean;
  /**
   * As `lookUp`, and takes the call's place in the counts in the same round trip. How it counts depends on the answer, so
   * `entering` is asked with what is known without Redis; Redis takes the place only while its lists are those, word for
   * word. `place` is null where none was asked for. Never rejects.
   */
  lookUpEntering?(
    question: ListQuestion,
    entering: (foreseen: ListAnswers) => Entering | null,
  ): Promise<{ readonly answers: ListAnswers; readonly place: Promise<Place> | null }>;
}

// ---- journal

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
export type JsonObject = { readonly [key: string]: Json };

export interface Journal {
  /** Resolves only when the row is on the disk (fdatasync). Rejects with an error that has a `code`. */
  append(kind: string, body: JsonObject): Promise<{ readonly seq: number; readonly hash: string }>;
  /** Follows the rows of one call, whoever in this process writes them, from now to `end`. */
  follow?(callId: CallId): FollowedRows;
}

/** A row that stands in the journal already. */
export interface PastRow {
  /** The media node it attests; null for a row of the call's own. */
  readonly node: string | null;
  readonly seq: number;
  readonly hash: string;
}

/** The rows of one call so far: the CDR names them, so that none of them can be left out of its evidence. */
export interface FollowedRows {
  /**
   * Resolves when none of them waits for the disk any more, or after so many ms. `nodes`: the media nodes the call was
   * on, whose attestations belong to it.
   */
  settled(ms: number, nodes: readonly string[]): Promise<void>;
  /** Rows that an earlier run of this controller wrote: of a call that it left. */
  knew(rows: readonly PastRow[]): void;
  /** What the CDR says of them. */
  named(nodes: readonly string[]): JsonObject;
  end(): void;
}

// ---- ledger

/** What is noted of a call while it lives. A later note of one kind takes the place of the earlier one. */
export type LedgerNote =
  | 'arrived'
  | 'place'
  | 'decided'
  | 'node'
  | 'caller'
  | 'dialling'
  | 'called'
  | 'opened'
  | 'sealing'
  | 'ending';

/**
 * What a later run of the controller needs to close the calls of this one, should it be killed. It is no evidence: a
 * note survives the process, not the machine, and nothing waits for it. Never throws.
 */
export interface Ledger {
  note(callId: CallId, what: LedgerNote, fact: JsonObject): void;
  /** The call's CDR is durable: what was noted of it is forgotten. */
  over(callId: CallId): void;
}

export const noLedger: Ledger = { note: () => undefined, over: () => undefined };

// ---- media

export type Party = 'caller' | 'called';

/** A session description as text, already checked by the media adapter. */
export type Sdp = string;

/** How the media of one leg travels. Nothing is optional: what is named is what is used, or the call is refused. */
export type MediaProtection = 'rtp' | 'srtp-sdes' | 'srtp-dtls';

/** The same of both legs of a call. */
export type Between = Readonly<Record<Party, MediaProtection>>;

export interface MediaTotals {
  /** RTP packets the node received from each party. */
  readonly packets: { readonly caller: number; readonly called: number };
  /** RTP packets that never arrived, as the node counted them. */
  readonly lost: { readonly caller: number; readonly called: number };
}

interface Anchored {
  readonly callId: CallId;
  /** Name of the media node, as configured. */
  readonly node: string;
  /** The offer for the called party: names only the node's addresses. */
  readonly offerForCalled: Sdp;
  /** How each leg's media is protected; plain RTP where nothing is said. */
  readonly between?: Between;
  /** Both parties have agreed to real-time text. */
  readonly carriesText?: boolean;
  /**
   * After `answer`: the description to tell a caller that was received, because the called party takes other text than
   * the caller was promised; null where all it was told stays true.
   */
  readonly correction?: Sdp | null;
  /**
   * No text passes from now on, whatever both agreed to: one of them could not be told of it as it is. Rejects with
   * MediaError.
   */
  withdrawText?(): Promise<void>;
  /** Lets media pass between the parties; until then the node drops it. */
  open(): Promise<void>;
  /** In-dialog offer/answer, always on the same node. Rejects with MediaError. */
  reoffer(from: Party, offer: Sdp): Promise<Sdp>;
  reanswer(from: Party, answer: Sdp): Promise<Sdp>;
  /**
   * Undoes a reoffer whose answer will not come (the other party refused it): the node goes back to what both had
   * agreed to before. Does nothing where no reoffer is open. Rejects with MediaError.
   */
  restore(): Promise<void>;
  /** RTP packets received so far from both parties; null where the node did not answer. */
  packets(): Promise<number | null>;
  /** Deletes the call on the node at once (no delete delay). Idempotent. */
  release(): Promise<MediaTotals | null>;
  /** How often the node was told what, and what its replies named; nothing a party said. */
  replies?(): JsonObject;
  /** Calls back once when the node is found gone or restarted, or loses its attestation. */
  onLost(lost: (why: string) => void): void;
  /**
   * Calls back once where, in an open call nobody holds, one party or both have not been heard for too long, or the
   * node has given the call up for that.
   */
  onSilent?(silent: (why: string) => void): void;
}

/** A call on a node that cannot record: there is nothing here to record, fork or listen with. */
export interface PrivateAnchor extends Anchored {
  readonly pool: 'private';
  /** Takes the called party's answer, gives the answer for the caller. */
  answer(decision: Private, answer: Sdp): Promise<Sdp>;
}

/** What a recording node said about a recording it started. A claim, not a proof. */
export interface RecordingClaim {
  readonly answerForCaller: Sdp;
  /** Absolute path of the pcap as the node named it, or null where it named none. */
  readonly path: string | null;
  /** The node's process id where it runs on this host, for looking at what it holds open. */
  readonly nodePid: number | null;
  /** The node's UDP port that receives each party's RTP: tells the channels of the pcap apart. */
  readonly ports: { readonly caller: number; readonly called: number };
}

/** Real-time text (RFC 4103) of a call, as its recording is to be read. */
export interface TextStreams {
  /** The node's UDP port that receives each party's text. */
  readonly ports: { readonly caller: number; readonly called: number };
  /** Every 'address port' each party has named for its text so far. */
  readonly sources: { readonly caller: readonly string[]; readonly called: readonly string[] };
  /** The payload types each party wants to receive. */
  readonly formats: {
    readonly caller: Readonly<Record<number, 't140' | 'red'>>;
    readonly called: Readonly<Record<number, 't140' | 'red'>>;
  };
}

export interface RecordedAnchor extends Anchored {
  readonly pool: 'recorded';
  /** Takes the called party's answer and starts the recording in the same command. */
  answerAndRecord(decision: Monitored, answer: Sdp): Promise<RecordingClaim>;
  /**
   * Every 'address port' each party has named for its RTP so far. The node records what strangers send too, though
   * it does not pass it on: only packets from these belong into the recording.
   */
  sources(): { readonly caller: readonly string[]; readonly called: readonly string[] };
  /** The call's real-time text, once there was any; without it, or null, the call is audio alone. */
  text?(): TextStreams | null;
}

/** Circumstances of an anchor. */
export interface AnchorFor {
  /** Default: as it was offered. */
  readonly text?: boolean;
  /** Default: plain RTP on both legs. */
  readonly between?: Between;
}

export type Anchor = PrivateAnchor | RecordedAnchor;

export interface Media {
  /**
   * Anchors on a node of the private pool. There is no way from here to the other pool. `text: false` where the call is
   * moved there and carries no text, whatever the caller once offered.
   */
  anchorPrivate(callId: CallId, decision: Private, offer: Sdp, also?: AnchorFor): Promise<PrivateAnchor>;
  anchorRecorded(callId: CallId, decision: Monitored, offer: Sdp, also?: AnchorFor): Promise<RecordedAnchor>;
}

export const mediaErrorCodes = [
  'no-node',
  'node-timeout',
  'node-refused',
  'node-error',
  'offer-unusable',
  'answer-unusable',
  'foreign-address',
  'unexpected-recording',
] as const;
export type MediaErrorCode = (typeof mediaErrorCodes)[number];

export class MediaError extends Error {
  readonly code: MediaErrorCode;
  /** A fact fit for a log and a Warning header: never an address of a party, a number or SDP text. */
  readonly detail: string;
  constructor(code: MediaErrorCode, detail: string) {
    super(`${code}: ${detail}`);
    this.name = 'MediaError';
    this.code = code;
    this.detail = detail;
  }
}

// ---- recording

/** A recording proved to run: its file is in the spool and the node holds it open. */
export interface Armed {
  readonly answerForCaller: Sdp;
  readonly proof: JsonObject;
  /** Watches that the file grows while packets arrive. Calls back at most once. */
  watch(lost: (code: string) => void): void;
}

export interface FinishedRecording {
  readonly file: string;
  readonly manifest: string;
  readonly evidence: JsonObject;
}

export type SpoolFinding =
  | { readonly state: 'recording-finished'; readonly recording: FinishedRecording }
  | { readonly state: 'recording-missing'; readonly code: string; readonly evidence: JsonObject }
  /** What was recorded before the call became private: out of the spool, apart from the ordinary recordings. */
  | { readonly state: 'recording-sealed'; readonly recording: FinishedRecording; readonly why: string }
  | { readonly state: 'nothing-found'; readonly evidence: JsonObject }
  /** Something of this call lies in a spool and must not: the gravest alarm there is. */
  | { readonly state: 'violation'; readonly evidence: JsonObject };

export interface Recorder {
  /**
   * Refuses at once, before anyone is dialled, where the spool or the vault is missing, unwritable or full, and where
   * there is no key to encrypt a recording of this leg's facility to. No leg is armed that was not asked for here.
   */
  ready(leg?: Leg): Promise<{ readonly ready: true } | { readonly ready: false; readonly code: string }>;
  /**
   * Records a monitored call and proves it; takes a Monitored and nothing else. Rejects with RecordingError, or
   * with MediaError where the node failed.
   */
  arm(decision: Monitored, anchor: RecordedAnchor, answer: Sdp): Promise<Armed>;
  /** After the media is released: makes the encrypted WAV and its manifest out of the pcap. */
  finish(
    leg: Leg,
    decision: Monitored,
    anchor: RecordedAnchor,
    totals: MediaTotals | null,
  ): Promise<SpoolFinding>;
  /**
   * After the media is released: removes what a monitored call left that was never connected. Nobody consented to
   * a recording of a call that did not come about.
   */
  discard(callId: CallId): Promise<SpoolFinding>;
  /** After the media is released: looks for any file of this call in every spool. */
  verifyAbsence(callId: CallId): Promise<SpoolFinding>;
}

export class RecordingError extends Error {
  readonly code: string;
  constructor(code: string, message: string) {
    super(`${code}: ${message}`);
    this.name = 'RecordingError';
    this.code = code;
  }
}

// ---- the two legs

/** The caller's half of the call, as the SIP adapter shows it. */
export interface CallerLeg extends SpokenLeg {
  readonly leg: Leg;
  readonly offer: Sdp;
  /** Calls back once when the caller cancels, hangs up, or its side fails, at any moment from now on. */
  onGone(gone: (event: CallerGone) => void): void;
  /** Tells each other party this side names; one listener, which also hears of those named before it was there. */
  onOther(listener: (party: OtherParty) => void): void;
  ring(): void;
  /** Sends 200 with the SDP. Rejects where the caller is gone already. */
  connect(answer: Sdp): Promise<void>;
  /** Sends the final response of this ending. Never rejects. */
  refuse(ending: Ending): Promise<void>;
  /** Sends BYE. Never rejects. */
  hangUp(ending: Ending): Promise<void>;
  /**
   * The final response its INVITE really got: a CANCEL may have overtaken what we said, and then it was told 487. Null
   * where none is known of. Never rejects.
   */
  told(): Promise<number | null>;
  /** Its dialog as the ledger keeps it; null while there is none. */
  trace?(): JsonObject | null;
}

export type DialOutcome =
  | { readonly state: 'answered'; readonly called: CalledLeg; readonly answer: Sdp; readonly trunk: string }
  | { readonly state: 'failed'; readonly ending: Ending };

/** One try on one carrier trunk, for the CDR. */
export interface DialAttempt {
  readonly trunk: string;
  /** Final status, 0 where none came. */
  readonly status: number;
  readonly ms: number;
}

export interface Dialling {
  /** Settles exactly once, also after cancel(). Never rejects. */
  readonly outcome: Promise<DialOutcome>;
  readonly attempts: readonly DialAttempt[];
  cancel(): void;
}

export interface CalledLeg extends SpokenLeg {
  /** `how` where it did not simply hang up. */
  onGone(gone: (how?: 'session-expired') => void): void;
  /** As for the caller; what was said before the answer is told to `DialOptions.other`, where there is one. */
  onOther(listener: (party: OtherParty) => void): void;
  hangUp(ending: Ending): Promise<void>;
}

export interface DialOptions {
  /** Called for each first 180/183 of an attempt. */
  readonly rang: () => void;
  /** Told each INVITE that was sent, as the ledger keeps it, and null once it has a final response. */
  readonly sent?: (trace: JsonObject | null) => void;
  /** Told each dialog that an INVITE became, as the ledger keeps it, before its answer is acknowledged. */
  readonly answered?: (trace: JsonObject, trunk: string) => void;
  /** Told each other party the called side names before its answer, and until `CalledLeg.onOther` is set. */
  readonly other?: (party: OtherParty) => void;
  /**
   * Asked where the called side redirects the call (3xx): the decision for the target, which is then dialled with the
   * same anchor, or null. Where it is not given, or decides for another number or another pool, the call fails as
   * `called-redirected`. The target is null where nobody can be read out of the response.
   */
  readonly redirect?: (party: OtherParty) => Promise<Connectable | null>;
}

export interface Dialer {
  /** Dials the canonical number on the trunks the origin may use. */
  dial(leg: Leg, decision: Connectable, anchor: Anchor, options: DialOptions): Dialling;
}

/** Two joined legs. */
export interface Joining {
  /**
   * Answers the parties' offers with 491 from now on, so that none crosses ours, and resolves when the exchange under
   * way is over. Rejects within about 8 s with an error that has a `code`; then nothing is paused.
   */
  pause(): Promise<void>;
  /** The parties' offers go to this anchor from now on. Only while paused; throws otherwise. */
  move(anchor: Anchor): void;
  resume(): void;
  /** What each party last sent as its own description. */
  heard(): { readonly caller: Sdp; readonly called: Sdp };
}

export interface Bridge {
  /** Joins two connected legs for in-dialog requests: re-INVITE, UPDATE, INFO, until either is gone. */
  join(caller: CallerLeg, called: CalledLeg, anchor: Anchor): Joining;
}

// ---- circumstances

export interface Surroundings {
  /** Lockdown, schedule and suspension for this leg at this moment. */
  of(
    leg: Leg,
    now: WallMs,
  ): {
    readonly lockdown: 'off' | 'on' | 'unknown';
    readonly schedule: 'open' | 'closed' | 'unknown';
    readonly suspended: boolean;
    /** `disarmed`: a test call has shown that recordings of this facility cannot be trusted. */
    readonly recording: 'armed' | 'disarmed';
    /** The phone is a text telephone. */
    readonly text: boolean;
  };
  /** Who holds the conversation of a call from there, and in which language it begins. */
  conversation(leg: Leg): Conversation;
  /** How the media of both legs is protected: by the trunk the call comes by, and those it may go to. */
  between(leg: Leg): Between;
}
