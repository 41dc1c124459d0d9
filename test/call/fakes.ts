import { Controller, type ControllerOptions } from '../../src/call/controller.js';
import type { AppEvent } from '../../src/call/events.js';
import type { CallBounds } from '../../src/call/parts.js';
import type {
  Anchor,
  Armed,
  CalledLeg,
  CallerLeg,
  DialAttempt,
  Dialling,
  DialOutcome,
  Journal,
  JsonObject,
  MediaTotals,
  PrivateAnchor,
  RecordedAnchor,
  Recorder,
  SpoolFinding,
} from '../../src/call/ports.js';
import type { Ending } from '../../src/core/ending.js';
import type { CallerId, CallId, Leg, WallMs } from '../../src/core/leg.js';
import type { ListAnswers } from '../../src/core/lists.js';
import type { Policy } from '../../src/core/policy.js';
import { answers, leg, now, policy } from '../core/samples.js';
import { VirtualTime } from './virtual-time.js';

/** What the controller may ask of its ports, as it stands in the trace. `<operation> ok` or `failed` follows it. */
export const operations = [
  'look-up',
  'surroundings',
  'append decision',
  'append armed',
  'append cdr',
  'ready',
  'anchor recorded',
  'anchor private',
  'on-lost',
  'dial',
  'cancel',
  'ring',
  'arm',
  'answer',
  'connect',
  'join',
  'open',
  'watch',
  'refuse',
  'hang-up caller',
  'hang-up called',
  'release',
  'finish',
  'discard',
  'verify-absence',
] as const;
export type Operation = (typeof operations)[number];

/** How one operation goes. Without `ms` it settles at once (in a microtask); `throws` throws before any promise. */
export type Behaviour =
  | { readonly ends: 'well'; readonly ms?: number }
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

export class CodedError extends Error {
  readonly code: string;
  constructor(code: string) {
    super(code);
    this.code = code;
  }
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

const totals: MediaTotals = { packets: { caller: 10, called: 20 }, lost: { caller: 1, called: 2 } };

export class FakeCaller implements CallerLeg {
  readonly leg: Leg;
  readonly offer = 'offer';
  answer: string | null = null;
  readonly endings: Ending[] = [];
  readonly #world: World;
  readonly #gone: Parameters<CallerLeg['onGone']>[0][] = [];
  #goneAs: 'caller-cancelled' | 'caller-hung-up' | 'ack-missing' | null = null;

  constructor(world: World, leg: Leg) {
    this.#world = world;
    this.leg = leg;
  }

  onGone(gone: Parameters<CallerLeg['onGone']>[0]): void {
    if (this.#goneAs !== null) gone(this.#goneAs);
    else this.#gone.push(gone);
  }

  onOther(): void {}

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
    return this.#world.act('refuse', this.leg.callId, () => undefined);
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
  #isGone = false;

  constructor(world: World, call: CallId) {
    this.#world = world;
    this.#call = call;
  }

  onGone(gone: () => void): void {
    if (this.#isGone) gone();
    else this.#gone.push(gone);
  }

  onOther(): void {}

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
  readonly controller: Controller;
  /** How operations go, unless `behave` is replaced. */
  script: Partial<Record<Operation, Behaviour>> = {};
  behave: (operation: Operation, call: string | null) => Behaviour = (operation) =>
    this.script[operation] ?? well;
  dial: (call: string) => DialScript = () => goodDial;
  answers: (caller: string) => ListAnswers = () => answers();
  finding: (operation: 'finish' | 'discard' | 'verify-absence') => SpoolFinding = (operation) =>
    operation === 'finish'
      ? {
          state: 'recording-finished',
          recording: { file: 'a.wav', manifest: 'a.json', evidence: { seconds: 3 } },
        }
      : { state: 'nothing-found', evidence: { looked: 1 } };
  around: { lockdown: 'off' | 'on'; schedule: 'open' | 'closed'; suspended: boolean } = {
    lockdown: 'off',
    schedule: 'open',
    suspended: false,
  };
  readiness: { readonly ready: true } | { readonly ready: false; readonly code: string } = { ready: true };
  wall: () => number = () => now + this.time.now;
  readonly #open = new Map<string, 'open' | 'closed'>();
  readonly #triggers: {
    readonly when: (entry: Entry, index: number) => boolean;
    run: (() => void) | null;
  }[] = [];

  constructor(options: WorldOptions = {}) {
    this.controller = new Controller(
      {
        lists: {
          lookUp: (question) =>
            this.act('look-up', this.#callOf(question.caller ?? ''), () =>
              this.answers(question.caller ?? ''),
            ),
        },
        journal: this.#journal(),
        media: {
          anchorPrivate: (callId, _decision, offer) =>
            this.act('anchor private', callId, () => this.#privateAnchor(callId, offer)),
          anchorRecorded: (callId, _decision, offer) =>
            this.act('anchor recorded', callId, () => this.#recordedAnchor(callId, offer)),
        },
        recorder: this.#recorder(),
        dialer: { dial: (leg, _decision, _anchor, { rang }) => this.#dial(leg, rang) },
        bridge: {
          join: (caller) => {
            this.actNow('join', caller.leg.callId);
            return { pause: () => Promise.resolve(), move: () => undefined, resume: () => undefined };
          },
        },
        surroundings: {
          of: (leg) => {
            this.actNow('surroundings', leg.callId);
            return this.around;
          },
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
    };
    this.calls.set(callId, call);
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
  on(what: string | number, run: () => void): void {
    this.#triggers.push({
      when: (entry, index) => (typeof what === 'number' ? index === what : entry.what === what),
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

  opens(what: 'caller' | 'called' | 'anchor', call: string): void {
    this.#open.set(`${what} ${call}`, 'open');
  }

  closes(what: 'caller' | 'called' | 'anchor', call: string): void {
    this.#open.set(`${what} ${call}`, 'closed');
  }

  /** What was opened and nobody asked to close since. */
  leftOpen(): readonly string[] {
    return [...this.#open].flatMap(([what, state]) => (state === 'open' ? [what] : []));
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

  #callOf(caller: string): string | null {
    for (const call of [...this.calls.values()].reverse())
      if (call.caller.leg.caller === caller) return call.caller.leg.callId;
    return null;
  }

  #journal(): Journal {
    return {
      append: (kind, body) => {
        const call = typeof body.callId === 'string' ? body.callId : null;
        const copy = structuredClone(body);
        const operation =
          kind === 'cdr' ? 'append cdr' : kind === 'armed' ? 'append armed' : 'append decision';
        return this.act(operation, call, () => {
          checkJson(copy);
          this.rows.push({ kind, body: copy });
          return { seq: this.rows.length, hash: 'h' };
        });
      },
    };
  }

  #anchored(callId: CallId) {
    this.opens('anchor', callId);
    return {
      callId,
      offerForCalled: 'node-offer',
      open: () => this.act('open', callId, () => undefined),
      reoffer: () => Promise.resolve('node-offer'),
      reanswer: () => Promise.resolve('node-answer'),
      restore: () => Promise.resolve(),
      packets: () => Promise.resolve(30),
      release: () => {
        this.closes('anchor', callId);
        return this.act('release', callId, () => totals);
      },
      onLost: (lost: (why: string) => void) => {
        const call = this.calls.get(callId);
        if (call !== undefined) call.loseNode = lost;
        this.actNow('on-lost', callId);
      },
    };
  }

  #privateAnchor(callId: CallId, _offer: string): PrivateAnchor {
    return {
      ...this.#anchored(callId),
      pool: 'private',
      node: 'private-1',
      answer: () => this.act('answer', callId, () => 'answer-for-caller'),
    };
  }

  #recordedAnchor(callId: CallId, _offer: string): RecordedAnchor {
    return {
      ...this.#anchored(callId),
      pool: 'recorded',
      node: 'recorded-1',
      sources: () => ({ caller: [], called: [] }),
      answerAndRecord: () => Promise.reject(new Error('the fake recorder does not come here')),
    };
  }

  #recorder(): Recorder {
    const look = (operation: 'finish' | 'discard' | 'verify-absence', callId: CallId) =>
      this.act(operation, callId, () => this.finding(operation));
    return {
      ready: () => this.act('ready', null, () => this.readiness),
      arm: (_decision, anchor: Anchor) =>
        this.act('arm', anchor.callId, (): Armed => {
          return {
            answerForCaller: 'answer-for-caller',
            proof: { inode: 5 },
            watch: (lost) => {
              const call = this.calls.get(anchor.callId);
              if (call !== undefined) call.loseRecording = lost;
              this.actNow('watch', anchor.callId);
            },
          };
        }),
      finish: (leg) => look('finish', leg.callId),
      discard: (callId) => look('discard', callId),
      verifyAbsence: (callId) => look('verify-absence', callId),
    };
  }

  #dial(leg: Leg, rang: () => void): Dialling {
    const { callId } = leg;
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
    if (script.ends !== 'hangs') {
      const how = script.ends;
      later(script.ms, () => settle(how, script.ending));
    }
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

const before = (whats: readonly string[], first: string, then: string): boolean => {
  const at = whats.indexOf(then);
  const was = whats.indexOf(first);
  return at < 0 || (was >= 0 && was < at);
};

/** What is true of the trace of every call, whatever its parts did. Throws with the trace where it is not. */
export const checkInvariants = (world: World): void => {
  for (const call of world.calls.values()) {
    const id = call.caller.leg.callId;
    const whats = world.whats(call);
    const cdrs = world.cdrs().filter((cdr) => cdr.callId === id);
    const fail = (what: string): never => {
      throw new Error(`${what}\n${whats.join('\n')}\n${JSON.stringify(cdrs)}`);
    };
    const needs = (then: string, ...firsts: string[]): void => {
      for (const first of firsts) if (!before(whats, first, then)) fail(`${then} without ${first}`);
    };
    if (cdrs.length !== 1) fail(`${cdrs.length} CDRs`);
    const cdr = cdrs[0] as JsonObject;
    const verdict = String(cdr.verdict);
    const did = (what: string): boolean => whats.includes(what);
    // I2 and I4: nothing of the other party before the decision is durable.
    for (const what of ['anchor recorded', 'anchor private', 'dial', 'arm', 'answer', 'connect', 'open']) {
      needs(what, 'append decision ok');
      if (whats.filter((one) => one === what).length > 1) fail(`${what} twice`);
      if ((verdict === 'refused' || verdict === 'undecided') && did(what))
        fail(`${what} on a ${verdict} call`);
    }
    if (verdict === 'monitored') {
      needs('dial', 'anchor recorded ok');
      needs('connect', 'arm ok', 'append armed ok');
      needs('open', 'arm ok', 'append armed ok', 'connect ok');
      for (const what of ['anchor private', 'answer', 'verify-absence']) if (did(what)) fail(what);
      if (did('open') ? did('discard') : did('finish')) fail('finished or discarded wrongly');
      if (did('anchor recorded ok') && !did('finish') && !did('discard') && cdr.node !== null)
        fail('spool not looked at');
    }
    if (verdict === 'private') {
      needs('dial', 'anchor private ok');
      needs('connect', 'answer ok');
      needs('open', 'answer ok', 'connect ok');
      for (const what of ['anchor recorded', 'arm', 'append armed', 'finish', 'discard', 'watch'])
        if (did(what)) fail(what);
      if (cdr.node !== null && !did('verify-absence')) fail('absence not verified');
    }
    for (const look of ['finish', 'discard', 'verify-absence']) needs(look, 'release');
    if (did('open') && did('release') && !before(whats, 'open', 'release')) fail('opened after the release');
    if (Number(cdr.connectedMs) < 0 || Number(cdr.durationMs) < 0) fail('a negative duration');
    if (Number(cdr.connectedMs) > 0 && !did('open ok')) fail('connected without open');
    const told = call.caller.endings.length;
    if (told === 0 && !did('caller gone')) fail('the caller was told nothing');
  }
  if (world.controller.size !== 0) throw new Error(`${world.controller.size} calls left`);
  const left = world.leftOpen();
  if (left.length > 0) throw new Error(`left open: ${left.join(', ')}\n${world.whats().join('\n')}`);
};
