import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { Config } from '../config/schema.js';
import type { SoakBounds } from './bounds.js';
import { type Break, CallBook, type Judged } from './call-book.js';
import { Callers } from './callers.js';
import { Dice } from './dice.js';
import { consequences, type FaultMix } from './faults.js';
import { FileWatch, type SeenFile } from './file-watch.js';
import { type FinalLook, lookAtTheEnd } from './final-look.js';
import { type FaultRecord, inject, wasDone } from './inject.js';
import { JournalTail } from './journal-tail.js';
import { type FaultWindow, type Finding, type FindingCode, machineStalled } from './judge.js';
import type { Mix } from './mix.js';
import { Phones } from './phones.js';
import { placeCall } from './place-call.js';
import type { ProcLook } from './proc.js';
import { recordingFault, recordingPath, removeRecording } from './recording-check.js';
import { keyFamilies } from './redis-look.js';
import { controllerFigures, lookAtProcesses, type Sample } from './sample.js';
import { type CallPlan, callPlans, type FaultPlan, faultPlans, type PlannedCall } from './schedule.js';
import { Series } from './series.js';
import { soakNumbers } from './site-lists.js';
import { Stage } from './stage.js';
import { Stalls } from './stalls.js';
import { Tally } from './tally.js';

export interface SoakOptions {
  readonly config: Config;
  /** Folder for everything the site writes; of this soak alone. */
  readonly dir: string;
  readonly seed: number;
  /** Calls a second. */
  readonly rate: number;
  readonly holdSeconds: number;
  readonly seconds: number;
  readonly mix: Mix;
  readonly faults: FaultMix;
  readonly faultEverySeconds: number;
  /** How many callers there are, as long as one of them is free. */
  readonly callers: number;
  /** Share of the calls in which both parties send and hear tones. */
  readonly sounds: number;
  /** Longer deadlines of the product, for a machine that is busy with other things. */
  readonly patient: boolean;
  /** Keep every recording; else the last thousand. */
  readonly keepRecordings: boolean;
  readonly bounds: SoakBounds;
}

export interface SoakSigns {
  /** Told of each break the moment it is found. */
  readonly onBreak: (one: Break) => void;
  readonly onFault: (record: FaultRecord, now: 'begins' | 'ends') => void;
  /** Every five seconds. */
  readonly onProgress: (run: SoakRun) => void;
  /** Told when the site is up, before the first call. */
  readonly onUp?: (run: SoakRun) => void;
}

export interface SoakResult {
  readonly run: SoakRun;
  readonly startedAt: number;
  readonly endedAt: number;
  readonly interrupted: boolean;
  readonly final: FinalLook;
}

const sampleMs = 5000;
const tickMs = 1000;
const keptRecordings = 1000;
/** Recordings opened and listened to, at most one every so often. */
const openEveryMs = 2000;
/** And only where both parties were heard for so long. */
const openedFromMs = 600;
/** Calls under way beyond which none is added: the machine, not the product, would be measured. */
const maxUnderWay = 5000;

const pause = (ms: number, stop: Promise<unknown>): Promise<void> => {
  let timer: NodeJS.Timeout | undefined;
  const waited = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  return Promise.race([waited, stop]).then(() => clearTimeout(timer));
};

/** One soak: the calls, the faults, and everything that is watched meanwhile. */
export class SoakRun {
  readonly options: SoakOptions;
  readonly stage: Stage;
  readonly tally = new Tally();
  readonly faults: FaultRecord[] = [];
  readonly faultPlans: readonly FaultPlan[];
  readonly samples = new Series<Sample>();
  readonly phones: Phones;
  readonly watch: FileWatch;
  readonly baseline: Readonly<Record<string, ProcLook>>;
  readonly keysBefore: ReadonlyMap<string, number>;
  readonly #signs: SoakSigns;
  readonly #book: CallBook;
  readonly #tail: JournalTail;
  readonly #dice: Dice;
  readonly #callers: Callers;
  readonly #stop: Promise<void>;
  /** Files of calls that have no CDR yet. */
  readonly #unplaced = new Map<string, SeenFile>();
  readonly #recordings: string[] = [];
  readonly #watched = new Set<number>();
  readonly #loop = monitorEventLoopDelay({ resolution: 10 });
  #underWay = 0;
  #startedMono = performance.now();
  #startedWall = Date.now();
  #openedAt = 0;
  #opening: Promise<void> = Promise.resolve();
  #lastSample = { atMs: 0, placed: 0 };
  #stopping = false;
  readonly stalls = new Stalls();
  skippedCalls = 0;

  constructor(
    parts: Pick<SoakRun, 'options' | 'stage' | 'phones' | 'watch' | 'baseline' | 'keysBefore'> & {
      readonly signs: SoakSigns;
      readonly stop: Promise<void>;
    },
  ) {
    this.options = parts.options;
    this.stage = parts.stage;
    this.phones = parts.phones;
    this.watch = parts.watch;
    this.baseline = parts.baseline;
    this.keysBefore = parts.keysBefore;
    this.#signs = parts.signs;
    this.#stop = parts.stop.then(() => {
      this.#stopping = true;
    });
    this.#dice = new Dice(parts.options.seed);
    this.#callers = new Callers(parts.options.callers);
    const { faults, faultEverySeconds, seconds } = parts.options;
    this.faultPlans = faultPlans(this.#dice, faults, faultEverySeconds * 1000, seconds * 1000);
    this.#tail = new JournalTail(parts.stage.config.journal.directory);
    this.#book = new CallBook(
      parts.options.bounds.overdue,
      (judged, findings) => this.#judged(judged, findings),
      (as, callId, count) =>
        this.breaks(
          {
            code: 'cdr-count',
            text: count === 'more' ? `${as} has a CDR more` : `${as} has no CDR that counts`,
          },
          callId,
          '',
        ),
    );
  }

  get underWay(): number {
    return this.#underWay;
  }

  get elapsedMs(): number {
    return performance.now() - this.#startedMono;
  }

  get startedWall(): number {
    return this.#startedWall;
  }

  get unjudged(): number {
    return this.#book.open;
  }

  get windows(): readonly FaultWindow[] {
    const faults = this.faults.map(({ plan, startedAt, windowTo }) => ({
      name: plan.name,
      from: startedAt,
      to: windowTo,
    }));
    return [...faults, ...this.stalls.windows];
  }

  /** Did its CDR say that plain sound of this call is left in a spool, for custody to take care of? */
  isLeftInSpool(callId: string): boolean {
    return this.#book.isLeftInSpool(callId);
  }

  breaks(finding: Finding, callId: string | null, context: string): void {
    const one: Break = { ...finding, at: Date.now(), callId, context };
    this.tally.broken(one);
    this.#signs.onBreak(one);
  }

  /** Makes the calls and the faults until the time is over, or `stop` settles; then waits until all calls are over. */
  async go(): Promise<void> {
    this.#startedMono = performance.now();
    this.#startedWall = Date.now();
    this.#loop.enable();
    const length = this.options.seconds * 1000;
    const over = pause(length, this.#stop);
    let done = false;
    const watching = this.#watchOver(() => done);
    await Promise.all([this.#makeCalls(over), this.#makeFaults(over)]);
    await this.#untilQuiet();
    done = true;
    await watching;
    await this.#opening;
    this.#loop.disable();
    this.stalls.close();
  }

  // ---- calls

  async #makeCalls(over: Promise<void>): Promise<void> {
    let ended = false;
    void over.then(() => {
      ended = true;
    });
    const { rate, holdSeconds, mix, sounds } = this.options;
    const plans = callPlans(this.#dice, { rate, holdSeconds, mix, sounds, numbers: soakNumbers });
    for (let plan = plans.next().value; ; plan = plans.next().value) {
      const wait = plan.atMs - this.elapsedMs;
      if (wait > 1) await pause(wait, over);
      if (ended || plan.atMs >= this.options.seconds * 1000) return;
      if (this.#underWay >= maxUnderWay) this.skippedCalls += 1;
      else void this.#make(plan);
    }
  }

  async #make(planned: PlannedCall): Promise<void> {
    const plan: CallPlan = { ...planned, as: this.#callers.take() };
    this.#underWay += 1;
    this.tally.placed += 1;
    this.#book.placed(plan);
    try {
      const seen = await placeCall(this.phones, plan, this.stage.sip, this.options.bounds);
      if (seen.setupMs !== null) this.tally.answer(seen.setupMs);
      this.#book.over(seen);
    } catch (error) {
      this.#book.drop(plan);
      this.#callers.rests(plan.as);
      this.skippedCalls += 1;
      if (!this.#stopping) this.#lastError = error instanceof Error ? error.message : String(error);
    } finally {
      this.#underWay -= 1;
    }
  }

  #lastError: string | null = null;

  /** Why a call could not even be made, the last time; null where all could. */
  get lastError(): string | null {
    return this.#lastError;
  }

  #judged(judged: Judged, findings: readonly Finding[]): void {
    const { seen, cdr, faults, asPlanned } = judged;
    this.#callers.rests(seen.plan.as);
    this.tally.take(judged, findings.length);
    if (!asPlanned) {
      const what = `${seen.status === 0 ? 'no answer' : seen.status} ${cdr?.ending ?? 'no CDR'}`;
      for (const record of this.faults) {
        if (!faults.includes(record.plan.name) || record.startedAt > seen.overAt) continue;
        if (record.windowTo !== null && record.windowTo < seen.placedAt) continue;
        record.cost.set(what, (record.cost.get(what) ?? 0) + 1);
      }
    }
    const context = (): string => contextOf(judged, this.stage.controller.stderrTail());
    for (const finding of findings) this.breaks(finding, cdr?.callId ?? null, context());
    if (cdr !== null && cdr.file !== null) this.#recorded(judged, cdr.file);
  }

  #recorded({ seen, cdr, faults }: Judged, file: string): void {
    const path = recordingPath(this.stage.recordings, file);
    const now = performance.now();
    const heard = Math.min(seen.sound?.callerHeardMs ?? 0, seen.sound?.calledHeardMs ?? 0);
    const whole = !faults.some(
      (name) => name !== machineStalled && consequences[name].loses.includes('monitored'),
    );
    // What both phones heard came through the node, and has to be in its recording.
    if (heard >= openedFromMs && whole && now - this.#openedAt > openEveryMs) {
      this.#openedAt = now;
      this.#opening = this.#opening.then(async () => {
        this.tally.check('recording-wrong');
        const fault = await recordingFault(path, seen.plan, this.stage.site.identities.facility);
        if (fault !== null)
          this.breaks({ code: 'recording-wrong', text: `${path}: ${fault}` }, cdr?.callId ?? null, '');
      });
    }
    if (this.options.keepRecordings) return;
    this.#recordings.push(path);
    if (this.#recordings.length <= keptRecordings) return;
    const oldest = this.#recordings.shift();
    if (oldest !== undefined) this.#opening = this.#opening.then(() => removeRecording(oldest));
  }

  // ---- faults

  async #makeFaults(over: Promise<void>): Promise<void> {
    for (const plan of this.faultPlans) {
      const wait = plan.atMs - this.elapsedMs;
      if (wait > 0) await pause(wait, over);
      if (this.#stopping || this.elapsedMs >= this.options.seconds * 1000) return;
      const record = await inject(
        this.stage,
        plan,
        this.#dice.fork(`fault-${plan.serial}`),
        over,
        (begun) => {
          this.faults.push(begun);
          this.#signs.onFault(begun, 'begins');
        },
      );
      if (wasDone(record)) {
        this.tally.check('not-healed');
        if (record.healedAt === null)
          this.breaks(
            { code: 'not-healed', text: `${plan.name} of ${record.target}: ${record.note}` },
            null,
            this.stage.controller.stderrTail().slice(-4000),
          );
      }
      this.#signs.onFault(record, 'ends');
    }
  }

  // ---- watching

  async #watchOver(done: () => boolean): Promise<void> {
    let nextSample = sampleMs;
    while (!done()) {
      await new Promise((resolve) => setTimeout(resolve, tickMs));
      await this.look();
      if (this.elapsedMs < nextSample) continue;
      nextSample = this.elapsedMs + sampleMs;
      await this.#sample();
      this.#signs.onProgress(this);
    }
  }

  /** Reads the journal, judges what can be judged, and looks at files and processes. */
  async look(all = false): Promise<void> {
    this.#watchProcesses();
    await this.#tail.read((row) => this.#book.row(row));
    this.#book.sweep(Date.now(), this.windows, all);
    await this.watch.follow();
    this.lookAtFiles(this.watch.take());
  }

  /** No file may belong to a call that must not be recorded. */
  lookAtFiles(files: readonly SeenFile[]): void {
    for (const file of files) {
      if (file.callId !== null) this.#unplaced.set(file.path, file);
    }
    if (this.#unplaced.size > 50_000) this.#unplaced.clear();
    for (const [path, { callId }] of this.#unplaced) {
      const known = this.#book.sideOfId(callId ?? '');
      if (known === null) continue;
      this.#unplaced.delete(path);
      if (known.side === 'monitored') continue;
      const code: FindingCode = known.side === 'private' ? 'private-recorded' : 'stray-file';
      this.breaks(
        { code, text: `there was a file ${path} of the ${known.side} call of ${known.as}` },
        callId,
        '',
      );
    }
  }

  /** Files of calls nobody has ever heard of. */
  get unplacedFiles(): readonly SeenFile[] {
    return [...this.#unplaced.values()];
  }

  #watchProcesses(): void {
    const { controller, nodes, redis } = this.stage;
    for (const child of [controller, redis, ...nodes.values()]) {
      if (this.#watched.has(child.pid)) continue;
      this.#watched.add(child.pid);
      this.tally.check('process-died');
      void child.exited.then(({ code, signal }) => {
        if (this.stage.killed.has(child.pid)) return;
        const how = signal ?? `exit code ${code}`;
        this.breaks(
          { code: 'process-died', text: `${child.name} (pid ${child.pid}) ended by itself: ${how}` },
          null,
          child.stderrTail().slice(-4000),
        );
      });
    }
  }

  async #sample(): Promise<void> {
    const atMs = this.elapsedMs;
    const { sinceLook, placed } = this.tally;
    const seconds = (atMs - this.#lastSample.atMs) / 1000;
    this.samples.add({
      atMs,
      rate: (placed - this.#lastSample.placed) / seconds,
      up: this.#underWay,
      p50: sinceLook.quantile(0.5),
      p95: sinceLook.quantile(0.95),
      p99: sinceLook.quantile(0.99),
      processes: lookAtProcesses(this.stage),
      ...(await controllerFigures(this.stage)),
      ownLoopMs: this.#loop.percentile(99) / 1e6,
    });
    this.#loop.reset();
    sinceLook.clear();
    this.#lastSample = { atMs, placed };
  }

  /** All calls are over and judged; bounded by what the phones wait themselves, and by what a lost CDR takes. */
  async #untilQuiet(): Promise<void> {
    const end = performance.now() + 180_000;
    while ((this.#underWay > 0 || this.#book.open > 0) && performance.now() < end)
      await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

const contextOf = ({ seen, cdr, faults }: Judged, log: string): string => {
  const { plan, sound, flow, ...rest } = seen;
  const lines = cdr === null ? [] : log.split('\n').filter((line) => line.includes(cdr.callId));
  return [
    `planned  ${JSON.stringify(plan)}`,
    `phones   ${JSON.stringify(rest)}`,
    ...(sound === null ? [] : [`sound    ${JSON.stringify(sound)}`]),
    ...(flow.length === 0 ? [] : [`messages ${flow.join(', ')}`]),
    `CDR      ${cdr === null ? 'none' : JSON.stringify(cdr)}`,
    `faults   ${faults.length === 0 ? 'none at its time' : faults.join(', ')}`,
    ...lines.slice(-20).map((line) => `log      ${line}`),
  ].join('\n');
};

/** Runs a soak from its start to its last look. `stop` ends it early and in order. Throws where no site can be started. */
export const soak = async (
  options: SoakOptions,
  signs: SoakSigns,
  stop: Promise<void> = new Promise(() => undefined),
): Promise<SoakResult> => {
  const phones = await Phones.open();
  let stage: Stage | null = null;
  let watch: FileWatch | null = null;
  let interrupted = false;
  void stop.then(() => {
    interrupted = true;
  });
  try {
    stage = await Stage.open({
      config: options.config,
      dir: options.dir,
      phones,
      portCount: portsFor(options),
      lossy: (options.faults['ng-loss'] ?? 0) > 0,
      smallSpool: (options.faults['spool-full'] ?? 0) > 0,
      patient: options.patient,
      maxCalls: Math.max(500, Math.ceil(options.rate * options.holdSeconds * 6)),
    });
    watch = new FileWatch([...stage.spools, stage.recordings]);
    await watch.follow();
    const baseline = lookAtProcesses(stage);
    const keysBefore = await keyFamilies(stage.redis, stage.config.lists.keyPrefix);
    const run = new SoakRun({ options, stage, phones, watch, baseline, keysBefore, signs, stop });
    signs.onUp?.(run);
    const startedAt = Date.now();
    await run.go();
    const endedAt = Date.now();
    const final = await lookAtTheEnd(run);
    return { run, startedAt, endedAt, interrupted, final };
  } finally {
    watch?.close();
    await stage?.close();
    await phones.close();
  }
};

/**
 * Four ports a call, were every one answered and all on one node, and a fifth more. Four nodes of 5,120 are what the
 * ports below the ephemeral ones hold.
 */
const portsFor = ({ rate, holdSeconds }: SoakOptions): number =>
  Math.min(5120, Math.max(256, 256 * Math.ceil((rate * (holdSeconds + 4) * 4 * 1.2) / 256)));
