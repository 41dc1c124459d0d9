import { cpus, release, totalmem } from 'node:os';
import type { Break } from '../call-book.js';
import { consequences } from '../faults.js';
import type { FinalLook, Growth } from '../final-look.js';
import { type FaultRecord, wasDone } from '../inject.js';
import type { FindingCode } from '../judge.js';
import type { ProcLook } from '../proc.js';
import type { Sample } from '../sample.js';
import type { SoakResult } from '../soak.js';

export interface ReportFault {
  readonly serial: number;
  readonly name: string;
  readonly target: string;
  readonly words: string;
  readonly expected: string;
  /** Since the start of the soak, in ms. */
  readonly fromMs: number;
  readonly mendedMs: number | null;
  readonly healedMs: number | null;
  readonly skipped: boolean;
  readonly note: string | null;
  readonly cost: readonly (readonly [string, number])[];
}

/** Everything the report shows; the page is a function of this and of nothing else. */
export interface ReportData {
  readonly version: string;
  readonly repeat: string;
  readonly seed: number;
  readonly startedAt: number;
  readonly lengthMs: number;
  readonly interrupted: boolean;
  readonly tolerate: number;
  readonly patient: boolean;
  readonly asked: { readonly rate: number; readonly holdSeconds: number; readonly seconds: number };
  readonly counts: {
    readonly placed: number;
    readonly answered: number;
    readonly judged: number;
    readonly asPlanned: number;
    readonly excused: number;
    readonly skipped: number;
    /** Of those not as planned: only because this machine stood still. */
    readonly stalled: number;
  };
  /** Times in which this machine gave even the soak no processor, and how long in all. */
  readonly stalls: { readonly count: number; readonly totalMs: number };
  readonly setup: Readonly<Record<'p50' | 'p95' | 'p99' | 'max', number | null>>;
  readonly outcomes: readonly (readonly [string, number])[];
  readonly samples: readonly Sample[];
  readonly faults: readonly ReportFault[];
  readonly breaks: readonly (Break & { readonly atMs: number })[];
  readonly breakCounts: Readonly<Partial<Record<FindingCode, number>>>;
  readonly checked: Readonly<Partial<Record<FindingCode, number>>>;
  readonly before: Readonly<Record<string, ProcLook>>;
  readonly after: Readonly<Record<string, ProcLook>>;
  readonly keys: readonly (readonly [string, number, number])[];
  readonly sessions: FinalLook['sessions'];
  readonly journal: FinalLook['journal'];
  readonly growth: readonly Growth[];
  readonly filesLooked: number;
  readonly leftForCustody: number;
  readonly environment: readonly (readonly [string, string])[];
}

const faultOf = (record: FaultRecord, start: number): ReportFault => {
  const { plan, target, startedAt, mendedAt, healedAt, note, cost } = record;
  const since = (at: number | null): number | null => (at === null ? null : at - start);
  const { words, expected } = consequences[plan.name];
  return {
    serial: plan.serial,
    name: plan.name,
    target,
    words,
    expected,
    fromMs: startedAt - start,
    mendedMs: since(mendedAt),
    healedMs: since(healedAt),
    skipped: !wasDone(record),
    note,
    cost: [...cost].sort((a, b) => b[1] - a[1]),
  };
};

const environment = (result: SoakResult, version: string): ReportData['environment'] => {
  const all = cpus();
  const { stage, options } = result.run;
  return [
    ['Sallyport', version],
    ['Node.js', process.version],
    ['Linux', release()],
    ['processors', `${all.length} × ${all[0]?.model ?? 'unknown'}`],
    ['memory', `${(totalmem() / 2 ** 30).toFixed(1)} GiB`],
    ['spools in memory', stage.site.spoolsInMemory ? 'yes' : 'no: plain sound passed over a disk'],
    ['small spool to fill', stage.smallSpool === null ? 'none' : 'yes'],
    ['deadlines', options.patient ? 'longer ones (--patient)' : 'as configured'],
    ['calls that were listened to', `${Math.round(options.sounds * 100)} %`],
  ];
};

/** All of a soak as the report shows it. */
export const reportData = (
  result: SoakResult,
  more: { readonly repeat: string; readonly version: string; readonly tolerate: number },
): ReportData => {
  const { run, startedAt, endedAt, interrupted, final } = result;
  const { tally, options } = run;
  const start = run.startedWall;
  const families = new Set([...run.keysBefore.keys(), ...final.keysAfter.keys()]);
  return {
    ...more,
    seed: options.seed,
    startedAt,
    lengthMs: endedAt - startedAt,
    interrupted,
    patient: options.patient,
    asked: { rate: options.rate, holdSeconds: options.holdSeconds, seconds: options.seconds },
    counts: {
      placed: tally.placed,
      answered: tally.answered,
      judged: tally.judged,
      asPlanned: tally.asPlanned,
      excused: tally.excused,
      skipped: run.skippedCalls,
      stalled: tally.stalled,
    },
    stalls: { count: run.stalls.count, totalMs: run.stalls.total },
    setup: {
      p50: tally.setup.quantile(0.5),
      p95: tally.setup.quantile(0.95),
      p99: tally.setup.quantile(0.99),
      max: tally.setup.total === 0 ? null : tally.setup.max,
    },
    outcomes: [...tally.outcomes].sort((a, b) => b[1] - a[1]),
    samples: run.samples.all,
    faults: run.faults.map((record) => faultOf(record, start)),
    breaks: tally.breaks.map((one) => ({ ...one, atMs: one.at - start })),
    breakCounts: Object.fromEntries(tally.breakCounts),
    checked: Object.fromEntries(tally.checked),
    before: run.baseline,
    after: final.processes,
    keys: [...families]
      .sort()
      .map((name) => [name, run.keysBefore.get(name) ?? 0, final.keysAfter.get(name) ?? 0] as const),
    sessions: final.sessions,
    journal: final.journal,
    growth: final.growth,
    filesLooked: final.filesLooked,
    leftForCustody: final.leftForCustody,
    environment: environment(result, more.version),
  };
};
