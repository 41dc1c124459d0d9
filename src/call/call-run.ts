import { type CallEvent, type CallState, type Effect, newCall, step } from '../core/call.js';
import type { Connectable, Decision, Monitored } from '../core/decision.js';
import type { Ending } from '../core/ending.js';
import type { Key } from '../core/key.js';
import type { Leg } from '../core/leg.js';
import { noteDown } from './bounded.js';
import { arrivedFact, type CallRecord, cdrRow, connectedMs, newRecord, type OtherNoted } from './cdr.js';
import { codeOf } from './deadline.js';
import { brokenDown, carryOut } from './effects.js';
import { leavePlace } from './effects-decide.js';
import { ask, askedIn, TwoWays, type Way } from './hear.js';
import { lookAgain } from './look-again.js';
import { meetOther } from './other-party.js';
import type { CallParts } from './parts.js';
import type { PinPad } from './pin-pad.js';
import type {
  Between,
  CalledLeg,
  CallerLeg,
  Dialling,
  FollowedRows,
  Joining,
  JsonObject,
  Party,
} from './ports.js';
import type {
  Conversation,
  KeysOfTrunks,
  LobbyAnchor,
  Place,
  SpokenArmed,
  SpokenPrivateAnchor,
  SpokenRecordedAnchor,
  Voice,
} from './talk.js';

/**
 * One call carried out: feeds events to the pure step and runs the effects it asks for. All that is mutable about
 * a call lives here; every change of state happens in `feed`, one event at a time.
 */
export class CallRun {
  readonly caller: CallerLeg;
  readonly parts: CallParts;
  readonly record: CallRecord;
  readonly keys: KeysOfTrunks;
  /** The leg as it is known by now: a PIN names its caller, a key makes it a claim. */
  leg: Leg;
  /** Handles of what is open, set by the effects that opened them. */
  lobby: LobbyAnchor | null = null;
  anchor: SpokenPrivateAnchor | SpokenRecordedAnchor | null = null;
  recorded: SpokenRecordedAnchor | null = null;
  dialling: Dialling | null = null;
  called: CalledLeg | null = null;
  joined: Joining | null = null;
  answerOfCalled: string | null = null;
  answerForCaller: string | null = null;
  armed: SpokenArmed | null = null;
  place: Place | null = null;
  pinPad: PinPad | null = null;
  /** Why the PIN is asked for again. */
  pinWrong: 'wrong' | 'incomplete' | null = null;
  /** Set once the recording is to stop for good: what there is of it is sealed at the latest at the end. */
  becoming: Monitored | null = null;
  /** The recording was to stop and has not been seen to: no last words are said into it. */
  mayStillRecord = false;
  /** True from the moment the node was asked to let media pass: what it recorded since then is kept. */
  mayHaveFlowed = false;
  /** The dialling was given up without an outcome: what still comes of it is hung up. */
  dialAbandoned = false;
  /** How the media of the two legs is protected. */
  readonly between: Between;
  /** The decision's row, until the journal is given it. */
  evidence: JsonObject | null = null;
  /** The carrier waits to hear whether its redirect is followed. */
  redirect: ((decision: Connectable | null) => void) | null = null;
  /** Ends of the supervisors' ears on this call. */
  readonly ears = new Set<() => Promise<void>>();
  /** Other parties named before there was a decision to judge them beside. */
  readonly unjudged: (() => void)[] = [];
  /** The other party whose decision is being told to the call at this moment. */
  otherNow: OtherNoted | null = null;
  /** How often each party was spoken to: what plays is the last of it. */
  readonly utterances: Record<Party, number> = { caller: 0, called: 0 };
  /** How many announcements both were made: what remains of an older one moves nothing. */
  interludes = 0;
  /** Stops of the timers that watch the call's time. */
  readonly watching: (() => void)[] = [];
  /** Decisions on other parties under way: nobody is connected before they are made (design I7). */
  readonly judging = new Set<Promise<unknown>>();
  /** Legs of other parties that may be in the call, to be looked at again when the lists change. */
  readonly otherLegs: Leg[] = [];
  /** The rows of this call, for its CDR to name; null where the journal follows none. */
  readonly followed: FollowedRows | null;
  /** Rows and orders under way that the CDR waits for. */
  readonly keeping = new Set<Promise<unknown>>();

  #state: CallState;
  readonly #startedMono: number;
  readonly #queue: CallEvent[] = [];
  #feeding = false;
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #onEnded: (run: CallRun) => void;
  #looking = false;
  #lookOnceMore = false;
  /** The lists or the orders changed while they were being asked. */
  #changed = false;
  /** The conversation could not be found out: what the call is told once it can be told anything. */
  readonly #faultAtStart: string | null = null;
  readonly #twoWays = new TwoWays();

  constructor(caller: CallerLeg, parts: CallParts, onEnded: (run: CallRun) => void) {
    this.caller = caller;
    this.parts = parts;
    this.leg = caller.leg;
    this.record = newRecord();
    this.followed = parts.journal.follow?.(caller.leg.callId) ?? null;
    this.#startedMono = parts.clock.mono();
    this.#onEnded = onEnded;
    this.record.times.arrived = 0;
    let between: Between = { caller: 'rtp', called: 'rtp' };
    let conversation: Conversation = { manner: { held: 'elsewhere' }, language: 'en' };
    try {
      conversation = parts.surroundings.conversation(caller.leg);
      between = parts.surroundings.between(caller.leg);
    } catch (error) {
      this.#faultAtStart = codeOf(error);
    }
    this.between = between;
    const { manner, language, keys } = conversation;
    this.keys = keys ?? { caller: 'auto', called: () => 'auto' };
    this.record.conversation.held = manner.held;
    this.#state = newCall({ manner, language, rules: parts.policy, identified: caller.leg.caller !== null });
  }

  get callId() {
    return this.caller.leg.callId;
  }

  get state(): CallState {
    return this.#state;
  }

  /** The decision the call goes by, or ended by; null while there is none, or a new one is looked for. */
  get decided(): Decision | null {
    const state = this.#state;
    return state.phase !== 'looking-up' && 'decision' in state ? state.decision : null;
  }

  /** Nothing can change the call any more: it is being closed, or is. */
  get isOver(): boolean {
    const { phase } = this.#state;
    return phase === 'ending' || phase === 'ended';
  }

  /** Whoever speaks to the parties now: the lobby's node until the caller has been moved out of it, then the call's. */
  get voice(): Omit<Voice, 'release'> | null {
    return this.lobby ?? this.anchor;
  }

  start(): void {
    noteDown(this, 'arrived', arrivedFact(this.caller.leg, this.record.conversation.held));
    if (this.#faultAtStart !== null) this.feed({ type: 'fault', detail: this.#faultAtStart });
    try {
      this.caller.onGone((how) => this.feed({ type: 'caller-gone', how }));
      this.caller.onOther((other) => meetOther(this, other));
    } catch (error) {
      this.feed({ type: 'fault', detail: codeOf(error) });
    }
    this.feed({ type: 'arrived' });
  }

  /** Milliseconds since the INVITE arrived, monotonic. */
  elapsed(): number {
    return this.parts.clock.mono() - this.#startedMono;
  }

  /** Takes one event. Safe to call from anywhere, also from within an effect's start. */
  feed(event: CallEvent): void {
    this.#queue.push(event);
    if (this.#feeding) return;
    this.#feeding = true;
    try {
      for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) this.#take(next);
    } finally {
      this.#feeding = false;
    }
  }

  /** A key of a party. The digits of a PIN go to its pad and nowhere else (I11). */
  pressed(party: Party, key: Key, way: Way): void {
    if (askedIn(this.#state.phase) !== party || (this.#state.phase === 'identifying' && this.pinPad === null))
      return;
    if (this.#twoWays.heardAlready(party, key, way, this.elapsed())) return;
    if (this.pinPad !== null) {
      this.pinPad.press(key);
      return;
    }
    this.note({ party, key });
    this.feed({ type: 'key', party, key });
  }

  /** One thing said or pressed, for the CDR; a flood of keys is counted, not kept. */
  note(what: JsonObject): void {
    const { course } = this.record.conversation;
    if (course.length < 64) course.push({ ms: Math.round(this.elapsed()), ...what });
    else this.record.conversation.more += 1;
  }

  /** The lists or the orders have changed: what does the table say of this call now? One look at a time. */
  lookAgain(): void {
    if (this.#state.phase === 'looking-up') {
      this.#changed = true;
      return;
    }
    if (this.#looking) {
      this.#lookOnceMore = true;
      return;
    }
    this.#looking = true;
    void lookAgain(this).finally(() => {
      this.#looking = false;
      if (!this.#lookOnceMore) return;
      this.#lookOnceMore = false;
      this.lookAgain();
    });
  }

  /** The call is on this node from now on, or was for a while. */
  cameTo(node: string): void {
    if (!this.record.nodes.includes(node)) this.record.nodes.push(node);
  }

  /** Called once an anchor or a lobby is released: what its node was told and replied. */
  released(anchor: { readonly replies?: () => JsonObject }): void {
    try {
      const replies = anchor.replies?.();
      if (replies !== undefined && this.record.replies.length < 8) this.record.replies.push(replies);
    } catch (error) {
      this.parts.emit({ event: 'fault', where: 'media-replies', code: codeOf(error) });
    }
  }

  /** The CDR waits for it, for a while. */
  keep(work: Promise<unknown>): void {
    this.keeping.add(work);
    const done = (): void => void this.keeping.delete(work);
    work.then(done, done);
  }

  /** A timer that dies with the call. */
  after(ms: number, work: () => void): () => void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      work();
    }, ms);
    this.#timers.add(timer);
    return () => {
      clearTimeout(timer);
      this.#timers.delete(timer);
    };
  }

  /** The CDR as it stands. */
  cdr(ending: Ending) {
    return cdrRow(this.leg, this.record, ending, this.parts.prompts.version);
  }

  #take(event: CallEvent): void {
    const before = this.#state.phase;
    const result = step(this.#state, event);
    this.#state = result.next;
    const { emit } = this.parts;
    if (result.stray) {
      // Late acknowledgements and second hang-ups are ordinary; a stray that is neither would be a fault of ours.
      emit({ event: 'call-stray-event', callId: this.callId, phase: before, stray: event.type });
      return;
    }
    if (result.next.phase !== before) {
      if (result.next.phase === 'ending' || result.next.phase === 'parting') {
        this.record.times.ended ??= this.elapsed();
        if ('ending' in result.next) noteDown(this, 'ending', { code: result.next.ending.code });
      }
      this.parts.moved(this.callId, this.caller.leg.origin.trunk, result.next.phase);
      emit({ event: 'call-phase', callId: this.callId, phase: result.next.phase, ms: this.elapsed() });
    }
    // Digits that were being keyed in are nobody's once the call has moved on: half a PIN is no wrong one.
    if (before === 'identifying' && result.next.phase !== before) this.pinPad?.close();
    if (before === 'asking' && result.next.phase !== before) this.record.times.asked = this.elapsed();
    if (askedIn(before) !== askedIn(result.next.phase)) ask(this);
    for (const effect of result.effects) this.#run(effect);
    this.#catchUp();
    if (result.next.phase === 'ended' && before !== 'ended') this.#finish(result.next.ending);
  }

  /** What had to wait for the decision, or for its row. */
  #catchUp(): void {
    const { phase } = this.#state;
    if (this.#changed && phase !== 'looking-up') {
      this.#changed = false;
      this.lookAgain();
    }
    const { decided } = this;
    if (this.isOver || phase === 'journalling' || decided === null || decided.verdict === 'refused') return;
    for (const judge of this.unjudged.splice(0)) judge();
  }

  #run(effect: Effect): void {
    carryOut(this, effect).then(
      (events) => {
        for (const event of events) this.feed(event);
      },
      (error: unknown) => {
        // carryOut answers every failure itself; reaching this is a fault of ours, and it ends the call. Each
        // effect is answered all the same, or an ending that waits for it would never come to its CDR.
        const code = codeOf(error);
        this.parts.emit({ event: 'call-effect-failed', callId: this.callId, effect: effect.type, code });
        for (const event of brokenDown(effect, code)) this.feed(event);
      },
    );
  }

  #finish(ending: Ending): void {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
    this.pinPad?.close();
    this.followed?.end();
    void leavePlace(this);
    this.parts.emit({
      event: 'call-ended',
      callId: this.callId,
      verdict: this.record.decision?.verdict ?? 'undecided',
      ending: ending.code,
      detail: ending.detail ?? null,
      connectedMs: connectedMs(this.record),
    });
    this.#onEnded(this);
  }
}
