import type { Break, Judged } from './call-book.js';
import { Histogram } from './histogram.js';
import { type FindingCode, machineStalled, wasShed } from './judge.js';
import { kindFacts } from './mix.js';

const keptBreaks = 200;
/** Kinds of outcome are few; a product that invents new ones must not fill our memory. */
const maxOutcomes = 200;

const bump = (counts: Map<string, number>, name: string): void => {
  if (counts.has(name) || counts.size < maxOutcomes) counts.set(name, (counts.get(name) ?? 0) + 1);
};

/** All that is counted, in bounded room. */
export class Tally {
  placed = 0;
  /** Calls that were answered, and what the caller waited. */
  answered = 0;
  readonly setup = new Histogram();
  readonly sinceLook = new Histogram();
  judged = 0;
  asPlanned = 0;
  /** Not as planned, in the time of a fault that may cost that. */
  excused = 0;
  /** Not as planned, and nothing but a stall of this machine explains it. */
  stalled = 0;
  unexplained = 0;
  /** Refused 503 without a CDR: the journal counts these together. */
  shed = 0;
  /** What came of the calls: `kind → outcome` and how often. */
  readonly outcomes = new Map<string, number>();
  readonly refusals = new Map<string, number>();
  readonly breaks: Break[] = [];
  readonly breakCounts = new Map<FindingCode, number>();
  /** How often each was looked at. */
  readonly checked = new Map<FindingCode, number>();

  check(code: FindingCode, times = 1): void {
    this.checked.set(code, (this.checked.get(code) ?? 0) + times);
  }

  broken(one: Break): void {
    this.breakCounts.set(one.code, (this.breakCounts.get(one.code) ?? 0) + 1);
    if (one.code === 'unexplained') this.unexplained += 1;
    if (this.breaks.length < keptBreaks) this.breaks.push(one);
  }

  answer(setupMs: number): void {
    this.answered += 1;
    this.setup.add(setupMs);
    this.sinceLook.add(setupMs);
  }

  take({ seen, cdr, asPlanned, faults }: Judged, findings: number): void {
    this.judged += 1;
    const ending = cdr?.ending ?? 'no CDR';
    if (wasShed(seen, cdr)) this.shed += 1;
    bump(this.outcomes, `${seen.plan.kind} → ${seen.status === 0 ? 'no answer' : seen.status} ${ending}`);
    if (seen.status >= 300 && !seen.unanswered) bump(this.refusals, `${seen.status} ${ending}`);
    if (asPlanned) this.asPlanned += 1;
    else if (findings === 0 && faults.some((name) => name !== machineStalled)) this.excused += 1;
    else if (findings === 0 && faults.length > 0) this.stalled += 1;
    this.#checks(seen);
  }

  #checks({ plan, status, sound, talkedMs }: Judged['seen']): void {
    const { side } = kindFacts[plan.kind];
    for (const code of ['cdr-count', 'cdr-differs', 'dialogs-differ', 'unexplained'] as const)
      this.check(code);
    if (side === 'private') this.check('private-recorded');
    if (side === 'refused') this.check('refused-connected');
    if (side === 'monitored' && status === 200) {
      this.check('silently-unrecorded');
      if (talkedMs >= 1000) this.check('recording-missing');
    }
    if (sound === null) return;
    this.check('media-unconnected');
    this.check('foreign-sound');
    if (status === 200) this.check('not-heard');
  }
}
