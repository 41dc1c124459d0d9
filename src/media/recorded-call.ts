import { MediaError, type RecordingClaim, type Sdp } from '../call/ports.js';
import type { Ear, SpokenRecordedAnchor } from '../call/talk.js';
import type { Monitored } from '../core/decision.js';
import { AnchoredCall } from './anchored-call.js';
import { type EarTag, earTags, otherParty } from './commands.js';
import type { RecordedNode } from './recorded-node.js';
import { openTap, type Tap } from './tap.js';

const mustBeMonitored = (decision: Monitored): void => {
  if (decision.verdict !== 'monitored') throw new MediaError('node-error', 'wrong-decision');
};

/** A call on a node that records. */
export class RecordedCall extends AnchoredCall<RecordedNode> implements SpokenRecordedAnchor {
  readonly pool = 'recorded';
  #answerForCaller: Sdp = '';
  /** Never leaves 'stopped': a call that is to be recorded no more stays so. */
  #recording: 'off' | 'begun' | 'stopped' = 'off';
  #stopped: Promise<void> | null = null;
  readonly #taps = new Map<EarTag, Tap>();
  /** Tags the node knows: it keeps one until the call's end. */
  readonly #usedTags = new Set<EarTag>();

  async answerAndRecord(decision: Monitored, answer: Sdp): Promise<RecordingClaim> {
    mustBeMonitored(decision);
    let path: string | null = null;
    const text = await this.firstAnswer(answer, async (sdp) => {
      this.#beginRecording();
      const reply = await this.home.answerAndRecord(this.callId, 'called', sdp, this.between);
      path = reply.path;
      return reply.sdp;
    });
    this.#answerForCaller = text;
    return this.#claim(path);
  }

  async answer(decision: Monitored, answer: Sdp): Promise<Sdp> {
    mustBeMonitored(decision);
    const send = (sdp: Sdp): Promise<string> => this.home.answer(this.callId, 'called', sdp, this.between);
    this.#answerForCaller = await this.firstAnswer(answer, send);
    return this.#answerForCaller;
  }

  /**
   * Sends the last answer once more, with the recording: the node keeps ports and media as they are, and names the
   * file. `start recording` would name none (measured).
   */
  async record(decision: Monitored): Promise<RecordingClaim> {
    mustBeMonitored(decision);
    return this.together(async () => {
      const { offerer, answer } = this.exchange.agreed();
      if (this.exchange.reoffered) throw new MediaError('node-error', 'offer-pending');
      this.#beginRecording();
      const answerer = otherParty(offerer);
      const reply = await this.home.answerAndRecord(this.callId, answerer, answer, this.between);
      const { sdp, path } = reply;
      this.exchange.checkPort(offerer, sdp);
      return this.#claim(path);
    });
  }

  async stopRecording(): Promise<void> {
    this.#recording = 'stopped';
    // Who may not be recorded may not be listened to either.
    for (const tap of this.#taps.values()) void tap.end();
    this.#stopped ??= this.inTurn(() => this.home.stopRecording(this.callId), true);
    try {
      await this.#stopped;
    } catch (error) {
      this.#stopped = null;
      throw error;
    }
  }

  async listen(decision: Monitored): Promise<Ear> {
    mustBeMonitored(decision);
    return this.inTurn(async () => {
      this.exchange.agreed();
      if (this.#recording === 'stopped') throw new MediaError('node-error', 'recording-stopped');
      const tag = earTags.find((each) => !this.#taps.has(each));
      if (tag === undefined) throw new MediaError('node-error', 'too-many-ears');
      const tap = await openTap(this.parts.earAddress ?? this.home.mediaAddress, this.parts.rules);
      try {
        this.#usedTags.add(tag);
        const streams = await this.home.subscribe(this.callId, tag);
        await this.home.subscribeAnswer(this.callId, tag, tap.answerTo(streams, this.home.mediaAddress));
      } catch (error) {
        tap.close();
        await this.home.unsubscribe(this.callId, tag).catch(() => undefined);
        throw error;
      }
      tap.onEnd(() => this.#deafen(tag));
      this.#taps.set(tag, tap);
      return tap;
    });
  }

  protected override ears(): { known: readonly string[]; listening: readonly string[] } {
    return { known: [...this.#usedTags], listening: [...this.#taps.keys()] };
  }

  protected override async closing(): Promise<void> {
    for (const tap of this.#taps.values()) tap.close();
  }

  async #deafen(tag: EarTag): Promise<void> {
    try {
      await this.inTurn(() => this.home.unsubscribe(this.callId, tag), true);
    } finally {
      this.#taps.delete(tag);
    }
  }

  #beginRecording(): void {
    if (this.#recording === 'stopped') throw new MediaError('node-error', 'recording-stopped');
    if (this.#recording === 'begun') throw new MediaError('node-error', 'recording-already');
    this.#recording = 'begun';
  }

  #claim(path: string | null): RecordingClaim {
    const { ports } = this.exchange;
    return { answerForCaller: this.#answerForCaller, path, nodePid: this.home.pid, ports };
  }
}
