import type { Between, Party } from '../call/ports.js';
import type { CallId } from '../core/leg.js';
import { isList } from './bencode.js';
import { assertRecorded } from './closed-commands.js';
import {
  type EarTag,
  otherParty,
  recordingAnswerCommand,
  stopRecordingCommand,
  subscribeAnswerCommand,
  subscribeCommand,
  unsubscribeCommand,
} from './commands.js';
import { MediaNode } from './node.js';
import type { MediaNodeOptions, NodeCircumstances } from './node-options.js';

/** A node of the recorded pool. */
export class RecordedNode extends MediaNode {
  readonly pool = 'recorded';

  constructor(options: MediaNodeOptions, circumstances: NodeCircumstances) {
    super(options, circumstances, (message) => assertRecorded(message, options.promptsRoot));
  }

  /**
   * Answers and starts the recording in one command. The path is what the node says, null where it says none: with
   * `result: ok` alone, a node that cannot record looks the same as one that does (facts: rtpengine).
   */
  async answerAndRecord(
    callId: CallId,
    from: Party,
    sdp: string,
    between: Between,
  ): Promise<{ readonly sdp: string; readonly path: string | null }> {
    const to = between[otherParty(from)];
    const reply = await this.command(recordingAnswerCommand(callId, from, sdp, this.mediaAddress, to));
    const answer = this.sdpOf(reply);
    const recordings = reply.recordings;
    const path = isList(recordings) && recordings.length === 1 ? recordings[0] : null;
    return { sdp: answer, path: typeof path === 'string' ? path : null };
  }

  /** Nothing is written from here on, and the file is finished (measured). */
  async stopRecording(callId: CallId): Promise<void> {
    await this.command(stopRecordingCommand(callId));
  }

  /** Forks both parties' sound; the node's offer of two streams, in an order that nobody should rely on. */
  async subscribe(callId: CallId, ear: EarTag): Promise<string> {
    return this.sdpOf(await this.command(subscribeCommand(callId, ear, this.mediaAddress)));
  }

  async subscribeAnswer(callId: CallId, ear: EarTag, sdp: string): Promise<void> {
    await this.command(subscribeAnswerCommand(callId, ear, sdp));
  }

  async unsubscribe(callId: CallId, ear: EarTag): Promise<void> {
    await this.command(unsubscribeCommand(callId, ear));
  }

  /** Calls in progress go on: whether they are recorded is watched at each one's own file. */
  protected override attestationLost(): void {}
}
