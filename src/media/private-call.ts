import { MediaError, type Sdp } from '../call/ports.js';
import type { SpokenPrivateAnchor } from '../call/talk.js';
import type { Private } from '../core/decision.js';
import { AnchoredCall } from './anchored-call.js';
import type { PrivateNode } from './private-node.js';

/** A call on a node that cannot record. */
export class PrivateCall extends AnchoredCall<PrivateNode> implements SpokenPrivateAnchor {
  readonly pool = 'private';

  async answer(decision: Private, answer: Sdp): Promise<Sdp> {
    if (decision.verdict !== 'private') throw new MediaError('node-error', 'wrong-decision');
    return this.firstAnswer(answer, (sdp) => this.home.answer(this.callId, 'called', sdp, this.between));
  }
}
