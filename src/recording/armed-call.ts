import type { JsonObject, RecordingClaim, Sdp } from '../call/ports.js';
import type { SpokenArmed, SpokenRecordedAnchor, ThreeWayEvidence } from '../call/talk.js';
import type { CallId, FacilityId } from '../core/leg.js';
import { GrowthWatch, type WatchTiming } from './growth-watch.js';
import type { ProvedFile } from './proof.js';
import { sidesIn } from './recover.js';
import type { Sides } from './sorter.js';
import type { SpoolOptions } from './spool.js';
import { proveStopped } from './stopped.js';
import { Observation } from './three-way/observation.js';

/** What was begun and proved. */
export interface Begun {
  readonly claim: RecordingClaim;
  readonly file: ProvedFile;
  readonly spool: SpoolOptions;
  readonly facility: FacilityId;
  /** Ids of the keys it will be encrypted to. */
  readonly keys: readonly string[];
  /** RTP packets the node had counted before it recorded; null where it did not say. */
  readonly countedBefore: number | null;
  /** How long it took to begin and prove. */
  readonly ms: number;
}

export interface ArmedTiming extends WatchTiming {
  readonly stopMs: number;
  readonly observeMs: number;
}

/** A recording that runs: what watches it, listens to it and stops it. */
export class ArmedCall implements SpokenArmed {
  readonly begun: Begun;
  readonly answerForCaller: Sdp;
  readonly proof: JsonObject;
  readonly #callId: CallId;
  readonly #anchor: SpokenRecordedAnchor;
  readonly #timing: ArmedTiming;
  #watch: GrowthWatch | null = null;
  #observation: Observation | null = null;
  #stopping: Promise<void> | null = null;
  #stopped = false;
  #over = false;

  constructor(begun: Begun, anchor: SpokenRecordedAnchor, timing: ArmedTiming) {
    this.begun = begun;
    this.#callId = anchor.callId;
    this.#anchor = anchor;
    this.#timing = timing;
    this.answerForCaller = begun.claim.answerForCaller;
    this.proof = {
      node: anchor.node,
      facility: begun.facility,
      keys: begun.keys,
      nodePid: begun.claim.nodePid,
      ms: Math.round(begun.ms),
      ...sidesIn(this.sides),
      ...begun.file.evidence,
    };
  }

  /** Which packets are whose, by all the addresses the parties have named so far. */
  get sides(): Sides {
    const anchor = this.#anchor;
    return { ports: this.begun.claim.ports, sources: anchor.sources(), text: anchor.text?.() ?? null };
  }

  /** True from the moment the call was to be recorded no more. */
  get stopped(): boolean {
    return this.#stopped;
  }

  watch(lost: (code: string) => void): void {
    if (this.#over || this.#watch !== null) return;
    this.#watch = new GrowthWatch(this.begun.file, () => this.#anchor.packets(), this.#timing, lost);
  }

  observe(listener: (evidence: ThreeWayEvidence) => void): void {
    if (this.#over || this.#observation !== null) return;
    const { observeMs, spoolDisk } = this.#timing;
    this.#observation = new Observation(this.begun.file, spoolDisk, () => this.sides, observeMs, listener);
  }

  stop(): Promise<void> {
    this.#stopped = true;
    // What did not work may be tried again.
    this.#stopping ??= this.#stop().catch((error: unknown) => {
      this.#stopping = null;
      throw error;
    });
    return this.#stopping;
  }

  /** Nobody watches or listens any more. Idempotent. */
  end(): void {
    this.#over = true;
    this.#watch?.stop();
    this.#observation?.stop();
  }

  async #stop(): Promise<void> {
    this.end();
    // Whatever the node says to it, the file tells what it does.
    await this.#anchor.stopRecording().catch(() => undefined);
    const { file, spool, claim } = this.begun;
    await proveStopped(file, this.#callId, spool.dir, claim.nodePid, this.#timing.stopMs);
  }
}
