import {
  type JsonObject,
  type RecordedAnchor,
  type RecordingClaim,
  RecordingError,
  type Sdp,
} from '../call/ports.js';
import type { SpokenArmed, ThreeWayEvidence } from '../call/talk.js';
import type { CallId } from '../core/leg.js';
import type { Sides } from './convert.js';
import { GrowthWatch, type WatchTiming } from './growth-watch.js';
import type { ProvedFile } from './proof.js';
import { sidesIn } from './recover.js';
import type { SpoolOptions } from './spool.js';
import { proveStopped } from './stopped.js';

/** What was begun and proved. */
export interface Begun {
  readonly claim: RecordingClaim;
  readonly file: ProvedFile;
  readonly spool: SpoolOptions;
  /** RTP packets the node had counted before it recorded; null where it did not say. */
  readonly countedBefore: number | null;
  /** How long it took to begin and prove. */
  readonly ms: number;
}

export interface ArmedTiming extends WatchTiming {
  readonly stopMs: number;
}

/** A recording that runs: what watches it, listens to it and stops it. */
export class ArmedCall implements SpokenArmed {
  readonly begun: Begun;
  readonly answerForCaller: Sdp;
  readonly proof: JsonObject;
  readonly #callId: CallId;
  readonly #anchor: RecordedAnchor;
  readonly #stopRecording: (() => Promise<void>) | null;
  readonly #timing: ArmedTiming;
  #watch: GrowthWatch | null = null;
  #stopping: Promise<void> | null = null;
  #over = false;

  constructor(
    begun: Begun,
    anchor: RecordedAnchor,
    stopRecording: (() => Promise<void>) | null,
    timing: ArmedTiming,
  ) {
    this.begun = begun;
    this.#callId = anchor.callId;
    this.#anchor = anchor;
    this.#stopRecording = stopRecording;
    this.#timing = timing;
    this.answerForCaller = begun.claim.answerForCaller;
    this.proof = {
      node: anchor.node,
      nodePid: begun.claim.nodePid,
      ms: Math.round(begun.ms),
      ...sidesIn(this.sides),
      ...begun.file.evidence,
    };
  }

  /** Which packets are whose, by all the addresses the parties have named so far. */
  get sides(): Sides {
    return { ports: this.begun.claim.ports, sources: this.#anchor.sources() };
  }

  /** True from the moment the call was to be recorded no more. */
  get stopped(): boolean {
    return this.#stopping !== null;
  }

  watch(lost: (code: string) => void): void {
    if (this.#over || this.#watch !== null) return;
    this.#watch = new GrowthWatch(this.begun.file, () => this.#anchor.packets(), this.#timing, lost);
  }

  observe(_listener: (evidence: ThreeWayEvidence) => void): void {}

  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  /** Nobody watches or listens any more. Idempotent. */
  end(): void {
    this.#over = true;
    this.#watch?.stop();
  }

  async #stop(): Promise<void> {
    this.end();
    if (this.#stopRecording === null) throw new RecordingError('recording-goes-on', 'it cannot be stopped');
    // Whatever the node says to it, the file tells what it does.
    await this.#stopRecording().catch(() => undefined);
    const { file, spool, claim } = this.begun;
    await proveStopped(file, this.#callId, spool.dir, claim.nodePid, this.#timing.stopMs);
  }
}
