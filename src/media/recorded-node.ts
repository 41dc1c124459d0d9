import { MediaError, type Party } from '../call/ports.js';
import type { CallId } from '../core/leg.js';
import { isList } from './bencode.js';
import { assertRecorded, recordingAnswerCommand } from './commands.js';
import { MediaNode } from './node.js';
import type { MediaNodeOptions, NodeCircumstances } from './node-options.js';

/** A node of the recorded pool. */
export class RecordedNode extends MediaNode {
  readonly pool = 'recorded';

  constructor(options: MediaNodeOptions, circumstances: NodeCircumstances) {
    super(options, circumstances, assertRecorded);
  }

  /**
   * Answers and starts the recording in one command. The path is what the node says, null where it says none: with
   * `result: ok` alone, a node that cannot record looks the same as one that does (facts: rtpengine).
   */
  async answerAndRecord(
    callId: CallId,
    from: Party,
    sdp: string,
  ): Promise<{ readonly sdp: string; readonly path: string | null }> {
    const reply = await this.command(recordingAnswerCommand(callId, from, sdp, this.mediaAddress));
    const answer = reply.sdp;
    if (typeof answer !== 'string' || answer.length > 8_000) {
      throw new MediaError('node-error', 'reply-malformed');
    }
    const recordings = reply.recordings;
    const path = isList(recordings) && recordings.length === 1 ? recordings[0] : null;
    return { sdp: answer, path: typeof path === 'string' ? path : null };
  }

  /** Calls in progress go on: whether they are recorded is watched at each one's own file. */
  protected override attestationLost(): void {}
}
