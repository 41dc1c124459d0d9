import type { CustodyAlarm, CustodyParts } from './parts.js';

/** One thing that a round found. A name is one in the vault or in a spool; never a number. */
export interface Finding {
  readonly code: string;
  readonly callId: string | null;
  readonly name: string | null;
  readonly detail: string | null;
}

/** Findings kept one by one; what comes over the bound is counted. */
const MAX_FINDINGS = 1_000;
/** Alarms of one code that a round raises one by one; the rest is one alarm more. */
const MAX_ALARMS = 20;

/** What a round did and found. */
export class Report {
  readonly findings: Finding[] = [];
  readonly counts: Record<string, number> = {};
  /** What was looked at: how many recordings were verified, and how many files were seen. */
  calls = 0;
  verified = 0;
  names = 0;
  /** Names without an owner of days before the journals begin: nobody can say whose they are. */
  notJudged = 0;
  epoch: number | null = null;
  readonly #alarms = new Map<string, number>();
  readonly #raise: CustodyParts['alarm'];

  constructor(raise: CustodyParts['alarm']) {
    this.#raise = raise;
  }

  add(code: string, more: Partial<Omit<Finding, 'code'>> = {}): void {
    this.counts[code] = (this.counts[code] ?? 0) + 1;
    if (this.findings.length < MAX_FINDINGS) {
      this.findings.push({ code, callId: null, name: null, detail: null, ...more });
    }
  }

  alarm(alarm: CustodyAlarm, callId: string | null, detail: string): void {
    const raised = (this.#alarms.get(alarm) ?? 0) + 1;
    this.#alarms.set(alarm, raised);
    if (raised <= MAX_ALARMS) this.#raise(alarm, callId, detail);
  }

  /** Raises what was over the bound, as one alarm of each code. */
  end(): void {
    for (const [alarm, raised] of this.#alarms) {
      if (raised > MAX_ALARMS) this.#raise(alarm as CustodyAlarm, null, `${raised - MAX_ALARMS} more`);
    }
    this.#alarms.clear();
  }

  get clean(): boolean {
    return Object.keys(this.counts).length === 0;
  }

  /** Nothing that was to be looked at could not be. */
  get sighted(): boolean {
    return !blindCodes.some((code) => this.counts[code] !== undefined);
  }
}

/** Codes of a round that could not see everything it is to see. */
export const blindCodes = [
  'lists-unread',
  'lists-older',
  'journal-unread',
  'journal-other',
  'vault-empty',
] as const;
