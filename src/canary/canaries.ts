import type { AppEvent } from '../call/events.js';
import type { Clock, Emit, Journal, JsonObject } from '../call/ports.js';
import { type CallId, canaryTrunk, type FacilityId } from '../core/leg.js';
import { createPhone, type Phone } from '../phones/sip-phone.js';
import type { Identity } from '../vault/age-keys.js';
import type { Store } from '../vault/store.js';
import {
  type ArmingRules,
  afterSet,
  type CanaryResult,
  cleared,
  disarmedAs,
  type FacilityState,
  whenSilent,
} from './arming.js';
import { CallWatch } from './call-watch.js';
import { DiskLook, type LookedNode } from './disk-look.js';
import { type CanaryFacts, type CanaryKind, canaryKinds, noFacts } from './facts.js';
import { type CanaryVerdict, judge, verdictOf } from './judge.js';
import type { MenuEar } from './menu-ear.js';
import { type CallKit, placeCall } from './place-call.js';
import { lookAtRecording, type Tones } from './recording-look.js';
import { readStates, writeStates } from './state-file.js';

/** One facility's test calls, as they are dialled. */
export interface FacilityCanaries {
  readonly facility: FacilityId;
  readonly port: number;
  readonly caller: string;
  readonly numbers: Readonly<Record<CanaryKind, string>>;
  /** Headers the facility's trunk needs, with what test calls put there. */
  readonly headers: Readonly<Record<string, string>>;
  /** Null where the conversation is not held here. */
  readonly ear: MenuEar | null;
}

export interface CanariesOptions {
  readonly address: string;
  readonly called: { readonly host: string; readonly port: number };
  readonly facilities: readonly FacilityCanaries[];
  readonly rules: ArmingRules;
  readonly firstMs: number;
  readonly statePath: string;
  readonly nodes: readonly LookedNode[];
  readonly store: Store;
  /** Opens test calls' recordings; it is in this memory and nowhere else. */
  readonly identity: Identity;
  readonly journal: Journal;
  readonly emit: Emit;
  readonly clock: Clock;
  /** From 0 to 1. */
  readonly random: () => number;
}

/** What is known of a facility's test calls: no number, no caller. */
export interface CanaryView {
  readonly facility: string;
  readonly recording: 'armed' | 'disarmed';
  readonly why: string | null;
  /** RFC 3339, UTC. */
  readonly since: string;
  readonly passedAt: string | null;
  readonly nextAt: string | null;
  readonly running: boolean;
  /** Sets made since the start of this controller. */
  readonly sets: number;
  readonly last: readonly CanaryLast[];
}

interface CanaryLast {
  readonly kind: CanaryKind;
  readonly outcome: CanaryVerdict['outcome'];
  readonly code: string;
  readonly callId: CallId | null;
  readonly ms: number;
  readonly at: string;
}

interface Facility {
  readonly own: FacilityCanaries;
  state: FacilityState;
  timer: NodeJS.Timeout | null;
  nextAt: number | null;
  running: boolean;
  sets: number;
  last: readonly CanaryLast[];
}

/** A phone that answers nobody needs no 32 s to be forgotten. */
const LINGER_MS = 5000;
/** Tones above those of dialling and ringing, far enough apart to be told apart, in Hz. */
const LOWEST = 1100;
const STEP = 37;
const STEPS = 20;

const iso = (ms: number): string => (Number.isFinite(ms) ? new Date(ms).toISOString() : 'unknown');

/**
 * Makes the test calls of every facility, one call at a time, and says whether what is recorded there can be trusted.
 * Whatever it does not know for certain disarms sooner or later; nothing but a set that passed, or an operator, arms.
 */
export class Canaries {
  readonly #options: CanariesOptions;
  readonly #disk: DiskLook;
  readonly #facilities: ReadonlyMap<FacilityId, Facility>;
  readonly #stop = new AbortController();
  #sip: { readonly host: string; readonly port: number } | null = null;
  #watch: CallWatch | null = null;
  /** Sets are made one after the other, and states are kept in their order. */
  #queue: Promise<void> = Promise.resolve();
  #writes: Promise<void> = Promise.resolve();

  private constructor(options: CanariesOptions, states: ReadonlyMap<string, FacilityState>) {
    this.#options = options;
    this.#disk = new DiskLook(options);
    const now = options.clock.wall();
    this.#facilities = new Map(
      options.facilities.map((own) => [
        own.facility,
        {
          own,
          state: states.get(own.facility) ?? disarmedAs('state-unreadable', now),
          timer: null,
          nextAt: null,
          running: false,
          sets: 0,
          last: [],
        },
      ]),
    );
  }

  static async open(options: CanariesOptions): Promise<Canaries> {
    const names = options.facilities.map(({ facility }) => facility);
    return new Canaries(options, await readStates(options.statePath, names, options.clock.wall()));
  }

  /** A facility without test calls is trusted as it always was. */
  recording(facility: FacilityId): 'armed' | 'disarmed' {
    return this.#facilities.get(facility)?.state.recording ?? 'armed';
  }

  observe(event: AppEvent): void {
    this.#watch?.observe(event);
  }

  /** From now on test calls are made, sent there. */
  async start(sip: { readonly host: string; readonly port: number }): Promise<void> {
    this.#sip = sip;
    for (const facility of this.#facilities.values()) {
      const { state, change, alarms } = whenSilent(
        facility.state,
        this.#options.rules,
        this.#options.clock.wall(),
      );
      facility.state = state;
      await this.#keep();
      if (change === null) this.#tell(facility);
      else await this.#changed(facility, 'canary', alarms);
      this.#plan(facility, this.#options.firstMs * this.#options.random());
    }
  }

  view(): readonly CanaryView[] {
    return [...this.#facilities.values()].map(({ own, state, nextAt, running, sets, last }) => ({
      facility: own.facility,
      recording: state.recording,
      why: state.why,
      since: iso(state.since),
      passedAt: state.passedAt === null ? null : iso(state.passedAt),
      nextAt: nextAt === null ? null : iso(nextAt),
      running,
      sets,
      last,
    }));
  }

  /** Makes the facility's test calls now (null: everybody's). False where there is no such facility. */
  runNow(facility: FacilityId | null): boolean {
    const wanted = [...this.#facilities.values()].filter(
      ({ own }) => facility === null || own.facility === facility,
    );
    for (const one of wanted) this.#begin(one);
    return wanted.length > 0;
  }

  has(facility: FacilityId): boolean {
    return this.#facilities.has(facility);
  }

  /** Arms by an operator's word, which is in the journal already. Rejects where it could not be kept. */
  async clear(facility: FacilityId, by: string): Promise<void> {
    const known = this.#facilities.get(facility);
    if (known === undefined) return;
    const before = known.state;
    const after = cleared(before, this.#options.clock.wall());
    // Kept first: what is not would be disarmed again at the next start, and nobody would know why.
    await this.#write(new Map(this.#states()).set(facility, after));
    known.state = after;
    if (before.recording !== after.recording) await this.#changed(known, by, []);
  }

  /** Ends the calls under way and makes no more. */
  async stop(): Promise<void> {
    this.#stop.abort();
    for (const facility of this.#facilities.values()) {
      if (facility.timer !== null) clearTimeout(facility.timer);
      facility.timer = null;
    }
    await this.#queue;
    await this.#writes;
  }

  #plan(facility: Facility, ms: number): void {
    if (this.#stop.signal.aborted) return;
    if (facility.timer !== null) clearTimeout(facility.timer);
    facility.nextAt = this.#options.clock.wall() + ms;
    facility.timer = setTimeout(() => this.#begin(facility), ms);
    facility.timer.unref();
  }

  #begin(facility: Facility): void {
    if (facility.running || this.#stop.signal.aborted) return;
    if (facility.timer !== null) clearTimeout(facility.timer);
    facility.timer = null;
    facility.nextAt = null;
    facility.running = true;
    this.#queue = this.#queue
      .then(() => this.#set(facility))
      .catch(() => this.#options.emit({ event: 'fault', where: 'canary', code: 'set-failed' }))
      .finally(() => {
        facility.running = false;
        if (facility.timer === null) this.#plan(facility, this.#options.rules.retryMs);
      });
  }

  async #set(facility: Facility): Promise<void> {
    const phones = await this.#phones(facility.own);
    const results: (CanaryResult & CanaryLast)[] = [];
    try {
      for (const kind of canaryKinds) {
        if (this.#stop.signal.aborted) return;
        results.push(await this.#one(facility.own, kind, phones));
      }
    } finally {
      await Promise.all(phones.map((phone) => phone.close()));
    }
    // A set that was cut short by the end of the controller shows nothing.
    if (this.#stop.signal.aborted) return;
    facility.last = results.map(({ verdict: _, ...last }) => last);
    facility.sets += 1;
    const { rules, clock, random } = this.#options;
    const judged = afterSet(facility.state, results, rules, clock.wall(), 2 * random() - 1);
    // What disarms holds at once; it is kept before anything else that could fail.
    facility.state = judged.state;
    await this.#keep();
    if (judged.change === null) for (const one of judged.alarms) this.#alarm(facility, one);
    else await this.#changed(facility, 'canary', judged.alarms);
    this.#plan(facility, judged.nextMs);
  }

  /** Two phones, or none where one of them cannot be had. */
  async #phones({ port }: FacilityCanaries): Promise<readonly Phone[]> {
    const { address, called } = this.#options;
    const common = { transport: 'udp', lingerMs: LINGER_MS, keepAudioMs: 5000, strictPeer: true } as const;
    const opened: Phone[] = [];
    try {
      opened.push(await createPhone({ name: 'canary', host: address, port, ...common }));
      opened.push(await createPhone({ name: 'canary', ...called, ...common }));
      return opened;
    } catch {
      await Promise.all(opened.map((phone) => phone.close()));
      return [];
    }
  }

  async #one(
    own: FacilityCanaries,
    kind: CanaryKind,
    [caller, called]: readonly Phone[],
  ): Promise<CanaryResult & CanaryLast> {
    const { clock, emit, journal, store, identity } = this.#options;
    const began = clock.mono();
    const watch = new CallWatch(canaryTrunk(own.facility));
    this.#watch = watch;
    let facts: CanaryFacts = { ...noFacts, unsent: 'phone' };
    if (caller !== undefined && called !== undefined && this.#sip !== null) {
      const kit: CallKit = {
        caller,
        called,
        sip: this.#sip,
        ear: own.ear,
        disk: this.#disk,
        recording: (callId, tones) => lookAtRecording(store, identity, callId, tones, clock.wall()),
        now: () => clock.wall(),
        stop: this.#stop.signal,
      };
      const wanted = { kind, number: own.numbers[kind], from: own.caller, headers: own.headers };
      facts = await placeCall({ ...wanted, tones: this.#tones() }, kit, watch);
    }
    this.#watch = null;
    const ms = Math.round(clock.mono() - began);
    let verdict = judge(kind, facts);
    const body = { facility: own.facility, kind, callId: facts.callId, ms, ...verdict };
    // A controller that ends its own calls shows nothing by it.
    if (!this.#stop.signal.aborted) {
      try {
        await journal.append('canary', { ...body, measured: measuredOf(facts) });
      } catch {
        // Nobody could prove later that it passed; that it failed holds all the same.
        if (verdict.outcome === 'passed') verdict = verdictOf('row-unkept');
      }
      emit({ event: 'canary', ...body, ...verdict });
    }
    return { kind, verdict, ...verdict, callId: facts.callId, ms, at: iso(clock.wall()) };
  }

  /** Two tones no other call has at this time. */
  #tones(): Tones {
    const at = Math.floor(this.#options.random() * STEPS);
    return { caller: LOWEST + STEP * at, called: LOWEST + STEP * (at + STEPS) };
  }

  async #changed(
    facility: Facility,
    by: string,
    alarms: readonly {
      readonly alarm: 'canary-failed' | 'canary-unknown' | 'canary-silent';
      readonly detail: string;
    }[],
  ): Promise<void> {
    for (const one of alarms) this.#alarm(facility, one);
    this.#tell(facility);
    const { recording, why } = facility.state;
    const body = { facility: facility.own.facility, state: recording, why, by };
    await this.#options.journal.append('recording-state', body).catch(() => {
      this.#options.emit({ event: 'fault', where: 'canary', code: 'row-unkept' });
    });
  }

  #tell({ own, state }: Facility): void {
    this.#options.emit({
      event: 'recording-state',
      facility: own.facility,
      state: state.recording,
      why: state.why ?? 'passed',
    });
  }

  #alarm(
    { own }: Facility,
    {
      alarm,
      detail,
    }: { readonly alarm: 'canary-failed' | 'canary-unknown' | 'canary-silent'; readonly detail: string },
  ): void {
    this.#options.emit({ event: 'alarm', alarm, callId: null, detail: `${own.facility}: ${detail}` });
  }

  #states(): ReadonlyMap<string, FacilityState> {
    return new Map([...this.#facilities.values()].map(({ own, state }) => [own.facility, state]));
  }

  /** Never rejects: what cannot be kept holds in memory, and somebody is told. */
  async #keep(): Promise<void> {
    try {
      await this.#write(this.#states());
    } catch {
      this.#options.emit({ event: 'alarm', alarm: 'canary-state-unkept', callId: null, detail: 'state' });
    }
  }

  #write(states: ReadonlyMap<string, FacilityState>): Promise<void> {
    const write = this.#writes.then(() => writeStates(this.#options.statePath, states));
    this.#writes = write.catch(() => undefined);
    return write;
  }
}

/** What the row keeps of a call: no number, no caller. */
const measuredOf = (facts: CanaryFacts): JsonObject => ({
  rejected: facts.rejected,
  decided: facts.decided === null ? null : { ...facts.decided },
  rung: facts.rung,
  connected: facts.connected,
  heard: { ...facts.heard },
  ended: facts.ended,
  ...(facts.disk === null ? {} : { disk: { ...facts.disk } }),
  ...(facts.recording === null
    ? {}
    : { recording: JSON.parse(JSON.stringify(facts.recording)) as JsonObject }),
});
