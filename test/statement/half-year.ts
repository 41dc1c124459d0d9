import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type CallRecord, cdrRow, decisionRow, newRecord } from '../../src/call/cdr.js';
import type { JsonObject } from '../../src/call/ports.js';
import { type DecisionInput, explain } from '../../src/core/decide.js';
import type { Decision } from '../../src/core/decision.js';
import type { Ending } from '../../src/core/ending.js';
import type { CallerId, CallId, FacilityId, Leg, TrunkId, WallMs } from '../../src/core/leg.js';
import { type BlockCause, type EntryId, type EpochId, privilegedClasses } from '../../src/core/lists.js';
import { noUsage } from '../../src/core/usage.js';
import { type JournalDisk, type JournalFile, nodeDisk } from '../../src/journal/disk.js';
import { type Journal, openJournal } from '../../src/journal/log.js';
import { absent, answers, dialledNumber, input, leg, listed, privilegedEntry } from '../core/samples.js';
import { randomFrom } from '../journal/fixture.js';

/**
 * A made-up half year in the journals of some controllers: written by the journal's own writer, decided by the
 * product's own decision, in an order that a seed gives. What it counts while it writes is the independent recount.
 */
export interface HalfYear {
  readonly dirs: readonly string[];
  readonly calls: number;
  readonly seed: number;
  readonly from: string;
  readonly to: string;
}

type Counts = Record<string, number>;
type Table = Record<string, Counts>;

export interface Recount {
  readonly byVerdict: Table;
  readonly byFacility: Table;
  readonly byClass: Table;
  readonly reasons: Table;
  readonly endings: Table;
  readonly absence: Table;
  readonly recordings: Counts;
  readonly missing: Counts;
  readonly sealed: Counts;
  readonly claims: Counts;
  readonly answers: Counts;
  readonly uses: Counts;
  readonly alarms: Counts;
  readonly withoutRecord: Counts;
  readonly turnedAway: Counts;
  readonly epochs: Record<number, number>;
  readonly kinds: Counts;
  /** Lengths in ms of the outages within the period, by kind. */
  readonly outages: Table;
  readonly starts: Counts;
  uncounted: number;
  underWay: number;
  armings: number;
  /** Every number, caller and PIN that went into the journals: none may be in a statement. */
  readonly secrets: Set<string>;
}

const newRecount = (): Recount => ({
  byVerdict: {},
  byFacility: {},
  byClass: {},
  reasons: {},
  endings: {},
  absence: {},
  recordings: {},
  missing: {},
  sealed: {},
  claims: {},
  answers: {},
  uses: {},
  alarms: {},
  withoutRecord: {},
  turnedAway: {},
  epochs: {},
  kinds: {},
  outages: {},
  starts: {},
  uncounted: 0,
  underWay: 0,
  armings: 0,
  secrets: new Set(),
});

const plus = (counts: Counts, name: string, by = 1): void => {
  counts[name] = (counts[name] ?? 0) + by;
};
const plusIn = (table: Table, row: string, name: string, by = 1): void => {
  table[row] ??= {};
  plus(table[row], name, by);
};

/**
 * A disk that says at once that it has what it was given (a power cut is another test's matter), and whose files can be
 * let go of, as a process that dies does.
 */
export const newDisk = (): { readonly disk: JournalDisk; readonly letGo: () => Promise<void> } => {
  const open = new Set<JournalFile>();
  const disk: JournalDisk = {
    ...nodeDisk,
    open: async (path, how) => {
      const file = await nodeDisk.open(path, how);
      open.add(file);
      return {
        write: (bytes, offset, length, position) => file.write(bytes, offset, length, position),
        read: (into, offset, length, position) => file.read(into, offset, length, position),
        datasync: () => Promise.resolve(),
        truncate: (length) => file.truncate(length),
        size: () => file.size(),
        close: async () => {
          if (open.delete(file)) await file.close();
        },
      };
    },
  };
  const letGo = async (): Promise<void> => {
    for (const file of open) await file.close();
    open.clear();
  };
  return { disk, letGo };
};

const DAY_MS = 86_400_000;
/** Rows before and after the period, which must not count. */
const AROUND_MS = 2 * DAY_MS;
const STEPS_EACH = 60;

interface Pending {
  readonly leg: Leg;
  readonly decision: Decision;
  readonly at: number;
}

/** One controller and its journal. */
class Controller {
  readonly #plan: HalfYear;
  readonly #recount: Recount;
  readonly #node: string;
  readonly #dir: string;
  readonly #below: (below: number) => number;
  readonly #from: number;
  readonly #to: number;
  #journal: Journal | null = null;
  #now = 0;
  #waiting: Promise<unknown>[] = [];
  #pending: Pending[] = [];
  #epoch = 100;
  readonly #out = new Map<string, number>();
  readonly #disk = newDisk();
  #lockdown = false;
  #restarts = 0;

  constructor(plan: HalfYear, recount: Recount, dir: string, number: number) {
    this.#plan = plan;
    this.#recount = recount;
    this.#dir = dir;
    this.#node = `controller-${number}`;
    this.#below = randomFrom(plan.seed * 31 + number);
    this.#from = Date.parse(plan.from);
    this.#to = Date.parse(plan.to);
  }

  async run(): Promise<void> {
    const calls = Math.ceil(this.#plan.calls / this.#plan.dirs.length);
    const steps = Math.max(20, Math.ceil(calls / STEPS_EACH));
    const [begin, end] = [this.#from - AROUND_MS, this.#to + AROUND_MS];
    this.#now = begin;
    await this.#open('none');
    let made = 0;
    for (let step = 1; step <= steps; step += 1) {
      this.#now = Math.round(begin + ((end - begin) * step) / steps);
      await this.#finish();
      const until = Math.round((calls * step) / steps);
      for (; made < until; made += 1) this.#call();
      this.#happenings(step, steps);
      await Promise.all(this.#waiting.splice(0));
      if (step % Math.ceil(steps / 7) === 0) await this.#restart();
    }
    await this.#finish();
    await Promise.all(this.#waiting.splice(0));
    await this.#close();
  }

  get #isIn(): boolean {
    return this.#now >= this.#from && this.#now < this.#to;
  }

  #counting(count: () => void): void {
    if (this.#isIn) count();
  }

  #append(kind: string, body: JsonObject): void {
    this.#counting(() => plus(this.#recount.kinds, kind));
    if (this.#journal !== null) this.#waiting.push(this.#journal.append(kind, body));
  }

  async #open(previous: 'none' | 'clean' | 'unclean'): Promise<void> {
    this.#journal = await openJournal({
      dir: this.#dir,
      nodeId: this.#node,
      appendDeadlineMs: 60_000,
      clock: { wallMs: () => this.#now, monoUs: () => (this.#now - this.#from + AROUND_MS) * 1000 },
      fs: this.#disk.disk,
    });
    this.#counting(() => plus(this.#recount.starts, previous));
    this.#append('controller-started', {
      version: '0.1.0',
      policy: 'aaaabbbbccccdddd',
      config: 'e'.repeat(64),
      pools: { recorded: ['r1'], private: ['p1'] },
      prompts: 'f'.repeat(64),
    });
    this.#append('lists-armed', { epoch: this.#epoch });
    await Promise.all(this.#waiting.splice(0));
  }

  async #close(): Promise<void> {
    for (const what of [...this.#out.keys()]) this.#over(what);
    await this.#journal?.close();
    this.#journal = null;
  }

  /** Stops in order, or as a power cut does it: then what was under way has no CDR. */
  async #restart(): Promise<void> {
    this.#restarts += 1;
    const clean = this.#restarts % 3 !== 0;
    const stopped = this.#now;
    if (clean) {
      await this.#finish();
      await Promise.all(this.#waiting.splice(0));
      await this.#close();
    } else {
      for (const { decision } of this.#pending) {
        // The row that tells of it comes with the next opening.
        const next = stopped + 60_000;
        if (next >= this.#from && next < this.#to) plus(this.#recount.withoutRecord, decision.verdict);
      }
      this.#pending = [];
      for (const what of [...this.#out.keys()]) this.#over(what);
      await this.#disk.letGo();
      for (const name of readdirSync(this.#dir)) {
        if (name.startsWith('lock.')) rmSync(join(this.#dir, name));
      }
    }
    this.#now += 60_000;
    this.#outage('controller', stopped);
    await this.#open(clean ? 'clean' : 'unclean');
  }

  #outage(kind: string, since: number): void {
    const [start, end] = [Math.max(since, this.#from), Math.min(this.#now, this.#to)];
    if (this.#now <= this.#from || since >= this.#to) return;
    plusIn(this.#recount.outages, kind, 'count');
    plusIn(this.#recount.outages, kind, 'ms', end - start);
  }

  #begin(what: string): void {
    if (!this.#out.has(what)) this.#out.set(what, this.#now);
  }

  #over(what: string): void {
    const since = this.#out.get(what);
    if (since === undefined) return;
    this.#out.delete(what);
    this.#outage(what, since);
  }

  #pick<T>(from: readonly T[]): T {
    return from[this.#below(from.length)] as T;
  }

  #letters(alphabet: string, length: number): string {
    let text = '';
    while (text.length < length) text += this.#pick([...alphabet]);
    return text;
  }

  #leg(): Leg {
    const facility = this.#pick(['north', 'south', 'east']);
    const caller = `id${this.#letters('0123456789', 7)}`;
    const number = `+1212555${this.#letters('0123456789', 4)}`;
    this.#recount.secrets.add(caller).add(number.slice(1)).add(number.slice(2));
    return leg({
      callId: `c${this.#letters('abcdefghijklmnopqrstuvwxyz234567', 26)}` as CallId,
      origin: { trunk: facility as TrunkId, facility: facility as FacilityId, unit: 'b', phone: 'b-7' },
      caller: caller as CallerId,
      dialled: dialledNumber(number),
      receivedAt: this.#now as WallMs,
    });
  }

  /** What the lists and the world say about this call: every row of the decision table comes up. */
  #input(one: Leg): DecisionInput {
    const epoch = { id: this.#epoch as EpochId, digest: `${this.#epoch}`.padStart(64, 'd') };
    const base = { leg: one, now: this.#now as WallMs };
    const lists = answers({ epoch });
    const unknown = {
      state: 'unknown',
      why: this.#pick(['unreachable', 'stale', 'timeout'] as const),
    } as const;
    const chance = this.#below(100);
    if (chance < 55) return input({ ...base, answers: lists });
    if (chance < 72) {
      const entry = privilegedEntry({ class: this.#pick(privilegedClasses) });
      return input({ ...base, answers: { ...lists, privileged: listed(entry) } });
    }
    if (chance < 75)
      return input({ ...base, answers: answers({ epoch: null, block: unknown, privileged: unknown }) });
    if (chance < 80) return input({ ...base, answers: { ...lists, allow: absent } });
    if (chance < 84) {
      const cause = this.#pick<BlockCause>(['facility', 'security', 'called-party']);
      const block = listed({ id: 'b' as EntryId, cause, expires: null });
      return input({ ...base, answers: { ...lists, block } });
    }
    if (chance < 88) return input({ ...base, answers: lists, leg: { ...one, claimsPrivate: true } });
    if (chance < 90) {
      const dialled = { kind: 'emergency', code: '911' } as const;
      return input({ ...base, answers: lists, leg: { ...one, dialled } });
    }
    const circumstances = { ...input().circumstances, usage: noUsage };
    if (chance < 94)
      return input({ ...base, answers: lists, circumstances: { ...circumstances, schedule: 'closed' } });
    if (chance < 97)
      return input({ ...base, answers: lists, circumstances: { ...circumstances, lockdown: 'on' } });
    return input({ ...base, answers: lists, circumstances: { ...circumstances, suspended: true } });
  }

  #call(): void {
    const chance = this.#below(1000);
    if (chance < 8) {
      this.#rejected();
      return;
    }
    const one = this.#leg();
    if (chance < 20) {
      this.#cdr(one, newRecord(), { code: 'pin-wrong' });
      return;
    }
    const asked = this.#input(one);
    const explained = explain(asked);
    const { decision } = explained;
    this.#append('decision', decisionRow(asked, explained));
    if (decision.reasons[0].code === 'private-claim-unlisted') {
      const outcome = this.#pick(['stands', 'withdrawn']);
      this.#append('claim', { callId: one.callId, outcome });
      this.#counting(() => plus(this.#recount.claims, outcome));
    }
    this.#pending.push({ leg: asked.leg, decision, at: this.#now });
  }

  #rejected(): void {
    const uncounted = this.#below(3);
    this.#append('cdr', {
      callId: null,
      trunk: null,
      source: '192.0.2.7',
      verdict: 'undecided',
      ending: 'trunk-unknown',
      uncounted,
    });
    this.#counting(() => {
      plus(this.#recount.turnedAway, 'trunk-unknown');
      this.#recount.uncounted += uncounted;
    });
  }

  /** The calls decided in the last step end in this one. */
  async #finish(): Promise<void> {
    for (const { leg: one, decision, at } of this.#pending.splice(0)) {
      if (at < this.#to && this.#now >= this.#to) this.#recount.underWay += 1;
      const record: CallRecord = { ...newRecord(), decision };
      this.#cdr(one, record, this.#course(one, decision, record));
    }
    await Promise.all(this.#waiting.splice(0));
  }

  #course(one: Leg, decision: Decision, record: CallRecord): Ending {
    record.times.ended = 9000;
    if (decision.verdict === 'refused') return { code: decision.ending };
    if (this.#below(10) < 2) {
      record.spool = { state: 'nothing-found', looked: ['r1'], found: [] };
      return { code: 'called-no-answer' };
    }
    if (this.#below(60) === 0 && decision.verdict === 'monitored') return { code: 'recording-unproved' };
    record.answered = true;
    record.times['open-media'] = 1000;
    record.times.ended = 61_000 + this.#below(600_000);
    if (decision.verdict === 'private') record.spool = this.#privateSpool();
    else this.#recorded(one, record);
    return { code: 'caller-hung-up' };
  }

  #privateSpool(): JsonObject {
    const chance = this.#below(2000);
    if (chance === 0) return { state: 'violation', looked: ['r1'], found: [{ spool: 'r1', file: 'x.pcap' }] };
    if (chance === 1) return { state: 'unknown', code: 'absence-unproved' };
    return { state: 'nothing-found', looked: ['r1', 'recordings'], found: [] };
  }

  #recorded(one: Leg, record: CallRecord): void {
    this.#append('armed', { callId: one.callId, proof: { node: 'r1', file: 'a.pcap' } });
    this.#counting(() => {
      this.#recount.armings += 1;
    });
    const chance = this.#below(3000);
    if (chance === 0) record.spool = { state: 'recording-missing', code: 'no-audio' };
    else if (chance === 1) record.spool = { state: 'recording-missing', code: 'pcap-truncated' };
    else if (chance < 6) {
      record.sealed = { state: 'recording-sealed', file: 'sealed/a.wav' };
      record.spool = { state: 'nothing-found', found: [] };
    } else record.spool = { state: 'recording-finished', file: 'a.wav', seconds: 60 };
    if (this.#below(500) === 0) {
      const answer = this.#pick(['protected', 'blocked']);
      this.#append('answer', { callId: one.callId, answer });
      this.#counting(() => plus(this.#recount.answers, answer));
    }
  }

  #cdr(one: Leg, record: CallRecord, ending: Ending): void {
    const body = cdrRow(one, record, ending, 'f'.repeat(64));
    this.#append('cdr', body);
    this.#counting(() => this.#recountCall(one, record, ending));
  }

  /** From what was made up, not from the row that was written of it. */
  #recountCall(one: Leg, { decision, times, spool, sealed }: CallRecord, ending: Ending): void {
    const all = this.#recount;
    const verdict = decision?.verdict ?? 'undecided';
    const talked =
      times['open-media'] === undefined ? 0 : Math.round((times.ended ?? 0) - times['open-media']);
    plusIn(all.byVerdict, verdict, 'calls');
    plusIn(all.byFacility, one.origin.facility, verdict);
    plusIn(all.byFacility, one.origin.facility, 'calls');
    plusIn(all.endings, verdict, ending.code);
    if (talked > 0) {
      plusIn(all.byVerdict, verdict, 'connected');
      plusIn(all.byVerdict, verdict, 'connectedMs', talked);
    }
    if (decision === null) return;
    plusIn(all.reasons, verdict, decision.reasons[0].code);
    if (decision.epoch !== null) all.epochs[decision.epoch.id] = (all.epochs[decision.epoch.id] ?? 0) + 1;
    if (sealed !== null) plus(all.sealed, String(sealed.state));
    if (decision.verdict === 'private') {
      plusIn(all.byClass, decision.class, 'calls');
      if (talked > 0) plusIn(all.byClass, decision.class, 'connected');
      plusIn(all.absence, talked > 0 ? 'connected' : 'not-connected', String(spool?.state));
    }
    if (decision.verdict === 'monitored' && talked > 0) {
      plus(all.recordings, sealed === null ? String(spool?.state) : 'recording-sealed');
      if (spool?.state === 'recording-missing') plus(all.missing, String(spool.code));
    }
  }

  /** Publications, failures and orders, now and then. */
  #happenings(step: number, steps: number): void {
    const every = (part: number): boolean => step % Math.max(2, Math.ceil(steps / part)) === 0;
    if (every(26)) {
      this.#epoch += 1;
      this.#append('lists-armed', { epoch: this.#epoch });
      this.#over('lists');
    }
    if (every(9)) {
      this.#append('lists-disarmed', { why: 'bad-signature' });
      this.#begin('lists');
      this.#alarm('lists-disarmed', 'bad-signature');
    }
    if (every(11)) this.#mediaNode('down');
    else if (every(7)) this.#mediaNode('up');
    if (every(13)) this.#attested('failed');
    else if (every(12)) this.#attested('attested');
    if (every(20)) this.#supervised();
  }

  #alarm(alarm: string, detail: string): void {
    this.#append('alarm', { alarm, callId: null, detail });
    this.#counting(() => plus(this.#recount.alarms, alarm));
  }

  #mediaNode(state: 'up' | 'down'): void {
    this.#append('node-state', {
      node: 'r1',
      pool: 'recorded',
      state,
      why: state === 'up' ? 'answers' : 'no-answer',
    });
    if (state === 'down') this.#begin('media-node');
    else this.#over('media-node');
  }

  #attested(verdict: 'attested' | 'failed'): void {
    const failures = verdict === 'failed' ? ['process-may-write-files'] : [];
    this.#append('attestation', { node: 'p1', pool: 'private', verdict, failures, notSeen: [], seen: {} });
    if (verdict === 'failed') this.#begin('attestation');
    else this.#over('attestation');
  }

  #supervised(): void {
    const [one] = this.#pending;
    const secret = `555${this.#letters('0123456789', 7)}`;
    this.#recount.secrets.add(secret).add('Hamilton').add('Marsh');
    const why = `threat of violence, told by Pat Hamilton, caller ${one?.leg.caller ?? 'Marsh'} number ${secret}`;
    const use = this.#pick(['listen', 'end', 'lockdown', 'suspension', 'review']);
    const state = this.#lockdown ? 'off' : 'on';
    if (use === 'lockdown') this.#lockdown = !this.#lockdown;
    const bodies: Record<string, JsonObject> = {
      listen: { callId: one?.leg.callId ?? null, to: `sip:${secret}@192.0.2.9` },
      end: { callId: one?.leg.callId ?? null, block: true },
      lockdown: { callId: null, state, place: { level: 'unit', facility: 'north', unit: 'b' } },
      suspension: { callId: null, state: 'on', caller: one?.leg.caller ?? 'Marsh' },
      review: { callId: null, cleared: ['a', 'b'] },
    };
    this.#append('supervision', { use, by: 'rivera', why, ...bodies[use] });
    this.#counting(() => plus(this.#recount.uses, use));
  }
}

/** Writes the journals and resolves to the recount of their period. */
export const writeHalfYear = async (plan: HalfYear): Promise<Recount> => {
  const recount = newRecount();
  for (const [i, dir] of plan.dirs.entries()) await new Controller(plan, recount, dir, i + 1).run();
  return recount;
};
