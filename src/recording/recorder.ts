import { readFile } from 'node:fs/promises';
import {
  type Armed,
  type Clock,
  type JsonObject,
  type MediaTotals,
  type RecordedAnchor,
  RecordingError,
  type Sdp,
  type SpoolFinding,
} from '../call/ports.js';
import type { Monitored } from '../core/decision.js';
import type { CallId, Leg, WallMs } from '../core/leg.js';
import { filesOf, lookForCall } from './absence.js';
import {
  type EndedRecording,
  finishRecording,
  nodeIsDone,
  removeFromSpool,
  stemOf,
  summaryOf,
} from './finish.js';
import { Gate } from './gate.js';
import { GrowthWatch } from './growth-watch.js';
import { type ProvedFile, proveRecording } from './proof.js';
import {
  defaultLimits,
  type RecorderOptions,
  type RecordingLimits,
  type SpoolRecorder,
} from './recorder-options.js';
import { callsIn, endedFrom, type Leftover, type LeftRecording, sidesIn } from './recover.js';
import { judgeSpool, type SpoolCode, type SpoolOptions } from './spool.js';

export type { RecorderOptions, RecordingLimits, SpoolRecorder } from './recorder-options.js';
export type { Leftover, LeftRecording } from './recover.js';
export type { SpoolOptions } from './spool.js';

interface Running {
  readonly file: ProvedFile;
  readonly claim: { readonly nodePid: number | null; readonly ports: { caller: number; called: number } };
  readonly spool: string;
  watch: GrowthWatch | null;
}

/** Failed recordings remembered for their removal, should nobody ask for it. */
const MAX_UNPROVED = 10_000;

// Alarms about a call are the controller's to raise, from what comes back; those about a spool are raised here.
const missing = (code: string, evidence: JsonObject): SpoolFinding => ({
  state: 'recording-missing',
  code,
  evidence,
});

const systemClock: Clock = { wall: () => Date.now() as WallMs, mono: () => performance.now() };

class Recording implements SpoolRecorder {
  readonly #options: RecorderOptions;
  readonly #limits: RecordingLimits;
  readonly #clock: Clock;
  readonly #gate: Gate;
  readonly #running = new Map<CallId, Running>();
  /** Calls whose recording could not be proved: what the node may have begun is ours to remove. */
  readonly #unproved = new Map<CallId, SpoolOptions>();
  readonly #verdicts = new Map<string, SpoolCode | null>();
  #judged: { readonly at: number; readonly done: Promise<void> } | null = null;

  constructor(options: RecorderOptions) {
    this.#options = options;
    this.#limits = { ...defaultLimits, ...options.limits };
    this.#clock = options.clock ?? systemClock;
    this.#gate = new Gate(this.#limits.finishing, this.#limits.maxWaiting);
  }

  spoolUsable(node: string): boolean {
    return this.#verdicts.get(node) === null;
  }

  status(): { armed: number; finishing: number } {
    return { armed: this.#running.size, finishing: this.#gate.load };
  }

  close(): void {
    for (const { watch } of this.#running.values()) watch?.stop();
  }

  async ready(): Promise<{ ready: true } | { ready: false; code: string }> {
    const now = this.#clock.mono();
    if (this.#judged === null || now - this.#judged.at > this.#limits.spoolMs) {
      this.#judged = { at: now, done: this.#judgeAll() };
    }
    await this.#judged.done;
    const verdicts = [...this.#verdicts.values()];
    if (verdicts.includes(null)) return { ready: true };
    return { ready: false, code: verdicts[0] ?? 'no-spool' };
  }

  async arm(decision: Monitored, anchor: RecordedAnchor, answer: Sdp): Promise<Armed> {
    const started = this.#clock.mono();
    const { callId } = anchor;
    if (decision.verdict !== 'monitored' || anchor.pool !== 'recorded') {
      throw new RecordingError('not-monitored', 'only a monitored call on a recorded node is recorded');
    }
    const spool = this.#options.spools.find(({ node }) => node === anchor.node);
    if (spool === undefined) throw new RecordingError('spool-unknown', 'no spool is known for this node');
    if (this.#running.has(callId)) throw new RecordingError('armed-already', 'this call is recorded already');
    if (this.#running.size >= this.#limits.maxArmed) {
      throw new RecordingError('too-many-recordings', 'the bound of recordings at a time is reached');
    }
    this.#beginUnproved(callId, spool);
    const claim = await anchor.answerAndRecord(decision, answer);
    const file = await proveRecording(claim.path, callId, spool.dir, claim.nodePid, this.#limits.proveMs);
    this.#unproved.delete(callId);
    const running: Running = { file, claim, spool: spool.dir, watch: null };
    this.#running.set(callId, running);
    const ms = this.#clock.mono() - started;
    return {
      answerForCaller: claim.answerForCaller,
      proof: {
        node: anchor.node,
        nodePid: claim.nodePid,
        ms: Math.round(ms),
        ...sidesIn({ ports: claim.ports, sources: anchor.sources() }),
        ...file.evidence,
      },
      watch: (lost) => this.#watch(callId, running, anchor, lost),
    };
  }

  async finish(
    leg: Leg,
    decision: Monitored,
    anchor: RecordedAnchor,
    totals: MediaTotals | null,
  ): Promise<SpoolFinding> {
    const { callId } = anchor;
    const running = this.#running.get(callId);
    if (running === undefined) return this.#neverRecorded(callId);
    running.watch?.stop();
    const ended: EndedRecording = {
      callId,
      node: anchor.node,
      spool: running.spool,
      nodePid: running.claim.nodePid,
      file: running.file,
      sides: { ports: running.claim.ports, sources: anchor.sources() },
      receivedAt: leg.receivedAt,
      decision: summaryOf(decision),
      totals,
    };
    try {
      return await this.#finish(ended);
    } finally {
      this.#running.delete(callId);
    }
  }

  async leftovers(): Promise<readonly Leftover[]> {
    const all = await callsIn(this.#options.spools);
    return all.filter(({ callId }) => !this.#running.has(callId));
  }

  async recover(left: LeftRecording): Promise<SpoolFinding> {
    const spool = this.#options.spools.find(({ node }) => node === left.node);
    if (spool === undefined || this.#running.has(left.callId)) {
      return missing('spool-unknown', { node: left.node });
    }
    const ended = endedFrom(left, spool, await this.#pidOf(spool));
    if (ended === null) return missing('proof-unusable', { node: left.node });
    return this.#finish(ended);
  }

  async #finish(ended: EndedRecording): Promise<SpoolFinding> {
    const { callId, node } = ended;
    const { settleMs, maxSeconds } = this.#limits;
    const bounds = { settleMs, maxSeconds, now: () => this.#clock.wall() };
    try {
      const done = await this.#gate.run(() => finishRecording(ended, this.#options.recordingsDir, bounds));
      if (done.state === 'missing') return missing(done.code, done.evidence);
      const { recording, missingPackets } = done;
      if (missingPackets > 0) {
        this.#options.emit({ event: 'alarm', alarm: 'recording-lost', callId, detail: 'packets-missing' });
      }
      return { state: 'recording-finished', recording };
    } catch (error) {
      const code = error instanceof RecordingError ? error.code : 'recordings-unwritable';
      return missing(code, { node, leftInSpool: true });
    }
  }

  async discard(callId: CallId): Promise<SpoolFinding> {
    const running = this.#running.get(callId);
    if (running !== undefined) {
      running.watch?.stop();
      this.#running.delete(callId);
      const spool = this.#options.spools.find(({ dir }) => dir === running.spool);
      if (spool !== undefined) this.#beginUnproved(callId, spool);
    }
    return this.verifyAbsence(callId);
  }

  async verifyAbsence(callId: CallId): Promise<SpoolFinding> {
    const spool = this.#unproved.get(callId);
    if (spool !== undefined) await this.#removeUnproved(callId, spool);
    return lookForCall(this.#options.spools, this.#options.recordingsDir, callId, this.#clock.wall());
  }

  /** Until it is proved, whatever the node begins is not a recording. */
  #beginUnproved(callId: CallId, spool: SpoolOptions): void {
    this.#unproved.set(callId, spool);
    const [oldest] = this.#unproved.keys();
    if (this.#unproved.size > MAX_UNPROVED && oldest !== undefined) this.#unproved.delete(oldest);
  }

  #watch(callId: CallId, running: Running, anchor: RecordedAnchor, lost: (code: string) => void): void {
    if (running.watch !== null || this.#running.get(callId) !== running) return;
    const timing = { firstMs: this.#limits.firstWatchMs, everyMs: this.#limits.watchMs };
    running.watch = new GrowthWatch(running.file, () => anchor.packets(), timing, lost);
  }

  /** A monitored call that was never armed: nothing may lie around of it. */
  async #neverRecorded(callId: CallId): Promise<SpoolFinding> {
    const spool = this.#unproved.get(callId);
    const removed = spool === undefined ? 0 : await this.#removeUnproved(callId, spool);
    return { state: 'recording-missing', code: 'never-armed', evidence: { removed } };
  }

  /** Nobody was ever connected in such a call, so what the node wrote is no recording of anyone. */
  async #removeUnproved(callId: CallId, spool: SpoolOptions): Promise<number> {
    this.#unproved.delete(callId);
    try {
      for (const file of await filesOf(spool.dir, callId)) {
        if (!file.startsWith('pcaps/')) continue;
        const stem = stemOf(file.slice('pcaps/'.length));
        const pid = await this.#pidOf(spool);
        await nodeIsDone(stem, `${spool.dir}/${file}`, spool.dir, pid, null, this.#limits.settleMs);
      }
      return await removeFromSpool(spool.dir, callId);
    } catch {
      // What could not be removed is found by the look that follows, and is an alarm there.
      return 0;
    }
  }

  async #pidOf(spool: SpoolOptions): Promise<number | null> {
    if (spool.pid !== undefined) return spool.pid;
    if (spool.pidFile === undefined) return null;
    const pid = Number((await readFile(spool.pidFile, 'utf8').catch(() => '')).slice(0, 32).trim());
    return Number.isSafeInteger(pid) && pid > 1 ? pid : null;
  }

  async #judgeAll(): Promise<void> {
    await Promise.all(
      this.#options.spools.map(async (spool) => {
        const pid = await this.#pidOf(spool);
        const { minFreeBytes } = this.#limits;
        const verdict = await judgeSpool(spool.dir, pid, minFreeBytes, 1000);
        const before = this.#verdicts.get(spool.node);
        this.#verdicts.set(spool.node, verdict);
        if (verdict !== null && verdict !== before) {
          const detail = `${spool.node}: ${verdict}`;
          this.#options.emit({ event: 'alarm', alarm: 'spool-unusable', callId: null, detail });
        }
      }),
    );
  }
}

/** Records monitored calls into spools on this host, proves it, and makes WAVs of them. */
export const createRecorder = (options: RecorderOptions): SpoolRecorder => {
  const names = new Set(options.spools.map(({ node }) => node));
  if (names.size !== options.spools.length) throw new RangeError('two spools of one node');
  return new Recording(options);
};
