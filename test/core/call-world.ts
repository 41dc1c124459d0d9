import { acceptance, noticeOf } from '../../src/core/accept.js';
import { type CallEvent, type CallState, type Effect, newCall, step } from '../../src/core/call.js';
import type { CallRules, Manner, OtherHow, PinOutcome } from '../../src/core/call-state.js';
import type { Connectable, Decision } from '../../src/core/decision.js';
import { endingCodes } from '../../src/core/ending.js';
import { forwardOutcome } from '../../src/core/forward.js';
import type { Key } from '../../src/core/key.js';
import { type Clip, prompts } from '../../src/core/prompt.js';
import { aClaim, aMonitored, aPrivateOf, everyRefusal } from './samples.js';

/** The world around one pure call: answers its effects as a shell would, and watches the invariants at every step. */

export const monitored = aMonitored();
export const attorney = aPrivateOf('attorney');
export const hotline = aPrivateOf('hotline');
export const relay = aPrivateOf('relay');
export const claim = aClaim();
export const refusals = everyRefusal();
/** What the lists may answer. Connectable calls come more often than each refusal. */
export const decisions: readonly Decision[] = [
  ...Array<Decision>(8).fill(monitored),
  ...[attorney, attorney, attorney, hotline, hotline, relay, relay, claim, claim, claim, claim],
  ...refusals,
];

export interface Setting {
  readonly manner: Manner;
  readonly rules: CallRules;
  readonly identified: boolean;
  /** What the lists answer, in turn; the last one again and again. */
  readonly lists: readonly Decision[];
}

type Acks = CallEvent['type'];
/** Which effects an acknowledgement may answer. An event that is not here is news from outside. */
const answersTo: Partial<Record<Acks, readonly Effect['type'][]>> = {
  decided: ['look-up-and-decide'],
  received: ['receive-caller'],
  'receive-failed': ['receive-caller'],
  'pin-checked': ['ask-pin'],
  'pin-unasked': ['ask-pin'],
  'claim-withdrawn': ['withdraw-claim'],
  'decision-journalled': ['journal-decision'],
  'journal-failed': ['journal-decision', 'withdraw-claim'],
  'recorder-ready': ['ready-recorder'],
  'recorder-unready': ['ready-recorder'],
  anchored: ['anchor'],
  'anchor-failed': ['anchor'],
  answered: ['dial'],
  'dial-failed': ['dial'],
  armed: ['arm'],
  'arm-failed': ['arm'],
  'media-answered': ['answer-media'],
  'media-answer-failed': ['answer-media'],
  'caller-connected': ['connect-caller', 'greet-caller'],
  'caller-connect-failed': ['connect-caller', 'greet-caller'],
  told: ['tell'],
  'tell-failed': ['tell'],
  'media-opened': ['open-media'],
  'media-open-failed': ['open-media'],
  'interlude-over': ['interlude'],
  'interlude-failed': ['interlude'],
  'recording-stopped': ['stop-recording'],
  'recording-stop-failed': ['stop-recording'],
  'media-moved': ['move-media'],
  'media-move-failed': ['move-media'],
  'farewell-said': ['say-farewell'],
  said: ['say'],
  'say-failed': ['say'],
  'key-timeout': ['await-key'],
  'caller-closed': ['refuse-caller', 'hang-up-caller'],
  'called-closed': ['hang-up-called'],
  'media-released': ['release-media'],
  'spool-inspected': ['inspect-spool'],
  'cdr-written': ['write-cdr'],
};

const x = 'x';
const busy = { code: 'called-busy' } as const;
const noMedia = { code: 'media-unavailable' } as const;
const pins: readonly PinOutcome[] = ['known', 'wrong', 'incomplete', 'locked', 'unknown'];

/** The answers to an effect, the good one first; empty where it has none. */
export const outcomes = (effect: Effect, decided: Decision): readonly CallEvent[] => {
  switch (effect.type) {
    case 'look-up-and-decide':
      return [{ type: 'decided', decision: decided }];
    case 'receive-caller':
      return [{ type: 'received' }, { type: 'receive-failed', detail: x }];
    case 'ask-pin':
      return [
        ...pins.map(
          (outcome, i) => ({ type: 'pin-checked', outcome, language: i === 0 ? 'es' : null }) as const,
        ),
        { type: 'pin-unasked', detail: x },
      ];
    case 'withdraw-claim':
      return [{ type: 'claim-withdrawn' }, { type: 'journal-failed', detail: x }];
    case 'journal-decision':
      return [{ type: 'decision-journalled' }, { type: 'journal-failed', detail: x }];
    case 'ready-recorder':
      return [{ type: 'recorder-ready' }, { type: 'recorder-unready', detail: x }];
    case 'anchor':
      return [
        { type: 'anchored' },
        { type: 'anchor-failed', ending: noMedia },
        { type: 'anchor-failed', ending: { code: 'offer-unusable' } },
      ];
    case 'dial':
      return [{ type: 'answered' }, { type: 'dial-failed', ending: busy }];
    case 'arm':
      return [
        { type: 'armed' },
        { type: 'arm-failed', ending: { code: 'recording-unproved' } },
        { type: 'arm-failed', ending: noMedia },
      ];
    case 'answer-media':
      return [
        { type: 'media-answered' },
        { type: 'media-answer-failed', ending: noMedia },
        { type: 'media-answer-failed', ending: { code: 'called-media-unusable' } },
      ];
    case 'connect-caller':
    case 'greet-caller':
      return [{ type: 'caller-connected' }, { type: 'caller-connect-failed', detail: x }];
    case 'tell':
      return [{ type: 'told' }, { type: 'tell-failed', detail: x }];
    case 'open-media':
      return [{ type: 'media-opened' }, { type: 'media-open-failed', detail: x }];
    case 'interlude':
      return [{ type: 'interlude-over' }, { type: 'interlude-failed', detail: x }];
    case 'stop-recording':
      return [{ type: 'recording-stopped' }, { type: 'recording-stop-failed', detail: x }];
    case 'move-media':
      return [{ type: 'media-moved' }, { type: 'media-move-failed', ending: noMedia }];
    case 'say':
      return [
        { type: 'said', turn: effect.turn },
        { type: 'say-failed', turn: effect.turn, detail: x },
      ];
    case 'await-key':
      return [{ type: 'key-timeout', turn: effect.turn }];
    case 'say-farewell':
      return [{ type: 'farewell-said' }];
    case 'refuse-caller':
    case 'hang-up-caller':
      return [{ type: 'caller-closed' }];
    case 'hang-up-called':
      return [{ type: 'called-closed' }];
    case 'release-media':
      return [{ type: 'media-released' }];
    case 'inspect-spool':
      return [{ type: 'spool-inspected' }];
    case 'write-cdr':
      return [{ type: 'cdr-written' }];
    case 'claim-private':
    case 'keep-claim':
    case 'keep-answer':
    case 'ring-caller':
    case 'hold-caller':
    case 'watch':
    case 'follow-redirect':
    case 'refuse-redirect':
    case 'note-other-party':
    case 'cancel-dial':
      return [];
    default: {
      const never: never = effect;
      return never;
    }
  }
};

const hows: readonly OtherHow[] = [
  'redirect',
  'forwarded',
  'diversion',
  'history-info',
  'connected-identity',
  'refer',
];
/** What an order or a publication may make of a call in progress. */
const again: readonly Decision[] = [monitored, attorney, hotline, ...refusals];

/** News from outside, at any moment. */
export const news: readonly CallEvent[] = [
  { type: 'arrived' },
  { type: 'rang' },
  { type: 'caller-gone', how: 'caller-cancelled' },
  { type: 'caller-gone', how: 'caller-hung-up' },
  { type: 'caller-gone', how: 'ack-missing' },
  { type: 'caller-gone', how: 'session-expired' },
  { type: 'called-gone' },
  { type: 'called-gone', how: 'session-expired' },
  { type: 'ring-limit-reached' },
  { type: 'time-warning', left: 'minute' },
  { type: 'time-warning', left: 'ten-seconds' },
  { type: 'time-limit-reached' },
  { type: 'three-way-suspected', score: 100 },
  { type: 'three-way-suspected', score: 1 },
  { type: 'three-way-suspected', score: Number.NaN },
  { type: 'ended-by-staff' },
  { type: 'recording-lost', detail: x },
  { type: 'node-lost', detail: x },
  { type: 'media-silent', detail: x },
  { type: 'shutdown' },
  { type: 'agent-lost' },
  { type: 'fault', detail: x },
  ...again.map((decision) => ({ type: 'decided-again', decision }) as const),
  ...hows.flatMap((how) =>
    [monitored, attorney, hotline, null, claim, ...refusals.slice(6, 9)].map(
      (decision) => ({ type: 'other-party-decided', how, decision }) as const,
    ),
  ),
];
const keys: readonly Key[] = ['1', '2', '3', '5', '7', '8', '9', '4', '#', 'flash'];
export const pressed: readonly CallEvent[] = (['called', 'caller'] as const).flatMap((party) =>
  keys.map((key) => ({ type: 'key', party, key }) as const),
);
/** Acknowledgements nobody waits for: what a confused or hostile shell may say. */
export const strays: readonly CallEvent[] = [
  { type: 'decided', decision: monitored },
  { type: 'received' },
  { type: 'receive-failed', detail: x },
  { type: 'pin-checked', outcome: 'known', language: null },
  { type: 'pin-unasked', detail: x },
  { type: 'claim-withdrawn' },
  { type: 'decision-journalled' },
  { type: 'journal-failed', detail: x },
  { type: 'recorder-ready' },
  { type: 'anchored' },
  { type: 'anchor-failed', ending: noMedia },
  { type: 'answered' },
  { type: 'dial-failed', ending: busy },
  { type: 'armed' },
  { type: 'media-answered' },
  { type: 'caller-connected' },
  { type: 'told' },
  { type: 'media-opened' },
  { type: 'interlude-over' },
  { type: 'interlude-failed', detail: x },
  { type: 'recording-stopped' },
  { type: 'media-moved' },
  { type: 'farewell-said' },
  ...[1, 2, 3, 4].flatMap((turn): CallEvent[] => [
    { type: 'said', turn },
    { type: 'key-timeout', turn },
  ]),
  { type: 'say-failed', turn: 2, detail: x },
  { type: 'caller-connect-failed', detail: x },
  { type: 'recorder-unready', detail: x },
  { type: 'arm-failed', ending: noMedia },
  { type: 'media-answer-failed', ending: noMedia },
  { type: 'tell-failed', detail: x },
  { type: 'media-open-failed', detail: x },
  { type: 'recording-stop-failed', detail: x },
  { type: 'media-move-failed', ending: noMedia },
  { type: 'caller-closed' },
  { type: 'called-closed' },
  { type: 'media-released' },
  { type: 'spool-inspected' },
  { type: 'cdr-written' },
];

const wrong = (what: string, event: CallEvent, before: CallState): Error =>
  new Error(`${what} (at ${event.type} in ${before.phase})`);

/** Phases in which the call goes no further than its end. */
export const leaving: ReadonlySet<string> = new Set(['cancelling', 'parting', 'ending', 'ended']);

export class World {
  state: CallState;
  readonly setting: Setting;
  /** Effects under way that wait for an answer. */
  readonly due: Effect[] = [];
  readonly effects: Effect['type'][] = [];
  /** Every phase this call was in, and what it met there. */
  readonly met: string[] = [];
  #asked = 0;
  #caller: 'waiting' | 'cancelled' | 'up' | 'gone' | 'closing' = 'waiting';
  #called: 'none' | 'up' | 'gone' | 'closing' = 'none';
  #everHeld = false;
  readonly #durable = new Set<Decision>();
  /** Since the last change of who may hear what. */
  #armed = false;
  #anchored = false;
  #noticed: Decision | null = null;
  #accepted = false;
  #told: Decision | null = null;
  #becoming: 'no' | 'stopping' | 'stopped' | 'journalled' | 'moved' = 'no';
  #everPrivate = false;
  #claimed = false;

  constructor(setting: Setting) {
    this.setting = setting;
    const { manner, rules, identified } = setting;
    this.state = newCall({ manner, rules, language: 'en', identified });
  }

  /** What the lists say now. */
  get decided(): Decision {
    const { lists } = this.setting;
    return lists[Math.min(this.#asked, lists.length - 1)] ?? monitored;
  }

  count(type: Effect['type']): number {
    return this.effects.filter((effect) => effect === type).length;
  }

  /** Answers an effect under way; 0 is the good outcome. */
  answer(which: number, how: number): void {
    const effect = this.due[which % this.due.length];
    if (effect === undefined) return;
    const possible = outcomes(effect, this.decided);
    const event = possible[how % possible.length];
    if (event !== undefined) this.feed(event);
  }

  /** Feeds one event and holds the step to the invariants. */
  feed(event: CallEvent): void {
    const before = this.state;
    const answered = this.#takeAnswered(event);
    this.met.push(`${before.phase} ${event.type}`);
    const { next, effects, stray } = step(before, event);
    if (stray && (next !== before || effects.length > 0))
      throw wrong('a stray changed something', event, before);
    if (!stray && event.type in answersTo && answered === null) {
      throw wrong('an acknowledgement nobody waits for moved the call', event, before);
    }
    if (event.type === 'decided' && !stray) this.#asked += 1;
    this.state = next;
    this.#learn(event, before, answered, stray);
    this.#checkChange(event, before, effects);
    for (const effect of effects) {
      this.#checkEffect(effect, event, before);
      this.effects.push(effect.type);
      if (outcomes(effect, monitored).length > 0) this.due.push(effect);
    }
    if (next.phase === 'ended') this.#checkEnded(event, before);
  }

  #takeAnswered(event: CallEvent): Effect | null {
    const possible = answersTo[event.type];
    if (possible === undefined) return null;
    const at = this.due.findIndex(
      (effect) =>
        possible.includes(effect.type) &&
        (!('turn' in event) || !('turn' in effect) || event.turn === effect.turn),
    );
    return at < 0 ? null : (this.due.splice(at, 1)[0] ?? null);
  }

  /** Keeps what is true by now, from the events alone. */
  #learn(event: CallEvent, before: CallState, answered: Effect | null, stray: boolean): void {
    switch (event.type) {
      case 'received':
      case 'caller-connected':
        // A 200 that crossed the CANCEL: that caller is up, and needs a BYE.
        if (answered !== null && (this.#caller === 'waiting' || this.#caller === 'cancelled'))
          this.#caller = 'up';
        if (event.type === 'received' && answered !== null) this.#everHeld = true;
        return;
      case 'anchored':
        if (answered === null) return;
        this.#everHeld = this.#anchored = true;
        return;
      case 'answered':
        if (answered !== null) this.#called = 'up';
        return;
      case 'caller-gone':
        if (stray) return;
        if (this.#caller === 'waiting') this.#caller = 'cancelled';
        // A CANCEL ends nothing that was answered.
        else if (this.#caller === 'up' && event.how !== 'caller-cancelled') this.#caller = 'gone';
        return;
      case 'called-gone':
        if (this.#called === 'up') this.#called = 'gone';
        return;
      case 'decision-journalled':
        if (answered?.type === 'journal-decision') {
          this.#durable.add(answered.decision);
          if (answered.decision.verdict === 'private') this.#everPrivate = true;
          if (this.#becoming === 'stopped') this.#becoming = 'journalled';
        }
        return;
      case 'armed':
        if (answered !== null) this.#armed = true;
        return;
      case 'said':
        if (answered?.type === 'say' && answered.to === 'called' && 'decision' in before) {
          const notice = noticeOf(before.decision as Connectable);
          if (saysId(answered.speech.clips, notice)) this.#noticed = before.decision;
        }
        return;
      case 'key':
        if (before.phase === 'asking' && event.party === 'called' && event.key === '1' && !stray)
          this.#accepted = true;
        return;
      case 'told':
        if (answered !== null && 'decision' in before) this.#told = before.decision;
        return;
      case 'recording-stopped':
        if (answered !== null && this.#becoming === 'stopping') this.#becoming = 'stopped';
        return;
      case 'media-moved':
        if (answered !== null && this.#becoming === 'journalled') this.#becoming = 'moved';
        return;
      case 'claim-withdrawn':
        if (!stray && before.phase === 'withdrawing') this.#claimed = false;
        return;
      default:
        return;
    }
  }

  #checkChange(event: CallEvent, before: CallState, effects: readonly Effect[]): void {
    const { state } = this;
    if (before.phase === 'connected' && state.phase === 'unrecording') {
      this.#becoming = 'stopping';
      this.#everPrivate = true;
      if (effects.length !== 1 || effects[0]?.type !== 'stop-recording')
        throw wrong('becoming private did not begin with stopping the recording', event, before);
    }
    if (leaving.has(before.phase) && !leaving.has(state.phase))
      throw wrong('a call came back', event, before);
    if (event.type === 'other-party-decided' && !leaving.has(before.phase)) {
      this.#checkOther(event, before, effects);
    }
  }

  #checkOther(
    event: Extract<CallEvent, { type: 'other-party-decided' }>,
    before: CallState,
    effects: readonly Effect[],
  ): void {
    const decision = 'decision' in before ? before.decision : null;
    if (decision === null || decision.verdict === 'refused') return;
    const [note, ...rest] = effects;
    if (note?.type !== 'note-other-party' || note.how !== event.how)
      throw wrong('another party without a note', event, before);
    const ends = leaving.has(this.state.phase);
    if (event.how === 'redirect') {
      const word = rest.filter(({ type }) => type === 'follow-redirect' || type === 'refuse-redirect');
      if (word.length !== 1) throw wrong('a redirect without an answer', event, before);
      const follow = rest.find((one) => one.type === 'follow-redirect');
      if (follow?.type === 'follow-redirect' && follow.decision.verdict !== decision.verdict)
        throw wrong('a redirect to another class was followed', event, before);
    } else if (event.how !== 'refer') {
      const other = event.decision !== null && event.decision.verdict !== 'refused' ? event.decision : null;
      if (other !== null && other.verdict !== decision.verdict && !ends)
        throw wrong('a party of another class went on', event, before);
      if (forwardOutcome(decision, event.decision) === 'end' && !ends)
        throw wrong('a forbidden party went on', event, before);
    }
  }

  #checkEffect(effect: Effect, event: CallEvent, before: CallState): void {
    const fail = (what: string): Error => wrong(`${effect.type}: ${what}`, event, before);
    const here = this.setting.manner.held === 'here';
    switch (effect.type) {
      case 'journal-decision':
        if (effect.decision.reasons[0].code === 'private-claim-unlisted') this.#claimed = true;
        return;
      case 'anchor':
      case 'dial':
        if (!this.#durable.has(effect.decision)) throw fail('no durable decision (I2)');
        if (effect.type === 'dial' && !this.#anchored) throw fail('no media');
        if (effect.type === 'dial' && here && this.#caller !== 'up')
          throw fail('the caller was not received');
        return;
      case 'ready-recorder':
      case 'arm':
        if (effect.decision.verdict !== 'monitored') throw fail('not monitored');
        if (!this.#durable.has(effect.decision)) throw fail('no durable decision (I2)');
        if (this.#everPrivate) throw fail('after a private decision (I5)');
        if (effect.type === 'arm' && here) this.#checkAsked(effect.decision, fail);
        if (effect.type === 'arm' && here && this.#told !== effect.decision) throw fail('not told yet');
        return;
      case 'open-media':
        this.#checkOpen(fail);
        return;
      case 'interlude':
        if (this.#becoming !== 'no' && this.#becoming !== 'moved') throw fail('opened while it moves (I5)');
        if (this.state.phase !== 'connected') throw fail('not in a call');
        this.#checkWords([...effect.caller.clips, ...effect.called.clips], fail);
        return;
      case 'tell':
        this.#checkWords([...effect.caller.clips, ...effect.called.clips], fail);
        if (effect.caller.clips.length === 0) throw fail('the caller is told nothing');
        return;
      case 'say':
        this.#checkWords(effect.speech.clips, fail);
        return;
      case 'say-farewell': {
        const clips = [...(effect.caller?.clips ?? []), ...(effect.called?.clips ?? [])];
        if (clips.length === 0) throw fail('says nothing');
        if (clips.some((clip) => clip.kind === 'prompt' && prompts[clip.id] !== 'nothing'))
          throw fail('speaks of recording (I6)');
        if (this.#becoming === 'stopping') throw fail('while a recording may be running (I5)');
        if (!here) throw fail('where another holds the conversation');
        return;
      }
      case 'hang-up-caller':
        if (this.#caller !== 'up') throw fail(`the caller is ${this.#caller}`);
        this.#caller = 'closing';
        return;
      case 'refuse-caller':
        if (this.#caller !== 'waiting' && this.#caller !== 'cancelled')
          throw fail(`the caller is ${this.#caller}`);
        // A final response to a caller who has gone is the agent's to swallow, where a 200 was under way.
        this.#caller = 'closing';
        return;
      case 'hang-up-called':
        if (this.#called !== 'up') throw fail('not up');
        this.#called = 'closing';
        return;
      case 'write-cdr':
        if (this.due.some(({ type }) => mustSettle.has(type))) throw fail('before all is closed');
        return;
      default:
        return;
    }
  }

  #checkAsked(decision: Connectable, fail: (what: string) => Error): void {
    const { acceptance: rules } = this.setting.rules;
    const rule =
      decision.verdict === 'monitored'
        ? rules.monitored
        : decision.class === 'hotline' || decision.class === 'relay'
          ? rules.machine
          : rules.private;
    if (rule === 'none') return;
    if (this.#noticed !== decision) throw fail('the called party was not told (I6)');
    if (rule === 'key' && !this.#accepted) throw fail('the called party did not accept');
  }

  #checkOpen(fail: (what: string) => Error): void {
    const { state } = this;
    const decision = 'decision' in state ? state.decision : null;
    if (decision === null || decision.verdict === 'refused') throw fail('without a decision to connect');
    if (!this.#durable.has(decision)) throw fail('no durable decision (I2)');
    if (decision.verdict === 'monitored' && !this.#armed) throw fail('not armed (I3)');
    if (this.#caller !== 'up' || this.#called !== 'up') throw fail('a leg is not up');
    if (this.setting.manner.held === 'elsewhere') return;
    this.#checkAsked(decision, fail);
    if (this.#told !== decision) throw fail('the caller was not told (I6)');
  }

  /** I6: what is said of recording is what the decision in force says. */
  #checkWords(clips: readonly Clip[], fail: (what: string) => Error): void {
    const decision = 'decision' in this.state ? this.state.decision : null;
    for (const clip of clips) {
      if (clip.kind !== 'prompt') continue;
      const says = prompts[clip.id];
      if (says === 'recorded' && decision?.verdict !== 'monitored') throw fail(`${clip.id} is not true (I6)`);
      if (says === 'not-recorded' && decision?.verdict !== 'private')
        throw fail(`${clip.id} is not true (I6)`);
    }
  }

  #checkEnded(event: CallEvent, before: CallState): void {
    const fail = (what: string): Error => wrong(`ended: ${what}`, event, before);
    const expect = (type: Effect['type'], wanted: number): void => {
      const got = this.count(type);
      if (got !== wanted) throw fail(`${got} ${type}, not ${wanted}`);
    };
    if (this.state.phase !== 'ended') return;
    if (!endingCodes.includes(this.state.ending.code)) throw fail('an ending that is not in the table');
    expect('write-cdr', 1);
    expect('release-media', this.#everHeld ? 1 : 0);
    expect('inspect-spool', this.#everHeld ? 1 : 0);
    expect('keep-claim', this.#claimed ? 1 : 0);
    if (this.#caller === 'waiting' || this.#caller === 'up') throw fail('the caller was left');
    if (this.#called === 'up') throw fail('the called party was left');
    if (this.count('cancel-dial') > 1) throw fail('cancelled twice');
    if (this.count('keep-answer') > 1) throw fail('an answer kept twice');
    for (const type of ['dial', 'anchor', 'open-media', 'arm', 'move-media', 'say-farewell'] as const) {
      if (this.count(type) > 1) throw fail(`${type} twice`);
    }
    if (this.effects.length > 3 * acceptance.rounds * (acceptance.switches + 1) + 400) throw fail('no bound');
  }

  /** Plays on without news: every effect is answered, every timer goes off. Whether it came to its end. */
  playOn(how: (n: number) => number, most = 400): boolean {
    for (let n = 0; n < most && this.state.phase !== 'ended' && this.due.length > 0; n++)
      this.answer(0, how(n));
    return this.state.phase === 'ended';
  }

  /** As many good answers as that, on the way to one of the places a call can come to. */
  advance(steps: number, route: Route): void {
    for (let n = 0; n < steps; n++) {
      const { state } = this;
      const scripted = onRoute(state, route);
      if (scripted !== null) this.feed(scripted);
      else if (this.due.length > 0) this.answer(this.due.length - 1, 0);
    }
  }
}

export const routes = ['ordinary', 'claims', 'becomes-private', 'rings-out'] as const;
export type Route = (typeof routes)[number];

const onRoute = (state: CallState, route: Route): CallEvent | null => {
  switch (state.phase) {
    case 'asking':
      return state.asking.step === 'menu' ? { type: 'key', party: 'called', key: '1' } : null;
    case 'choosing':
      return { type: 'key', party: 'caller', key: route === 'claims' ? '2' : '1' };
    case 'offering':
      return state.menu.step === 'waiting' && route === 'claims'
        ? { type: 'key', party: 'caller', key: '5' }
        : null;
    case 'dialling':
      return route === 'rings-out' ? { type: 'ring-limit-reached' } : null;
    case 'connected':
      return route === 'becomes-private' && state.decision.verdict === 'monitored'
        ? { type: 'decided-again', decision: attorney }
        : null;
    default:
      return null;
  }
};

const saysId = (clips: readonly Clip[], id: string): boolean =>
  clips.some((clip) => clip.kind === 'prompt' && clip.id === id);

/** What the CDR must come after. */
const mustSettle: ReadonlySet<string> = new Set([
  'receive-caller',
  'withdraw-claim',
  'journal-decision',
  'anchor',
  'dial',
  'arm',
  'answer-media',
  'connect-caller',
  'open-media',
  'stop-recording',
  'move-media',
  'refuse-caller',
  'hang-up-caller',
  'hang-up-called',
  'release-media',
  'inspect-spool',
]);
