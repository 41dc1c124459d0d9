import {
  MediaError,
  type MediaTotals,
  type Party,
  type PrivateAnchor,
  type RecordedAnchor,
  type RecordingClaim,
  type Sdp,
} from '../call/ports.js';
import type { Monitored, Private } from '../core/decision.js';
import type { CallId } from '../core/leg.js';
import { otherParty } from './commands.js';
import type { CallFacts, MediaNode } from './node.js';
import type { PrivateNode } from './private-node.js';
import type { RecordedNode } from './recorded-node.js';
import { checkSdp, type PeerRules, type PeerSource, type SdpUse } from './sdp-in.js';
import { type OutgoingSdp, PartyDescriptions } from './sdp-out.js';

/** Commands of one call that may wait for each other. */
const MAX_WAITING = 8;

/** Addresses a party may have had in one call. */
const MAX_SOURCES = 64;

/** The last exchange both parties agreed to: what a refused re-offer is undone with. */
interface Agreed {
  readonly offerer: Party;
  readonly offer: Sdp;
  readonly answer: Sdp;
}

/**
 * One call on one node. Everything about a call happens one after another, so that a deletion cannot overtake an
 * offer that is still on its way, which would make the call anew.
 */
abstract class AnchoredCall<Node extends MediaNode> {
  readonly callId: CallId;
  protected readonly home: Node;
  readonly #rules: PeerRules;
  readonly #descriptions: Readonly<Record<Party, PartyDescriptions>>;
  /** The node's port each party sends to, once known. */
  readonly #ports: { caller: number | null; called: number | null } = { caller: null, called: null };
  readonly #sources: Readonly<Record<Party, Set<PeerSource>>> = { caller: new Set(), called: new Set() };
  readonly #firstOffer: Sdp;
  #offerForCalled: Sdp = '';
  #agreed: Agreed | null = null;
  #pending: { readonly from: Party; readonly offer: Sdp } | null = null;
  #line: Promise<unknown> = Promise.resolve();
  #waiting = 0;
  #released: Promise<MediaTotals | null> | null = null;
  #lostWhy: string | null = null;
  #onLost: ((why: string) => void) | null = null;

  constructor(home: Node, callId: CallId, offer: Sdp, rules: PeerRules) {
    this.home = home;
    this.callId = callId;
    this.#firstOffer = offer;
    this.#rules = rules;
    this.check('caller', offer, 'offer');
    this.#descriptions = {
      caller: new PartyDescriptions(home.mediaAddress),
      called: new PartyDescriptions(home.mediaAddress),
    };
  }

  get node(): string {
    return this.home.name;
  }

  get offerForCalled(): Sdp {
    return this.#offerForCalled;
  }

  /** Offers the caller's media to the node and blocks the call: nothing passes until `open`. */
  async begin(): Promise<void> {
    this.home.enter(this.callId, { lost: (why) => this.#lost(why) });
    try {
      await this.#inTurn(async () => {
        const sdp = await this.home.offer(this.callId, 'caller', false, this.#firstOffer);
        // Blocked before anything else is looked at, so that no way out of here leaves an open call.
        await this.home.block(this.callId);
        this.#offerForCalled = this.#describe('called', sdp).text;
      });
    } catch (error) {
      // Not waited for: after a timeout the next node is to be tried now.
      void this.release();
      throw error;
    }
  }

  async open(): Promise<void> {
    await this.#inTurn(async () => {
      if (this.#agreed === null) throw new MediaError('node-error', 'not-answered');
      await this.#refuseForeignTags();
      await this.home.unblock(this.callId);
    });
  }

  async reoffer(from: Party, offer: Sdp): Promise<Sdp> {
    this.check(from, offer, 'reoffer');
    return this.#inTurn(async () => {
      if (this.#agreed === null) throw new MediaError('node-error', 'not-answered');
      if (this.#pending !== null && this.#pending.from !== from) {
        throw new MediaError('offer-unusable', 'offer-pending');
      }
      // An offer of the same party that was never answered: the new one starts from what was agreed.
      await this.#restore();
      this.#pending = { from, offer };
      try {
        const sdp = await this.home.offer(this.callId, from, true, offer);
        return this.#describe(otherParty(from), sdp).text;
      } catch (error) {
        await this.#restore().catch(() => undefined);
        throw error;
      }
    });
  }

  async reanswer(from: Party, answer: Sdp): Promise<Sdp> {
    try {
      this.check(from, answer, 'reanswer');
    } catch (error) {
      await this.restore().catch(() => undefined);
      throw error;
    }
    return this.#inTurn(async () => {
      const pending = this.#pending;
      if (pending === null || pending.from === from) throw new MediaError('answer-unusable', 'offer-pending');
      try {
        const sdp = await this.home.answer(this.callId, from, answer);
        const description = this.#describe(pending.from, sdp);
        this.#pending = null;
        this.#agreed = { offerer: pending.from, offer: pending.offer, answer };
        return description.text;
      } catch (error) {
        await this.#restore().catch(() => undefined);
        throw error;
      }
    });
  }

  async restore(): Promise<void> {
    await this.#inTurn(() => this.#restore());
  }

  async packets(): Promise<number | null> {
    if (this.#released !== null || this.#lostWhy !== null) return null;
    try {
      return (await this.home.query(this.callId)).packets;
    } catch (error) {
      this.#noteUnknown(error);
      return null;
    }
  }

  release(): Promise<MediaTotals | null> {
    this.#released ??= this.#release();
    return this.#released;
  }

  onLost(lost: (why: string) => void): void {
    if (this.#lostWhy !== null) {
      const why = this.#lostWhy;
      queueMicrotask(() => lost(why));
    } else if (this.#released === null) {
      this.#onLost = lost;
    }
  }

  sources(): { caller: readonly PeerSource[]; called: readonly PeerSource[] } {
    return { caller: [...this.#sources.caller], called: [...this.#sources.called] };
  }

  protected check(party: Party, sdp: Sdp, use: SdpUse): void {
    const source = checkSdp(sdp, use, this.#rules);
    const known = this.#sources[party];
    if (!known.has(source) && known.size >= MAX_SOURCES) {
      throw new MediaError('node-error', 'too-many-addresses');
    }
    known.add(source);
  }

  /** The called party's first answer, sent to the node by `send`. */
  protected async firstAnswer(
    answer: Sdp,
    send: () => Promise<string>,
  ): Promise<{ text: Sdp; ports: { caller: number; called: number } }> {
    this.check('called', answer, 'answer');
    return this.#inTurn(async () => {
      if (this.#agreed !== null) throw new MediaError('node-error', 'answered-already');
      const description = this.#describe('caller', await send());
      this.#agreed = { offerer: 'caller', offer: this.#firstOffer, answer };
      return { text: description.text, ports: { caller: description.port, called: this.#ports.called ?? 0 } };
    });
  }

  #describe(to: Party, nodeSdp: string): OutgoingSdp {
    const description = this.#descriptions[to].next(nodeSdp);
    const known = this.#ports[to];
    // The recording tells its channels apart by these ports: they may not move.
    if (known !== null && known !== description.port) throw new MediaError('node-error', 'port-changed');
    this.#ports[to] = description.port;
    return description;
  }

  /** Sends what was agreed once more: the node keeps ports and recording, and the refused offer is forgotten. */
  async #restore(): Promise<void> {
    const agreed = this.#agreed;
    if (this.#pending === null || agreed === null) return;
    await this.home.offer(this.callId, agreed.offerer, true, agreed.offer);
    await this.home.answer(this.callId, otherParty(agreed.offerer), agreed.answer);
    this.#pending = null;
  }

  /** A tag that is not ours is somebody who listens or plays into the call. */
  async #refuseForeignTags(): Promise<void> {
    const { tags } = await this.home.query(this.callId);
    if (tags.length !== 2 || !tags.includes('caller') || !tags.includes('called')) {
      throw new MediaError('unexpected-recording', 'foreign-tag');
    }
  }

  async #release(): Promise<MediaTotals | null> {
    this.#onLost = null;
    await this.#line.catch(() => undefined);
    let facts: CallFacts | null = null;
    try {
      facts = await this.home.remove(this.callId);
    } catch {
      // The node deletes it when it answers again, or its own timeout does.
    } finally {
      this.home.leave(this.callId);
    }
    return facts === null ? null : facts.totals;
  }

  #lost(why: string): void {
    if (this.#lostWhy !== null || this.#released !== null) return;
    this.#lostWhy = why;
    this.#onLost?.(why);
    this.#onLost = null;
  }

  /** The node answers but does not know the call: it is another process than before. */
  #noteUnknown(error: unknown): void {
    if (error instanceof MediaError && error.detail === 'call-unknown') this.#lost('call-unknown-to-node');
  }

  #inTurn<Value>(work: () => Promise<Value>): Promise<Value> {
    if (this.#released !== null) return Promise.reject(new MediaError('node-error', 'released'));
    if (this.#lostWhy !== null) return Promise.reject(new MediaError('node-error', 'node-lost'));
    if (this.#waiting >= MAX_WAITING) return Promise.reject(new MediaError('node-error', 'call-queue-full'));
    this.#waiting++;
    const run = this.#line
      .catch(() => undefined)
      .then(() => {
        // Released while it waited: nothing may reach the node after the deletion.
        if (this.#released !== null) throw new MediaError('node-error', 'released');
        return work();
      })
      .finally(() => {
        this.#waiting--;
      });
    this.#line = run;
    run.catch((error) => this.#noteUnknown(error));
    return run;
  }
}

/** A call on a node that cannot record. */
export class PrivateCall extends AnchoredCall<PrivateNode> implements PrivateAnchor {
  readonly pool = 'private';

  async answer(decision: Private, answer: Sdp): Promise<Sdp> {
    if (decision.verdict !== 'private') throw new MediaError('node-error', 'wrong-decision');
    const { text } = await this.firstAnswer(answer, () => this.home.answer(this.callId, 'called', answer));
    return text;
  }
}

export class RecordedCall extends AnchoredCall<RecordedNode> implements RecordedAnchor {
  readonly pool = 'recorded';

  async answerAndRecord(decision: Monitored, answer: Sdp): Promise<RecordingClaim> {
    if (decision.verdict !== 'monitored') throw new MediaError('node-error', 'wrong-decision');
    let path: string | null = null;
    const { text, ports } = await this.firstAnswer(answer, async () => {
      const reply = await this.home.answerAndRecord(this.callId, 'called', answer);
      path = reply.path;
      return reply.sdp;
    });
    return { answerForCaller: text, path, nodePid: this.home.pid, ports };
  }
}
