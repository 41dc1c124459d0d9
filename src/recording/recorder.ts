import {
  type Clock,
  type JsonObject,
  type MediaTotals,
  type RecordedAnchor,
  type RecordingClaim,
  RecordingError,
  type Sdp,
  type SpoolFinding,
} from '../call/ports.js';
import type { SpokenArmed, SpokenRecordedAnchor } from '../call/talk.js';
import type { Monitored } from '../core/decision.js';
import type { CallId, FacilityId, Leg, WallMs } from '../core/leg.js';
import { type Disk, direct, pooled } from '../durable/disk.js';
import { ArmedCall, type Begun } from './armed-call.js';
import { type EndedRecording, type Finished, summaryOf } from './finish.js';
import { type Finisher, finishHere } from './finisher.js';
import { Gate } from './gate.js';
import { nodeIsDone, stemOf } from './node-files.js';
import { freshPcapOf, pcapsOf, proveRecording } from './proof.js';
import {
  defaultLimits,
  type RecorderOptions,
  type RecordingLimits,
  type SpoolRecorder,
} from './recorder-options.js';
import { callsIn, endedFrom, type Leftover, type LeftRecording } from './recover.js';
import { pidOf, type SpoolCode, type SpoolOptions, spoolJudge } from './spool.js';
import { Unproved } from './unproved.js';

export type { RecorderOptions, RecordingLimits, SpoolRecorder } from './recorder-options.js';
export type { Leftover, LeftRecording } from './recover.js';
export type { SpoolOptions } from './spool.js';

// Alarms about a call are the controller's to raise, from what comes back; those about a spool are raised here.
const missing = (code: string, evidence: JsonObject): SpoolFinding => ({
  state: 'recording-missing',
  code,
  evidence,
});

/** Forgets the oldest of them, down to the bound. */
const keepNewest = (remembered: Map<CallId, unknown>, bound: number): void => {
  for (const oldest of remembered.keys()) {
    if (remembered.size <= bound) break;
    remembered.delete(oldest);
  }
};

const noKey = (): RecordingError =>
  new RecordingError('no-recording-key', 'there is no key to encrypt this recording to');

const systemClock: Clock = { wall: () => Date.now() as WallMs, mono: () => performance.now() };

class Recording implements SpoolRecorder {
  readonly #options: RecorderOptions;
  readonly #limits: RecordingLimits;
  readonly #clock: Clock;
  readonly #gate: Gate;
  /** A spool on a disk is refused unless that is configured, so where it is not, all that are used are memory. */
  readonly #spoolDisk: Disk;
  readonly #finisher: Finisher;
  readonly #running = new Map<CallId, ArmedCall>();
  readonly #unproved: Unproved;
  /** What each call left among the sealed recordings before it became private. */
  readonly #sealed = new Map<CallId, readonly string[]>();
  readonly #verdicts = new Map<string, SpoolCode | null>();
  /** Calls that were found to have a key, each with its facility: no other is ever armed. */
  readonly #cleared = new Map<CallId, FacilityId>();
  readonly #judges: readonly (readonly [node: string, judge: () => Promise<SpoolCode | null>])[];
  #vaultVerdict: string | null = null;
  #judged: { readonly at: number; readonly done: Promise<void> } | null = null;

  constructor(options: RecorderOptions) {
    this.#options = options;
    this.#limits = { ...defaultLimits, ...options.limits };
    this.#judges = options.spools.map((spool) => [spool.node, spoolJudge(spool, this.#limits)]);
    this.#clock = options.clock ?? systemClock;
    this.#spoolDisk = this.#limits.spoolOnDisk ? pooled : direct;
    this.#unproved = new Unproved(this.#limits.settleMs);
    this.#finisher = options.finisher ?? finishHere(options.vault, this.#limits.finishing);
    const { maxWaiting, patienceMs } = this.#limits;
    this.#gate = new Gate(this.#finisher.atOnce, maxWaiting, patienceMs, () => this.#clock.mono());
  }

  spoolUsable(node: string): boolean {
    return this.#verdicts.get(node) === null;
  }

  status(): { armed: number; finishing: number } {
    return { armed: this.#running.size, finishing: this.#gate.load };
  }

  close(): void {
    for (const armed of this.#running.values()) armed.end();
  }

  async ready(leg?: Leg): Promise<{ ready: true } | { ready: false; code: string }> {
    if (leg !== undefined && !this.#clear(leg)) return { ready: false, code: 'no-recording-key' };
    await this.#judgedLately();
    if (this.#vaultVerdict !== null) return { ready: false, code: this.#vaultVerdict };
    // Of a call: it would be one more whose recording is not made in time.
    if (leg !== undefined && this.#gate.behindMs > this.#limits.behindMs) {
      return { ready: false, code: 'recordings-behind' };
    }
    const verdicts = [...this.#verdicts.values()];
    if (verdicts.includes(null)) return { ready: true };
    return { ready: false, code: verdicts[0] ?? 'no-spool' };
  }

  async judged(): Promise<{ vault: string | null; spools: ReadonlyMap<string, string | null> }> {
    await this.#judgedLately();
    return { vault: this.#vaultVerdict, spools: this.#verdicts };
  }

  #judgedLately(): Promise<void> {
    const now = this.#clock.mono();
    if (this.#judged === null || now - this.#judged.at > this.#limits.spoolMs) {
      this.#judged = { at: now, done: this.#judgeAll() };
    }
    return this.#judged.done;
  }

  /** Before anybody is dialled: what could not be encrypted is not recorded, and never in plain. */
  #clear({ callId, origin }: Leg): boolean {
    this.#cleared.delete(callId);
    if (this.#options.vault.keysOf(origin.facility) === null) return false;
    this.#cleared.set(callId, origin.facility);
    keepNewest(this.#cleared, this.#limits.maxArmed);
    return true;
  }

  async arm(decision: Monitored, anchor: SpokenRecordedAnchor, answer: Sdp): Promise<SpokenArmed> {
    const begin = (): Promise<RecordingClaim> => anchor.answerAndRecord(decision, answer);
    return this.#arm(decision, anchor, async () => ({ claim: await begin(), countedBefore: 0 }));
  }

  async armAnswered(decision: Monitored, anchor: SpokenRecordedAnchor): Promise<SpokenArmed> {
    return this.#arm(decision, anchor, async ({ dir }) => {
      const there = await pcapsOf(dir, anchor.callId).catch(() => {
        throw new RecordingError('spool-unreadable', 'the spool cannot be looked at');
      });
      // Asked before, so that no packet of the recording is taken for one that came before it.
      const countedBefore = await anchor.packets();
      const claim = await anchor.record(decision);
      if (claim.path !== null) return { claim, countedBefore };
      const path = await freshPcapOf(dir, anchor.callId, there, this.#limits.proveMs);
      return { claim: { ...claim, path }, countedBefore };
    });
  }

  async #arm(
    decision: Monitored,
    anchor: SpokenRecordedAnchor,
    begin: (spool: SpoolOptions) => Promise<Pick<Begun, 'claim' | 'countedBefore'>>,
  ): Promise<ArmedCall> {
    const started = this.#clock.mono();
    const { callId } = anchor;
    if (decision.verdict !== 'monitored' || anchor.pool !== 'recorded') {
      throw new RecordingError('not-monitored', 'only a monitored call on a recorded node is recorded');
    }
    const spool = this.#options.spools.find(({ node }) => node === anchor.node);
    if (spool === undefined) throw new RecordingError('spool-unknown', 'no spool is known for this node');
    if (this.#running.has(callId)) throw new RecordingError('armed-already', 'this call is recorded already');
    const facility = this.#cleared.get(callId);
    if (facility === undefined) throw noKey();
    const keys = this.#options.vault.keysOf(facility);
    if (keys === null) throw noKey();
    if (this.#running.size >= this.#limits.maxArmed) {
      throw new RecordingError('too-many-recordings', 'the bound of recordings at a time is reached');
    }
    // Until it is proved, whatever the node begins is not a recording.
    this.#unproved.add(callId, spool);
    const { claim, countedBefore } = await begin(spool);
    const file = await proveRecording(
      claim.path,
      callId,
      spool.dir,
      claim.nodePid,
      this.#limits.proveMs,
      this.#spoolDisk,
    );
    this.#unproved.drop(callId);
    const ms = this.#clock.mono() - started;
    const { firstWatchMs, watchMs, stopMs, observeMs } = this.#limits;
    const armed = new ArmedCall({ claim, file, spool, facility, keys, countedBefore, ms }, anchor, {
      firstMs: firstWatchMs,
      everyMs: watchMs,
      stopMs,
      observeMs,
      spoolDisk: this.#spoolDisk,
    });
    this.#running.set(callId, armed);
    this.#cleared.delete(callId);
    return armed;
  }

  finish(
    leg: Leg,
    decision: Monitored,
    anchor: RecordedAnchor,
    totals: MediaTotals | null,
  ): Promise<SpoolFinding> {
    // What was recorded of a call that became private is never an ordinary recording, whoever asks.
    const sealed = this.#running.get(anchor.callId)?.stopped === true ? 'stopped' : null;
    return this.#end(leg, decision, anchor.callId, totals, sealed);
  }

  seal(leg: Leg, decision: Monitored, anchor: SpokenRecordedAnchor, why: string): Promise<SpoolFinding> {
    // The node goes on counting when it records no more: its counts say nothing about the recording.
    return this.#end(leg, decision, anchor.callId, null, why);
  }

  async #end(
    leg: Leg,
    decision: Monitored,
    callId: CallId,
    totals: MediaTotals | null,
    sealed: string | null,
  ): Promise<SpoolFinding> {
    this.#cleared.delete(callId);
    const armed = this.#running.get(callId);
    if (armed === undefined) return this.#neverRecorded(callId);
    armed.end();
    const { claim, file, spool, facility, countedBefore } = armed.begun;
    try {
      return await this.#finish({
        callId,
        node: spool.node,
        spool: spool.dir,
        nodePid: claim.nodePid,
        file,
        sides: armed.sides,
        facility,
        receivedAt: leg.receivedAt,
        decision: summaryOf(decision),
        totals: sealed === null ? totals : null,
        countedBefore,
        sealed,
        canary: this.#options.isCanary?.(leg) === true,
      });
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
    const ended = endedFrom(left, spool, await pidOf(spool));
    if (ended === null) return missing('proof-unusable', { node: left.node });
    return this.#finish(ended);
  }

  async abandon(callId: CallId): Promise<SpoolFinding> {
    for (const spool of this.#options.spools) {
      this.#unproved.add(callId, spool);
      await this.#unproved.remove(callId);
      this.#unproved.drop(callId);
    }
    return this.#absence(callId);
  }

  async #finish(ended: EndedRecording): Promise<SpoolFinding> {
    const { callId, node, file, nodePid, spool } = ended;
    const { settleMs, maxSeconds } = this.#limits;
    const since = this.#clock.mono();
    // Waited for here, not in a place of those that are being finished: a node that stands still has very many.
    const nodeDone = await nodeIsDone(stemOf(file.path), file.path, spool, nodePid, file.fd, settleMs);
    const bounds = { nodeDone, maxSeconds, now: () => this.#clock.wall() };
    try {
      const done = await this.#gate.run(() => this.#finisher.finish(ended, bounds), since);
      if (ended.sealed !== null) return this.#sealedAs(ended, ended.sealed, done);
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

  #sealedAs({ callId, spool }: EndedRecording, why: string, done: Finished): SpoolFinding {
    const evidence = done.state === 'missing' ? done.evidence : done.recording.evidence;
    // What is durable, or was never there, need not stay: the look at the call's end removes it.
    const spare = done.state === 'finished' || done.code === 'no-audio';
    for (const each of this.#options.spools) {
      if (spare && evidence.nodeDone !== true && each.dir === spool) this.#unproved.add(callId, each);
    }
    if (done.state === 'missing') {
      // A call that became private before anybody spoke: the absence is as it should be.
      return spare ? { state: 'nothing-found', evidence } : missing(done.code, evidence);
    }
    const { recording } = done;
    const stem = /\d{4}\/\d\d\/\d\d\/[^/]+(?=\.json$)/.exec(recording.manifest)?.[0] ?? '';
    this.#sealed.set(
      callId,
      ['.wav.age', '.txt.age', '.pcap.age', '.json'].map((ending) => stem + ending),
    );
    keepNewest(this.#sealed, this.#limits.maxSealed);
    return { state: 'recording-sealed', recording, why };
  }

  async discard(callId: CallId): Promise<SpoolFinding> {
    const armed = this.#running.get(callId);
    if (armed !== undefined) {
      armed.end();
      this.#running.delete(callId);
      this.#unproved.add(callId, armed.begun.spool);
    }
    return this.#absence(callId);
  }

  async tidy(callId: CallId): Promise<void> {
    await this.#unproved.remove(callId);
  }

  async verifyAbsence(callId: CallId): Promise<SpoolFinding> {
    // It is over. Who was busy, or rang in vain, was never armed.
    this.#cleared.delete(callId);
    return this.#absence(callId);
  }

  async #absence(callId: CallId): Promise<SpoolFinding> {
    await this.#unproved.remove(callId);
    const { spools } = this.#options;
    return this.#finisher.look(spools, callId, this.#clock.wall(), this.#sealed.get(callId) ?? []);
  }

  /** A monitored call that was never armed: nothing may lie around of it. */
  async #neverRecorded(callId: CallId): Promise<SpoolFinding> {
    const removed = await this.#unproved.remove(callId);
    return missing('never-armed', { removed });
  }

  async #judgeAll(): Promise<void> {
    const judged = this.#options.vault.judge().then((verdict) => {
      if (verdict !== null && verdict !== this.#vaultVerdict) {
        this.#options.emit({
          event: 'alarm',
          alarm: 'spool-unusable',
          callId: null,
          detail: `vault: ${verdict}`,
        });
      }
      this.#vaultVerdict = verdict;
    });
    await Promise.all([
      judged,
      ...this.#judges.map(async ([node, judge]) => {
        const verdict = await judge();
        const before = this.#verdicts.get(node);
        this.#verdicts.set(node, verdict);
        if (verdict !== null && verdict !== before) {
          const detail = `${node}: ${verdict}`;
          this.#options.emit({ event: 'alarm', alarm: 'spool-unusable', callId: null, detail });
        }
      }),
    ]);
  }
}

/** Records monitored calls into spools on this host, proves it, and makes encrypted WAVs of them. */
export const createRecorder = (options: RecorderOptions): SpoolRecorder => {
  const names = new Set(options.spools.map(({ node }) => node));
  if (names.size !== options.spools.length) throw new RangeError('two spools of one node');
  return new Recording(options);
};
