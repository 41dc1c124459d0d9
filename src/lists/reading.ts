import type { ListQuestion } from '../call/ports.js';
import type { AllowEntry, Answer, BlockEntry, PendingEntry, PrivilegedEntry } from '../core/lists.js';
import { allowField, bucketOf, digitsOf, entryId, type KeyNames, wholeFacility } from './layout.js';
import type { Canary } from './manifest.js';
import {
  type Asked,
  type FoundRow,
  listedOrAbsent,
  matchBlock,
  matchPending,
  matchPrivileged,
} from './match.js';
import { type Probe, readProbes } from './redis.js';
import { parseBody, parseValue } from './rows.js';
import { parseVersion, visibleAt } from './versions.js';

/** The keys and fields of one lookup, in the order lookup.lua answers them. */
export interface Plan {
  readonly keys: readonly string[];
  readonly fields: readonly string[];
  readonly asked: Asked;
  readonly question: ListQuestion;
  readonly canaries: readonly Canary[];
  readonly allowFields: readonly string[];
}

/** Head and heartbeat. */
export const plainKeys = 2;

/** Null where the number is none that could be listed. */
export const planLookup = (
  keys: KeyNames,
  question: ListQuestion,
  canaries: readonly Canary[],
): Plan | null => {
  const { key, caller, facility } = question;
  const digits = digitsOf(key.e164);
  if (digits === null) return null;
  const { extension } = key;
  const leading = Array.from({ length: digits.length }, (_, i) => digits.slice(0, i + 1));
  const allowFields = extension === null ? [digits] : [digits, allowField(digits, extension)];
  // Nobody's own list is the facility's: the decision refuses an unknown caller whatever it finds there.
  const own = keys.allow(facility, caller ?? wholeFacility);
  const whole = keys.allow(facility, wholeFacility);
  const indexed = [...leading, ...canaries.map((canary) => canary.digits)];
  return {
    keys: [
      keys.head,
      keys.heartbeat,
      ...indexed.map((field) => keys.bucket(bucketOf(field))),
      ...allowFields.map(() => own),
      ...allowFields.map(() => whole),
    ],
    fields: [...indexed, ...allowFields, ...allowFields],
    asked: { digits, extension, facility },
    question,
    canaries,
    allowFields,
  };
};

/** The epochs a reply is read at: the one being served, and the one the head points at. Mostly the same. */
export interface View {
  readonly serving: number;
  readonly head: number;
}

/** One reply, taken apart. Nothing of it is believed yet. */
export class Reading {
  readonly head: Probe;
  readonly heartbeat: Probe;
  readonly #plan: Plan;
  readonly #probes: readonly Probe[];

  private constructor(plan: Plan, probes: readonly Probe[], head: Probe, heartbeat: Probe) {
    this.#plan = plan;
    this.#probes = probes;
    this.head = head;
    this.heartbeat = heartbeat;
  }

  /** Null where the reply is not one of lookup.lua. */
  static of(plan: Plan, reply: unknown): Reading | null {
    const probes = readProbes(reply, plan.keys.length);
    const [head, heartbeat] = probes ?? [];
    if (probes === null || head === undefined || heartbeat === undefined) return null;
    return new Reading(plan, probes, head, heartbeat);
  }

  /** True where every canary came back privileged with its class. */
  canariesSing(view: View): boolean {
    const first = plainKeys + this.#plan.asked.digits.length;
    return this.#plan.canaries.every((canary, i) => {
      const rows = this.#rows(first + i, canary.digits.length, view);
      return rows?.some(
        ({ row }) => row.part === 'privileged' && row.how === 'number' && row.class === canary.class,
      );
    });
  }

  /**
   * While a new epoch is being verified a number counts as privileged, pending or blocked if either epoch says so:
   * nothing unverified takes a protection away.
   */
  numbers(view: View): {
    readonly privileged: Answer<PrivilegedEntry>;
    readonly pending: Answer<PendingEntry>;
    readonly block: Answer<BlockEntry>;
  } {
    const { asked } = this.#plan;
    const found: FoundRow[] = [];
    for (let at = 1; at <= asked.digits.length; at++) {
      const rows = this.#rows(plainKeys + at - 1, at, view);
      if (rows === null) {
        const malformed = { state: 'unknown', why: 'malformed' } as const;
        return { privileged: malformed, pending: malformed, block: malformed };
      }
      found.push(...rows);
    }
    return {
      privileged: listedOrAbsent(matchPrivileged(found, asked)),
      pending: listedOrAbsent(matchPending(found, asked)),
      block: listedOrAbsent(matchBlock(found, asked)),
    };
  }

  /** Allowed only where both epochs allow it, by whichever list. */
  allow(view: View, salt: string): Answer<AllowEntry> {
    const { allowFields, question } = this.#plan;
    const first = this.#probes.length - 2 * allowFields.length;
    const now: AllowEntry[] = [];
    let before = 0;
    for (let i = 0; i < 2 * allowFields.length; i++) {
      const probe = this.#probes[first + i];
      if (probe === undefined || probe.state === 'broken') return { state: 'unknown', why: 'malformed' };
      if (probe.state === 'absent') continue;
      const versions = probe.text.split(' ', 8).map(parseVersion);
      const scope = i < allowFields.length ? 'caller' : 'facility';
      const field = allowFields[i % allowFields.length] ?? '';
      const owner = scope === 'caller' ? (question.caller ?? wholeFacility) : wholeFacility;
      for (const version of versions) {
        if (version === null) return { state: 'unknown', why: 'malformed' };
        if (visibleAt(version, view.serving)) before += 1;
        if (!visibleAt(version, view.head)) continue;
        now.push({ id: entryId(salt, `allow|${question.facility}|${owner}|${field}`), scope });
      }
    }
    return before === 0 ? { state: 'absent' } : listedOrAbsent(now);
  }

  #rows(probeIndex: number, at: number, view: View): readonly FoundRow[] | null {
    const probe = this.#probes[probeIndex];
    if (probe === undefined || probe.state === 'broken') return null;
    if (probe.state === 'absent') return [];
    const stored = parseValue(probe.text);
    if (stored === null) return null;
    const found: FoundRow[] = [];
    for (const { version, body } of stored) {
      if (!visibleAt(version, view.serving) && !visibleAt(version, view.head)) continue;
      const row = parseBody(body);
      if (row === null) return null;
      found.push({ at, row });
    }
    return found;
  }
}
