import { isCanaryTrunk, isCodeTrunk } from '../core/leg.js';
import { numberKeyText } from '../core/number.js';
import { type Change, changeOf, changes } from './change.js';
import {
  type Asker,
  askedBy,
  type NotReplayable,
  notKept,
  type PastDecision,
  pastDecision,
  type Row,
  type Verdict,
} from './past-decision.js';
import { type Candidate, type Replayed, replay, sameVerdict } from './replay.js';

/** One decision that would come out differently. */
export interface ChangedCall {
  readonly change: Change;
  readonly callId: string;
  readonly at: string;
  readonly leg: string;
  readonly facility: string;
  /** In full: for an operator's terminal, masked unless asked for, and never for a log. Null for what is no number. */
  readonly number: string | null;
  readonly was: Verdict;
  /** Null where only this much is known: that the number is no longer privileged. */
  readonly now: Verdict | null;
  readonly because: Because;
  readonly limitsAsked: boolean;
}

/** What the difference comes from: the lists, the policy (with hours and lockdowns), or only both together. */
export type Because = 'lists' | 'policy' | 'both' | 'not-known';

export interface Group {
  readonly change: Change;
  readonly facility: string;
  readonly class: string;
  readonly leg: string;
  readonly was: string;
  readonly now: string;
  readonly because: Because;
  decisions: number;
  /** Of these, the calls whose CDR says that the parties heard each other, and for how long. */
  connected: number;
  connectedMs: number;
  /** Of these, with a recording, ordinary or sealed. */
  recordings: number;
  /** Of these, those whose counts of calls were never asked: a limit might have refused them besides. */
  limitsNotAsked: number;
  first: string;
  last: string;
}

export interface WhatIfResult {
  readonly decisions: number;
  readonly replayed: number;
  readonly unchanged: number;
  readonly changed: Readonly<Record<Change, number>>;
  readonly groups: readonly Group[];
  readonly notReplayable: Readonly<Partial<Record<NotReplayable, number>>>;
  /** Of these, decisions on numbers that were privileged then and still are: no harm is hidden among them. */
  readonly notReplayableProtected: number;
  /** Monitored then and in the replay, though the list has the number: not in force at the time of the call. */
  readonly listedNotInForce: number;
  /** Decisions made under another policy than the one they were replayed under. */
  readonly otherPolicy: number;
  readonly policies: number;
  /** Changed calls of which no CDR was seen: what became of them is not among connected and recordings. */
  readonly withoutCdr: number;
}

/** Calls whose CDR, or whose other parties, may still come; more than that are not under way at one time. */
const maxOpenCalls = 50_000;
/** Groups kept apart. What comes when all are taken is counted together, under its change alone. */
const maxGroups = 5_000;
const maxPolicies = 1_000;

const unseen: Asker = { caller: notKept('call-not-seen'), place: notKept('call-not-seen') };

interface OpenCall {
  readonly asker: Asker;
  /** Where its end is counted; null for a call that would come out the same. */
  group: Group | null;
}

const reasonText = ({ verdict, reason }: Verdict): string => `${verdict}: ${reason}`;

/**
 * Makes past decisions again, one row after the other, and counts what would come out differently. Memory is bounded
 * by the calls under way at one time and by the number of groups, not by the length of the journal.
 */
export class WhatIf {
  readonly #candidate: Candidate;
  readonly #groups = new Map<string, Group>();
  readonly #open = new Map<string, OpenCall>();
  readonly #changed = Object.fromEntries(changes.map((change) => [change, 0])) as Record<Change, number>;
  readonly #notReplayable: Partial<Record<NotReplayable, number>> = {};
  readonly #policies = new Set<string>();
  #decisions = 0;
  #replayed = 0;
  #unchanged = 0;
  #notReplayableProtected = 0;
  #listedNotInForce = 0;
  #otherPolicy = 0;
  #withoutCdr = 0;
  #waiting = 0;

  constructor(candidate: Candidate) {
    this.#candidate = candidate;
  }

  /** Calls that wait for their CDR: whoever reads rows reads on for them, where the period has ended. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Takes a row of any kind; returns the difference it makes, or null. */
  take(row: Row): ChangedCall | null {
    if (row.kind === 'cdr') this.#cdr(row);
    return row.kind === 'decision' ? this.#decision(row) : null;
  }

  /** Takes a row that came after the period: only the end of a call that began in it. */
  takeLate(row: Row): void {
    if (row.kind === 'cdr') this.#cdr(row);
  }

  #decision(row: Row): ChangedCall | null {
    // A call of our own is nobody's: what it was allowed says nothing of what callers were.
    if (isCanaryTrunk(row.body.trunk) || isCodeTrunk(row.body.trunk)) return null;
    this.#decisions += 1;
    const read = pastDecision(row);
    if (typeof read === 'string') {
      this.#cannot(read, false);
      return null;
    }
    const past = this.#asked(read);
    this.#policy(past);
    const replayed = replay(past, this.#candidate);
    const call = this.#changeOf(past, replayed);
    if (call === null) return null;
    this.#changed[call.change] += 1;
    const group = this.#group(call);
    group.decisions += 1;
    if (!call.limitsAsked) group.limitsNotAsked += 1;
    if (call.at < group.first) group.first = call.at;
    if (call.at > group.last) group.last = call.at;
    // The call's own row stands for the call; what another party's row changes has no CDR of its own.
    const open = past.leg === 'dialled' ? this.#open.get(past.callId) : undefined;
    if (open !== undefined) {
      open.group = group;
      this.#waiting += 1;
    }
    return call;
  }

  #changeOf(past: PastDecision, replayed: Replayed): ChangedCall | null {
    const { callId, at, leg, facility, dialled, was } = past;
    const number =
      dialled.kind === 'number' || dialled.kind === 'hotline' ? numberKeyText(dialled.key) : null;
    const call = { callId, at, leg, facility, number, was };
    if (!replayed.replayable) {
      const lost = was.protected && replayed.protected !== true;
      this.#cannot(replayed.why, was.protected && !lost);
      return lost
        ? { ...call, change: 'private-undetermined', now: null, because: 'not-known', limitsAsked: true }
        : null;
    }
    this.#replayed += 1;
    const { now, limitsAsked } = replayed;
    if (replayed.listedNotInForce && was.verdict === 'monitored' && now.verdict === 'monitored') {
      this.#listedNotInForce += 1;
    }
    const change = changeOf(was, now);
    if (change !== null) return { ...call, change, now, because: this.#because(past, now), limitsAsked };
    this.#unchanged += 1;
    return null;
  }

  #because(past: PastDecision, now: Verdict): Because {
    const candidate = this.#candidate;
    if (past.policy === candidate.policy.version) return 'lists';
    if (candidate.lists === null) return 'policy';
    const byPolicy = replay(past, { ...candidate, lists: null });
    if (!byPolicy.replayable) return 'not-known';
    if (sameVerdict(byPolicy.now, now)) return 'policy';
    return sameVerdict(byPolicy.now, past.was) ? 'lists' : 'both';
  }

  #cannot(why: NotReplayable, stillProtected: boolean): void {
    this.#notReplayable[why] = (this.#notReplayable[why] ?? 0) + 1;
    if (stillProtected) this.#notReplayableProtected += 1;
  }

  #policy({ policy }: PastDecision): void {
    if (policy !== this.#candidate.policy.version) this.#otherPolicy += 1;
    if (this.#policies.size < maxPolicies) this.#policies.add(policy);
  }

  /** The decision with who asked, where its own row leaves that to the row of the call. */
  #asked(past: PastDecision): PastDecision {
    const { callId, leg } = past;
    const open = this.#open.get(callId);
    if (leg !== 'dialled') {
      return askedBy(past, open?.asker ?? unseen);
    }
    if (open === undefined && this.#open.size >= maxOpenCalls) {
      const [oldest] = this.#open;
      if (oldest !== undefined) this.#forget(...oldest);
    }
    this.#open.set(callId, { asker: { caller: past.caller, place: past.place }, group: null });
    return past;
  }

  #forget(callId: string, { group }: OpenCall): void {
    this.#open.delete(callId);
    if (group === null) return;
    this.#waiting -= 1;
    this.#withoutCdr += 1;
  }

  #group(call: ChangedCall): Group {
    const { change, facility, leg, was, now, because, at } = call;
    const group = {
      change,
      facility,
      class: was.class ?? now?.class ?? '-',
      leg,
      was: reasonText(was),
      now: now === null ? 'not known' : reasonText(now),
      because,
    };
    const key = JSON.stringify(group);
    const known = this.#groups.get(key);
    if (known !== undefined) return known;
    const counts = {
      decisions: 0,
      connected: 0,
      connectedMs: 0,
      recordings: 0,
      limitsNotAsked: 0,
      first: at,
      last: at,
    };
    if (this.#groups.size < maxGroups) {
      const made: Group = { ...group, ...counts };
      this.#groups.set(key, made);
      return made;
    }
    const other = this.#groups.get(change);
    if (other !== undefined) return other;
    const any = '(others)';
    const made: Group = {
      change,
      facility: any,
      class: any,
      leg: any,
      was: any,
      now: any,
      because: 'not-known',
      ...counts,
    };
    this.#groups.set(change, made);
    return made;
  }

  #cdr({ body }: Row): void {
    const callId = String(body.callId);
    const open = this.#open.get(callId);
    if (open === undefined) return;
    this.#open.delete(callId);
    const { group } = open;
    if (group === null) return;
    this.#waiting -= 1;
    const ms = typeof body.connectedMs === 'number' ? body.connectedMs : 0;
    group.connectedMs += ms;
    if (ms > 0) group.connected += 1;
    if (hasRecording(body)) group.recordings += 1;
  }

  /** What was found. No row may be taken any more. */
  result(): WhatIfResult {
    for (const [callId, open] of this.#open) this.#forget(callId, open);
    return {
      decisions: this.#decisions,
      replayed: this.#replayed,
      unchanged: this.#unchanged,
      changed: this.#changed,
      groups: [...this.#groups.values()].sort(
        (a, b) => changes.indexOf(a.change) - changes.indexOf(b.change) || b.decisions - a.decisions,
      ),
      notReplayable: this.#notReplayable,
      notReplayableProtected: this.#notReplayableProtected,
      listedNotInForce: this.#listedNotInForce,
      otherPolicy: this.#otherPolicy,
      policies: this.#policies.size,
      withoutCdr: this.#withoutCdr,
    };
  }
}

const hasRecording = (cdr: Row['body']): boolean =>
  [cdr.spool, cdr.sealed].some(
    (part) =>
      typeof part === 'object' &&
      part !== null &&
      'state' in part &&
      (part.state === 'recording-finished' || part.state === 'recording-sealed'),
  );
