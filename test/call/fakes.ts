import { Controller, type ControllerOptions } from '../../src/call/controller.js';
import type { AppEvent } from '../../src/call/events.js';
import type { CallBounds } from '../../src/call/parts.js';
import type {
  CalledLeg,
  CallerLeg,
  DialAttempt,
  Dialling,
  DialOptions,
  DialOutcome,
  Journal,
  JsonObject,
  ListQuestion,
  OtherParty,
  Party,
  SpoolFinding,
} from '../../src/call/ports.js';
import type {
  Conversation,
  Counters,
  OrderGiven,
  PinAnswer,
  Prompts,
  SpokenRecordedAnchor,
  SpokenRecorder,
} from '../../src/call/talk.js';
import { type Ending, endingRow } from '../../src/core/ending.js';
import type { Key } from '../../src/core/key.js';
import type { CallerId, CallId, Leg, WallMs } from '../../src/core/leg.js';
import type { ListAnswers } from '../../src/core/lists.js';
import { numberKeyText } from '../../src/core/number.js';
import type { Policy } from '../../src/core/policy.js';
import type { Clip } from '../../src/core/prompt.js';
import type { Usage, Used } from '../../src/core/usage.js';
import { answers, leg, now, policy } from '../core/samples.js';
import { CodedError } from './coded-error.js';
import { FakeRecorded, type FakeVoice, type Heard, lobbyAnchor, privateAnchor } from './fake-media.js';
import { VirtualTime } from './virtual-time.js';

/** What the controller may ask of its ports, as it stands in the trace. `<operation> ok` or `failed` follows it. */
export const operations = [
  'look-up',
  'enter',
  'leave',
  'surroundings',
  'append decision',
  'append armed',
  'append claim',
  'append answer',
  'append cdr',
  'ready',
  'anchor lobby',
  'anchor recorded',
  'anchor private',
  'become private',
  'receive',
  'on-lost',
  'check pin',
  'dial',
  'cancel',
  'ring',
  'arm',
  'arm answered',
  'answer',
  'connect',
  'reinvite caller',
  'reinvite called',
  'readdress caller',
  'readdress called',
  'say',
  'hush',
  'join',
  'open',
  'shut',
  'watch',
  'observe',
  'listen',
  'end ear',
  'stop',
  'pause',
  'move',
  'resume',
  'seal',
  'give',
  'refuse',
  'hang-up caller',
  'hang-up called',
  'release lobby',
  'release',
  'finish',
  'discard',
  'verify-absence',
] as const;
export type Operation = (typeof operations)[number];

/** How one operation goes. Without `ms` it settles at once (in a microtask); `throws` throws before any promise. */
export type Behaviour =
  /** `hushed`: what was to be said is cut short, and by nothing we said. */
  | { readonly ends: 'well'; readonly ms?: number; readonly hushed?: boolean }
  | { readonly ends: 'fails'; readonly ms?: number; readonly error?: unknown }
  | { readonly ends: 'throws'; readonly error?: unknown }
  | { readonly ends: 'hangs' };
const well: Behaviour = { ends: 'well' };

export interface DialScript {
  /** ms until it rings, null where it never does. */
  readonly rings: number | null;
  readonly ends: 'answered' | 'failed' | 'rejects' | 'hangs';
  /** ms until then. */
  readonly ms: number;
  readonly ending: Ending;
  /** What a cancel brings: an outcome, a 200 that crosses it, or nothing. */
  readonly afterCancel: 'failed' | 'answered' | 'hangs';
  readonly cancelMs: number;
  /** The called party has hung up before anyone listens for it. */
  readonly goneAtOnce: boolean;
  /** Where the carrier sends us before that, one after another; a target we do not follow fails the dialling. */
  readonly redirects?: readonly (OtherParty & { readonly ms: number })[];
  /** Where it sends us elsewhere once more before it heard what we say to that, at its time; only the last counts. */
  readonly impatient?: boolean;
  /** Other parties the called side names before its answer. */
  readonly others?: readonly (OtherParty & { readonly ms: number })[];
}

export const goodDial: DialScript = {
  rings: 0,
  ends: 'answered',
  ms: 0,
  ending: { code: 'called-busy', detail: 'sip-486' },
  afterCancel: 'failed',
  cancelMs: 0,
  goneAtOnce: false,
};

export interface Entry {
  readonly call: string | null;
  readonly what: string;
  readonly at: number;
}

export interface Row {
  readonly kind: string;
  readonly body: JsonObject;
}

/** Refuses what the real journal refuses: a row must be JSON. */
const checkJson = (value: unknown): void => {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return;
  if (typeof value === 'number' && Number.isFinite(value)) return;
  if (Array.isArray(value)) {
    for (const one of value) checkJson(one);
    return;
  }
  if (typeof value === 'object') {
    for (const one of Object.values(value)) checkJson(one);
    return;
  }
  throw new CodedError('row-invalid');
};

export class FakeCaller implements CallerLeg {
  readonly leg: Leg;
  readonly offer = 'offer';
  answer: string | null = null;
  readonly endings: Ending[] = [];
  readonly #world: World;
  readonly #gone: Parameters<CallerLeg['onGone']>[0][] = [];
  keys: ((key: Key) => void) | null = null;
  /** Names another party, as a re-INVITE or a Diversion would. */
  other: (party: OtherParty) => void = () => undefined;
  #goneAs: 'caller-cancelled' | 'caller-hung-up' | 'ack-missing' | null = null;
  #final: number | null = null;

  constructor(world: World, leg: Leg) {
    this.#world = world;
    this.leg = leg;
  }

  onGone(gone: Parameters<CallerLeg['onGone']>[0]): void {
    if (this.#goneAs !== null) gone(this.#goneAs);
    else this.#gone.push(gone);
  }

  onOther(listener: (party: OtherParty) => void): void {
    this.other = listener;
    for (const party of this.#world.namedBefore) listener(party);
  }

  onKey(listener: ((key: Key) => void) | null): void {
    this.keys = listener;
  }

  reinvite(_offer: string): Promise<string> {
    return this.#world.act('reinvite caller', this.leg.callId, () => {
      if (this.#goneAs !== null) throw new CodedError('gone');
      return 'caller-again';
    });
  }

  ring(): void {
    this.#world.actNow('ring', this.leg.callId);
  }

  connect(answer: string): Promise<void> {
    if (this.#goneAs !== null) return Promise.reject(new CodedError('cancelled'));
    return this.#world.act('connect', this.leg.callId, () => {
      this.answer = answer;
      // A CANCEL that crosses the 200 leaves the dialog up; a caller that hung up leaves none.
      if (this.#goneAs === null || this.#goneAs === 'caller-cancelled') {
        this.#world.opens('caller', this.leg.callId);
      }
    });
  }

  refuse(ending: Ending): Promise<void> {
    this.endings.push(ending);
    // The agent has answered a CANCEL that came before: what we say after it goes nowhere.
    if (this.#goneAs !== 'caller-cancelled') this.#final ??= endingRow(ending.code).status;
    return this.#world.act('refuse', this.leg.callId, () => undefined);
  }

  told(): Promise<number | null> {
    const cancelled = this.answer === null && this.#goneAs === 'caller-cancelled' ? 487 : null;
    return this.#world.tells(this.answer === null ? (this.#final ?? cancelled) : 200);
  }

  hangUp(ending: Ending): Promise<void> {
    this.endings.push(ending);
    this.#world.closes('caller', this.leg.callId);
    return this.#world.act('hang-up caller', this.leg.callId, () => undefined);
  }

  /** The caller leaves; only the first time counts. */
  leave(how: 'caller-cancelled' | 'caller-hung-up' | 'ack-missing'): void {
    if (this.#goneAs !== null) return;
    this.#goneAs = how;
    if (how !== 'caller-cancelled') this.#world.closes('caller', this.leg.callId);
    this.#world.note('caller gone', this.leg.callId);
    for (const gone of this.#gone.splice(0)) gone(how);
  }
}

export class FakeCalled implements CalledLeg {
  readonly #world: World;
  readonly #call: CallId;
  readonly #gone: (() => void)[] = [];
  keys: ((key: Key) => void) | null = null;
  other: (party: OtherParty) => void = () => undefined;
  #isGone = false;

  constructor(world: World, call: CallId) {
    this.#world = world;
    this.#call = call;
  }

  onGone(gone: () => void): void {
    if (this.#world.calledBroken) throw new CodedError('thrown');
    if (this.#isGone) gone();
    else this.#gone.push(gone);
  }

  onOther(listener: (party: OtherParty) => void): void {
    this.other = listener;
  }

  onKey(listener: ((key: Key) => void) | null): void {
    this.keys = listener;
  }

  reinvite(_offer: string): Promise<string> {
    return this.#world.act('reinvite called', this.#call, () => {
      if (this.#isGone) throw new CodedError('gone');
      return 'called-again';
    });
  }

  hangUp(_ending: Ending): Promise<void> {
    this.#world.closes('called', this.#call);
    return this.#world.act('hang-up called', this.#call, () => undefined);
  }

  leave(): void {
    if (this.#isGone) return;
    this.#isGone = true;
    this.#world.closes('called', this.#call);
    this.#world.note('called gone', this.#call);
    for (const gone of this.#gone.splice(0)) gone();
  }
}

/** What a test can reach of one call. */
export interface FakeCall {
  readonly caller: FakeCaller;
  called: FakeCalled | null;
  loseNode: (why: string) => void;
  loseRecording: (code: string) => void;
  /** What the recording sounds like, as a score. */
  suspect: (score: number) => void;
}

interface Placed {
  readonly of: Leg;
  readonly kind: string;
  readonly number: string;
  /** How often it was given back, and whether that is done. */
  left: number;
  gone: boolean;
}

export interface WorldOptions {
  readonly controller?: Partial<ControllerOptions>;
  readonly bounds?: Partial<CallBounds>;
  readonly policy?: Partial<Policy>;
}

/** Fakes of every port around a real controller, on virtual time, with one ordered trace of all that is asked. */
export class World {
  readonly time = new VirtualTime();
  readonly trace: Entry[] = [];
  readonly events: AppEvent[] = [];
  readonly rows: Row[] = [];
  readonly calls = new Map<string, FakeCall>();
  /** What each party was told, in order. */
  readonly heard: Heard[] = [];
  /** Handles on media nodes, lobbies included, in the order they were made. */
  readonly voices: FakeVoice[] = [];
  readonly recordedVoices = new Map<object, FakeRecorded>();
  readonly orders: OrderGiven[] = [];
  /** Told of each call before the controller is. */
  onTake: (callId: string) => void = () => undefined;
  /** Told of each thing as a party begins to hear it: where a test presses keys. */
  onHeard: (heard: Heard, call: FakeCall) => void = () => undefined;
  /** Other parties the caller's side had named before anybody listened. */
  namedBefore: readonly OtherParty[] = [];
  readonly violations: string[] = [];
  /** Told of each thing before the node is asked to say it. */
  beforeSay: (what: string) => void = () => undefined;
  /** How the agent says what a caller was told. */
  tells: (status: number | null) => Promise<number | null> = (status) => Promise.resolve(status);
  /** Nobody can be told of the called party's hang-up. */
  calledBroken = false;
  /** A prompt there is no sound of. */
  missing: string | null = null;
  readonly controller: Controller;
  /** How operations go, unless `behave` is replaced. */
  script: Partial<Record<Operation, Behaviour>> = {};
  behave: (operation: Operation, call: string | null) => Behaviour = (operation) =>
    this.script[operation] ?? well;
  dial: (call: string) => DialScript = () => goodDial;
  answers: (caller: string, question: ListQuestion) => ListAnswers = () => answers();
  /** Who keys in these digits; whatever is asked here may be found nowhere else. */
  pin: (digits: string) => PinAnswer = (digits) =>
    digits === '4711918273'
      ? { state: 'known', caller: 'caller-known' as CallerId, language: null }
      : { state: 'wrong' };
  conversation: (leg: Leg) => Conversation = () => ({ manner: { held: 'elsewhere' }, language: 'en' });
  finding: (operation: 'finish' | 'discard' | 'verify-absence' | 'seal') => SpoolFinding = (operation) =>
    operation === 'seal'
      ? {
          state: 'recording-sealed',
          recording: { file: 'sealed/a.wav', manifest: 'sealed/a.json', evidence: { seconds: 2 } },
          why: 'became-private',
        }
      : operation === 'finish'
        ? {
            state: 'recording-finished',
            recording: { file: 'a.wav', manifest: 'a.json', evidence: { seconds: 3 } },
          }
        : { state: 'nothing-found', evidence: { looked: 1 } };
  around: {
    lockdown: 'off' | 'on' | 'unknown';
    schedule: 'open' | 'closed';
    suspended: boolean;
    recording: 'armed' | 'disarmed';
    text: boolean;
  } = {
    lockdown: 'off',
    schedule: 'open',
    suspended: false,
    recording: 'armed',
    text: false,
  };
  readiness: { readonly ready: true } | { readonly ready: false; readonly code: string } = { ready: true };
  wall: () => number = () => now + this.time.now;
  readonly #open = new Map<string, number>();
  readonly #places: Placed[] = [];
  readonly #triggers: {
    readonly when: (entry: Entry, index: number) => boolean;
    run: (() => void) | null;
  }[] = [];

  constructor(options: WorldOptions = {}) {
    this.controller = new Controller(
      {
        lists: {
          lookUp: (question) =>
            this.act('look-up', this.#callOf(question.caller ?? '', numberKeyText(question.key)), () =>
              this.answers(question.caller ?? '', question),
            ),
        },
        journal: this.#journal(),
        ledger: {
          note: () => undefined,
          // What is forgotten is given back by nobody who comes after us.
          over: (callId) => {
            const held = this.#places.some((place) => place.of.callId === callId && place.left === 0);
            if (held) this.violation(`${callId} is over and has a place in the counts`);
          },
        },
        media: {
          anchorLobby: (callId) => this.act('anchor lobby', callId, () => lobbyAnchor(this, callId)),
          anchorPrivate: (callId) => this.act('anchor private', callId, () => privateAnchor(this, callId)),
          anchorRecorded: (callId) =>
            this.act('anchor recorded', callId, () => new FakeRecorded(this, callId).anchor),
        },
        recorder: this.#recorder(),
        dialer: { dial: (leg, _decision, _anchor, dialOptions) => this.#dial(leg, dialOptions) },
        bridge: {
          join: ({ leg: { callId } }) => {
            this.actNow('join', callId);
            return {
              pause: () => this.act('pause', callId, () => undefined),
              move: () => this.actNow('move', callId),
              resume: () => this.actNow('resume', callId),
              heard: () => ({ caller: 'caller-offer', called: 'called-answer' }),
            };
          },
        },
        surroundings: {
          of: (leg) => {
            this.actNow('surroundings', leg.callId);
            return this.around;
          },
          conversation: (leg) => this.conversation(leg),
          between: () => ({ caller: 'rtp', called: 'rtp' }),
        },
        prompts: this.#prompts(),
        callers: {
          check: (_origin, digits) => this.act('check pin', this.#callOf(''), () => this.pin(digits)),
        },
        counters: this.#counters(),
        orders: {
          give: (given) =>
            this.act('give', given.callId, () => {
              this.orders.push(given);
            }),
        },
        policy: policy(options.policy),
        clock: { wall: () => this.wall() as WallMs, mono: () => this.time.now },
        emit: (event) => {
          this.events.push(event);
        },
      },
      {
        maxCalls: 10,
        maxUnwrittenCdrs: 5,
        maxRejectionsPerSecond: 3,
        ...(options.bounds === undefined ? {} : { bounds: options.bounds }),
        ...options.controller,
      },
    );
  }

  /** Gives the controller a new call. */
  take(change: Partial<Leg> = {}): FakeCall {
    const letter = 'abcdefghijklmnopqrstuvwxyz'[this.calls.size % 26] ?? 'a';
    const tens = 'abcdefghijklmnopqrstuvwxyz'[Math.floor(this.calls.size / 26)] ?? 'a';
    const callId = `c${'a'.repeat(24)}${tens}${letter}` as CallId;
    const one = leg({ callId, caller: `caller-${this.calls.size}` as CallerId, ...change });
    const call: FakeCall = {
      caller: new FakeCaller(this, one),
      called: null,
      loseNode: () => undefined,
      loseRecording: () => undefined,
      suspect: () => undefined,
    };
    call.loseNode = (why) => {
      for (const voice of this.voices) if (voice.callId === callId) voice.lost(why);
    };
    this.calls.set(callId, call);
    this.onTake(callId);
    this.controller.take(call.caller);
    return call;
  }

  // ---- the trace

  note(what: string, call: string | null): void {
    const entry = { call, what, at: this.time.now };
    this.trace.push(entry);
    const index = this.trace.length - 1;
    for (const trigger of this.#triggers) {
      if (trigger.run === null || !trigger.when(entry, index)) continue;
      const { run } = trigger;
      trigger.run = null;
      run();
    }
  }

  /** Runs once, in the midst of the operation, when the trace gets that entry. */
  on(what: string | number, run: () => void, call: FakeCall | null = null): void {
    this.#triggers.push({
      when: (entry, index) =>
        (typeof what === 'number' ? index === what : entry.what === what) &&
        (call === null || entry.call === call.caller.leg.callId),
      run,
    });
  }

  whats(call?: FakeCall): readonly string[] {
    return this.trace
      .filter((entry) => call === undefined || entry.call === call.caller.leg.callId)
      .map((entry) => entry.what);
  }

  cdrs(): readonly JsonObject[] {
    return this.rows.filter((row) => row.kind === 'cdr').map((row) => row.body);
  }

  alarms(): readonly string[] {
    return this.events.flatMap((event) => (event.event === 'alarm' ? [event.alarm] : []));
  }

  // ---- what is open

  /** Counted, for a call that moves has two anchors; closing what is closed already does nothing. */
  opens(what: string, call: string): void {
    const name = `${what} ${call}`;
    this.#open.set(name, (this.#open.get(name) ?? 0) + 1);
  }

  closes(what: string, call: string): void {
    const name = `${what} ${call}`;
    this.#open.set(name, Math.max(0, (this.#open.get(name) ?? 0) - 1));
  }

  /** What was opened and nobody asked to close since; places in the counts that were not given back just once. */
  leftOpen(): readonly string[] {
    return [
      ...[...this.#open].flatMap(([what, count]) => (count > 0 ? [what] : [])),
      ...this.#places.flatMap(({ of, left }) =>
        left === 1 ? [] : [`place of ${of.callId} left ${left} times`],
      ),
    ];
  }

  /** What the counters were told of. */
  counted(): readonly unknown[] {
    return this.#places.map(({ of: { caller, origin }, number }) => ({ caller, origin, number }));
  }

  violation(what: string): void {
    this.violations.push(what);
  }

  phaseOf(call: string): string {
    return this.controller.calls().find((one) => one.callId === call)?.phase ?? 'gone';
  }

  recordingRuns(call: string): boolean {
    return [...this.recordedVoices.values()].some((voice) => voice.callId === call && voice.recording);
  }

  /** The call is on a node that records. */
  recordingPossible(call: FakeCall): boolean {
    const { callId } = call.caller.leg;
    return [...this.recordedVoices.values()].some((voice) => voice.callId === callId && !voice.released);
  }

  /** Somebody presses a key, as the node hears it or as an INFO of the leg. */
  press(call: FakeCall, party: Party, key: Key, way: 'audio' | 'info' = 'audio'): void {
    if (way === 'info') {
      (party === 'caller' ? call.caller.keys : call.called?.keys)?.(key);
      return;
    }
    for (const voice of this.voices) {
      if (voice.callId === call.caller.leg.callId && !voice.released) voice.keys?.(party, key);
    }
  }

  /** What a party of this call was told to its end, or was cut short, in order. */
  told(call: FakeCall, to: Party, how?: Heard['how']): readonly string[] {
    return this.heard
      .filter((one) => one.call === call.caller.leg.callId && one.to === to && (how ?? one.how) === one.how)
      .map((one) => one.what);
  }

  // ---- the ports

  actNow(operation: Operation, call: string | null): void {
    this.note(operation, call);
    const behaviour = this.behave(operation, call);
    if (behaviour.ends === 'throws') throw behaviour.error ?? new CodedError('thrown');
  }

  act<T>(operation: Operation, call: string | null, make: () => T): Promise<T> {
    this.actNow(operation, call);
    const behaviour = this.behave(operation, call);
    if (behaviour.ends === 'hangs' || behaviour.ends === 'throws') return new Promise(() => undefined);
    const settle = (): T => {
      if (behaviour.ends === 'fails') {
        this.note(`${operation} failed`, call);
        throw behaviour.error ?? new CodedError('failed');
      }
      const made = make();
      this.note(`${operation} ok`, call);
      return made;
    };
    const { ms } = behaviour;
    if (ms === undefined) return Promise.resolve().then(settle);
    return new Promise<void>((resolve) => setTimeout(resolve, ms)).then(settle);
  }

  #callOf(caller: string, number = ''): string | null {
    for (const { leg } of [...this.calls.values()].reverse().map((call) => call.caller)) {
      if (leg.dialled.kind === 'number' && numberKeyText(leg.dialled.key) === number) {
        if (leg.caller === null || leg.caller === caller) return leg.callId;
      }
    }
    for (const call of [...this.calls.values()].reverse())
      if (call.caller.leg.caller === caller) return call.caller.leg.callId;
    return [...this.calls.keys()].at(-1) ?? null;
  }

  #prompts(): Prompts {
    const file = (clip: Clip, language: string, caller: CallerId | null): string | null => {
      if (clip.kind === 'prompt') return clip.id === this.missing ? null : `${language}/${clip.id}.wav`;
      if (clip.of === 'facility') return 'names/facilities/north.wav';
      return caller === null ? null : `names/callers/${caller}.wav`;
    };
    return {
      version: 'v'.repeat(64),
      sounds: (clips, language, { caller }) =>
        clips.flatMap((clip) => {
          const name = file(clip, language, caller);
          return name === null ? [] : [{ file: name, ms: clip.kind === 'prompt' ? 1000 : 500 }];
        }),
    };
  }

  #counters(): Counters {
    const used = (same: (place: Placed) => boolean): Used => ({
      concurrent: this.#places.filter((place) => !place.gone && same(place)).length,
      recent: 0,
      idleMs: null,
    });
    return {
      enter: (leg, key, kind) =>
        this.act('enter', leg.callId, () => {
          const number = numberKeyText(key);
          const { caller, origin } = leg;
          const usage: Usage = {
            state: 'shared',
            caller: caller === null ? null : used((one) => one.kind === kind && one.of.caller === caller),
            number: used((one) => one.kind === kind && one.number === number),
            phone:
              origin.phone === null
                ? null
                : used((one) => one.kind === kind && one.of.origin.phone === origin.phone),
          };
          const place = { of: leg, kind, number, left: 0, gone: false };
          this.#places.push(place);
          return {
            usage,
            connected: () => this.note('counted', leg.callId),
            leave: () => {
              place.left += 1;
              return this.act('leave', leg.callId, () => {
                place.gone = true;
              });
            },
          };
        }),
    };
  }

  #journal(): Journal {
    return {
      append: (kind, body) => {
        const call = typeof body.callId === 'string' ? body.callId : null;
        const copy = structuredClone(body);
        const operation = operations.find((one) => one === `append ${kind}`);
        if (operation === undefined) throw new CodedError(`row kind ${kind}`);
        return this.act(operation, call, () => {
          checkJson(copy);
          this.rows.push({ kind, body: copy });
          return { seq: this.rows.length, hash: 'h' };
        });
      },
    };
  }

  #recorder(): SpokenRecorder {
    const look = (operation: 'finish' | 'discard' | 'verify-absence' | 'seal', callId: CallId) =>
      this.act(operation, callId, () => this.finding(operation));
    const armed = (anchor: object) => {
      const voice = this.recordedVoices.get(anchor);
      if (voice === undefined) throw new CodedError('not-a-recorded-anchor');
      return voice.armed();
    };
    return {
      ready: () => this.act('ready', null, () => this.readiness),
      arm: (_decision, anchor) => this.act('arm', anchor.callId, () => armed(anchor)),
      armAnswered: (_decision, anchor: SpokenRecordedAnchor) =>
        this.act('arm answered', anchor.callId, () => armed(anchor)),
      seal: (leg) => look('seal', leg.callId),
      finish: (leg) => look('finish', leg.callId),
      discard: (callId) => look('discard', callId),
      verifyAbsence: (callId) => look('verify-absence', callId),
    };
  }

  #dial(leg: Leg, options: DialOptions): Dialling {
    const { callId } = leg;
    const { rang } = options;
    this.actNow('dial', callId);
    const script = this.dial(callId);
    const attempts: DialAttempt[] = [];
    let settled = false;
    let resolve: (outcome: DialOutcome) => void = () => undefined;
    let reject: (error: unknown) => void = () => undefined;
    const outcome = new Promise<DialOutcome>((one, other) => {
      resolve = one;
      reject = other;
    });
    const settle = (how: 'answered' | 'failed' | 'rejects', ending: Ending): void => {
      if (settled) return;
      settled = true;
      attempts.push({ trunk: 'carrier-a', status: how === 'answered' ? 200 : 486, ms: this.time.now });
      if (how === 'rejects') {
        reject(new CodedError('broken-dialer'));
        return;
      }
      if (how === 'failed') {
        this.note('dial failed', callId);
        resolve({ state: 'failed', ending });
        return;
      }
      const called = new FakeCalled(this, callId);
      const call = this.calls.get(callId);
      if (call !== undefined) call.called = called;
      this.opens('called', callId);
      this.note('dial answered', callId);
      if (script.goneAtOnce) called.leave();
      resolve({ state: 'answered', called, answer: 'answer', trunk: 'carrier-a' });
    };
    const later = (ms: number, run: () => void): void => {
      if (ms === 0) queueMicrotask(run);
      else setTimeout(run, ms);
    };
    if (script.rings !== null) {
      later(script.rings, () => {
        if (settled) return;
        this.note('rang', callId);
        rang();
      });
    }
    const goOn = (): void => {
      if (script.ends === 'hangs') return;
      const how = script.ends;
      later(script.ms, () => settle(how, script.ending));
    };
    for (const other of script.others ?? []) later(other.ms, () => options.other?.(other));
    const redirected = async (): Promise<void> => {
      for (const redirect of script.redirects ?? []) {
        await new Promise<void>((resolve) => later(redirect.ms, resolve));
        const decision = (await options.redirect?.(redirect)) ?? null;
        this.note(decision === null ? 'redirect refused' : 'redirect followed', callId);
        if (decision === null) {
          settle('failed', { code: 'called-redirected' });
          return;
        }
      }
      goOn();
    };
    const hasty = (): void => {
      for (const redirect of script.redirects ?? []) {
        later(redirect.ms, () => {
          const last = redirect === script.redirects?.at(-1);
          void options.redirect?.(redirect).then((decision) => {
            this.note(decision === null ? 'redirect refused' : 'redirect followed', callId);
            if (!last) return;
            if (decision === null) settle('failed', { code: 'called-redirected' });
            else goOn();
          });
        });
      }
    };
    if (script.impatient === true) hasty();
    else if ((script.redirects ?? []).length > 0) void redirected();
    else goOn();
    return {
      outcome,
      attempts,
      cancel: () => {
        this.actNow('cancel', callId);
        const how = script.afterCancel;
        if (how !== 'hangs') {
          later(script.cancelMs, () => settle(how, { code: 'called-unavailable', detail: 'cancelled' }));
        }
      },
    };
  }
}

/** Runs a test in a world of its own; nothing may be left unhandled. */
export const inWorld = async (
  options: WorldOptions,
  run: (world: World) => Promise<void>,
): Promise<World> => {
  const world = new World(options);
  const unhandled: unknown[] = [];
  const note = (reason: unknown): void => {
    unhandled.push(reason);
  };
  process.on('unhandledRejection', note);
  world.time.install();
  try {
    await run(world);
    await world.time.settle();
  } finally {
    world.time.uninstall();
    process.off('unhandledRejection', note);
  }
  if (unhandled.length > 0) throw new Error(`unhandled rejection: ${String(unhandled[0])}`);
  return world;
};
