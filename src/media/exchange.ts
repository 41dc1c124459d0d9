import { type Between, MediaError, type Party, type Sdp, type TextStreams } from '../call/ports.js';
import type { CallId } from '../core/leg.js';
import { otherParty } from './commands.js';
import type { MediaNode } from './node.js';
import { type PeerStreams, placeholderFor, speaks, withoutAddresses } from './sdp-in.js';
import { type OutgoingSdp, PartyDescriptions } from './sdp-out.js';
import { answerTo, completed, textSection, withoutText, withTextOf } from './sdp-text.js';
import { CallText } from './text-streams.js';

/** The last exchange both parties agreed to: what a refused re-offer is undone with. Text of one alone is refused. */
export interface Agreed {
  readonly offerer: Party;
  readonly offer: Sdp;
  readonly answer: Sdp;
}

const agreedOn = (offerer: Party, offer: Sdp, answer: Sdp): Agreed =>
  textSection(offer) !== null && textSection(answer) !== null
    ? { offerer, offer, answer }
    : { offerer, offer: withoutText(offer), answer: withoutText(answer) };

/** What the caller was told by `receive`: the node's words of it, and ours. */
interface Received {
  readonly node: Sdp;
  readonly text: Sdp;
}

/** A re-offer under way: as it was said, and as the node got it. */
interface Pending {
  readonly from: Party;
  readonly said: Sdp;
  readonly offer: Sdp;
}

type Text = PeerStreams['text'];

/**
 * Offers and answers of one call (RFC 3264): what each party said, what the node made of it, and what both agreed to. It
 * sends commands to the node and takes no turns: its methods are called one after the other, each when the one before it
 * is settled, with descriptions that were checked.
 */
export class Exchange {
  readonly #home: MediaNode;
  readonly #callId: CallId;
  readonly #between: Between;
  readonly #descriptions: Readonly<Record<Party, PartyDescriptions>>;
  /** The node's port each party sends to, once known. */
  readonly #ports: { caller: number | null; called: number | null } = { caller: null, called: null };
  /** The node's keys each party was told last. */
  readonly #keys: { caller: string | null; called: string | null } = { caller: null, called: null };
  readonly #text = new CallText();
  #firstOffer: Sdp;
  /** The node's own words of the offer for the called party. */
  #nodeOffer: Sdp = '';
  #offerForCalled: Sdp = '';
  #received: Received | null = null;
  #correction: Sdp | null = null;
  #agreed: Agreed | null = null;
  #bothSpeak = false;
  #pending: Pending | null = null;

  constructor(home: MediaNode, callId: CallId, between: Between, offer: Sdp, text: Text) {
    this.#home = home;
    this.#callId = callId;
    this.#between = between;
    this.#firstOffer = offer;
    this.#text.take('caller', text);
    this.#descriptions = {
      caller: new PartyDescriptions(home.mediaAddress, between.caller),
      called: new PartyDescriptions(home.mediaAddress, between.called),
    };
  }

  get offerForCalled(): Sdp {
    return this.#offerForCalled;
  }

  /** See `Anchored`. */
  get correction(): Sdp | null {
    return this.#correction;
  }

  /** What both agreed to last holds text. */
  get carriesText(): boolean {
    return this.#agreed !== null && textSection(this.#agreed.offer) !== null;
  }

  /** The call's real-time text, once both parties were told of it. */
  get text(): TextStreams | null {
    return this.#text.streams;
  }

  /** Both have agreed to speak, and no offer is under way that may change it. */
  get bothSpeak(): boolean {
    return this.#bothSpeak && this.#pending === null;
  }

  get reoffered(): boolean {
    return this.#pending !== null;
  }

  /** The node's port each party sends its RTP to. 0 is never one. */
  get ports(): { caller: number; called: number } {
    return { caller: this.#ports.caller ?? 0, called: this.#ports.called ?? 0 };
  }

  /** The exchange both parties agreed to. Throws where there is none yet. */
  agreed(): Agreed {
    if (this.#agreed === null) throw new MediaError('node-error', 'not-answered');
    return this.#agreed;
  }

  /** A party's own description as the node has it; null before the called party's answer. */
  saidBy(party: Party): Sdp | null {
    const agreed = this.#agreed;
    if (agreed === null) return party === 'caller' ? this.#firstOffer : null;
    return agreed.offerer === party ? agreed.offer : agreed.answer;
  }

  /**
   * The caller's first offer, to the node. `block` comes before anything is made of what the node says.
   *
   * The node passes on what anybody sends to a port of an offer that nobody has answered (measured: 10 of 10 packets), and
   * the port may have been another call's a moment ago, whose party still sends. Only a call that it knows can be blocked,
   * so it is told of one whose caller is nowhere first, and where the caller is once that is blocked. Its ports stay.
   */
  async begin(block: () => Promise<void>): Promise<void> {
    const nowhere = withoutAddresses(this.#firstOffer);
    await this.#home.offer(this.#callId, 'caller', false, nowhere, this.#between);
    await block();
    const sdp = await this.#home.offer(this.#callId, 'caller', false, this.#firstOffer, this.#between);
    this.#nodeOffer = sdp;
    this.#offerForCalled = this.#describe('called', sdp).text;
  }

  /** The caller's answer before there is a called party, with one that stands in for it. */
  async receive(): Promise<Sdp> {
    if (this.#received !== null) return this.#received.text;
    if (this.#agreed !== null) throw new MediaError('node-error', 'answered-already');
    const placeholder = placeholderFor(this.#firstOffer, this.#home.mediaAddress);
    const node = await this.#home.answer(this.#callId, 'called', placeholder, this.#between);
    const { text } = this.#describe('caller', node, this.#firstOffer);
    this.#received = { node, text };
    return text;
  }

  /** The called party's first answer, sent to the node by `send`: the description for the caller. */
  async firstAnswer(said: Sdp, streams: Text, send: (answer: Sdp) => Promise<string>): Promise<Sdp> {
    if (this.#agreed !== null) throw new MediaError('node-error', 'answered-already');
    const offer = this.#firstOffer;
    const answer = this.#answerTo(offer, 'called', said, streams);
    const sdp = await send(answer);
    const text = this.#received === null ? this.#describe('caller', sdp, offer).text : this.#received.text;
    if (this.#received !== null) this.#compare(this.#received, sdp, offer);
    this.#agree(agreedOn('caller', offer, answer));
    return text;
  }

  /** One party answered a re-INVITE of ours with another description than the one it had. */
  async readdress(party: Party, said: Sdp, text: Text): Promise<void> {
    if (this.#pending !== null) throw new MediaError('answer-unusable', 'offer-pending');
    if (this.#agreed !== null) await this.#readdressOne(this.#agreed, party, said, text);
    else if (this.#received !== null && party === 'caller') await this.#readdressFirst(said, text);
    else throw new MediaError('node-error', 'not-answered');
  }

  async withdrawText(): Promise<void> {
    const { offerer, offer, answer } = this.agreed();
    if (!this.carriesText) return;
    if (this.#pending !== null) throw new MediaError('node-error', 'offer-pending');
    const other = otherParty(offerer);
    const [left, right] = [withoutText(offer), withoutText(answer)];
    this.checkPort(other, await this.#home.offer(this.#callId, offerer, true, left, this.#between));
    this.checkPort(offerer, await this.#home.answer(this.#callId, other, right, this.#between));
    this.#agree({ offerer, offer: left, answer: right });
  }

  /**
   * Text may stay or go; where there is none, it is refused. Until its answer comes, the node would pass on what
   * anybody sends to the new port (measured), in a call that is open.
   */
  async reoffer(from: Party, said: Sdp, text: Text): Promise<Sdp> {
    const agreed = this.agreed();
    if (this.#pending !== null && this.#pending.from !== from) {
      throw new MediaError('offer-unusable', 'offer-pending');
    }
    const kept = this.carriesText ? said : withoutText(said);
    if (kept === said) this.#text.take(from, text);
    // An offer of the same party that was never answered: the new one starts from what was agreed.
    await this.restore();
    const offer = completed(completed(kept, agreed.offer), agreed.answer);
    this.#pending = { from, said, offer };
    try {
      const sdp = await this.#home.offer(this.#callId, from, true, offer, this.#between);
      return this.#describe(otherParty(from), sdp).text;
    } catch (error) {
      await this.restore().catch(() => undefined);
      throw error;
    }
  }

  async reanswer(from: Party, said: Sdp, text: Text): Promise<Sdp> {
    const pending = this.#pending;
    if (pending === null || pending.from === from) throw new MediaError('answer-unusable', 'offer-pending');
    try {
      const answer = this.#answerTo(pending.offer, from, said, text);
      const sdp = await this.#home.answer(this.#callId, from, answer, this.#between);
      const description = this.#describe(pending.from, sdp, pending.said);
      this.#pending = null;
      this.#agree(agreedOn(pending.from, pending.offer, answer));
      return description.text;
    } catch (error) {
      await this.restore().catch(() => undefined);
      throw error;
    }
  }

  /** Sends what was agreed once more: the node keeps ports and recording, and the refused offer is forgotten. */
  async restore(): Promise<void> {
    const agreed = this.#agreed;
    if (this.#pending === null || agreed === null) return;
    await this.#home.offer(this.#callId, agreed.offerer, true, agreed.offer, this.#between);
    await this.#home.answer(this.#callId, otherParty(agreed.offerer), agreed.answer, this.#between);
    this.#pending = null;
  }

  /** After a party was joined with nobody: with the other one again, or with the one that stands in for it. */
  async rejoin(): Promise<void> {
    const offerer = this.#agreed?.offerer ?? 'caller';
    const answerer = otherParty(offerer);
    if (this.#agreed === null && this.#received === null) throw new MediaError('node-error', 'not-answered');
    const offer = this.#agreed?.offer ?? this.#firstOffer;
    const answer = this.#agreed?.answer ?? placeholderFor(offer, this.#home.mediaAddress);
    this.checkPort(answerer, await this.#home.offer(this.#callId, offerer, true, offer, this.#between));
    this.checkPort(offerer, await this.#home.answer(this.#callId, answerer, answer, this.#between));
  }

  /** What the node says to a party that is not told: its port and its keys must be those it was told before. */
  checkPort(of: Party, nodeSdp: string): void {
    const fresh = new PartyDescriptions(this.#home.mediaAddress, this.#between[of]);
    const { port, textPort, keys } = fresh.next(nodeSdp);
    if (this.#ports[of] !== port) throw new MediaError('node-error', 'port-changed');
    if (this.#keys[of] !== keys) throw new MediaError('node-error', 'keys-changed');
    this.#text.toldPort(of, textPort);
  }

  /** Of its sound, what the caller was told stays true; of its text, only where the called party takes the same. */
  #compare(received: Received, sdp: Sdp, offer: Sdp): void {
    this.checkPort('caller', sdp);
    const told = withTextOf(received.node, sdp);
    if (told === received.node) return;
    const { text } = this.#describe('caller', told, offer);
    this.#correction = text === received.text ? null : text;
  }

  #agree(agreed: Agreed): void {
    this.#agreed = agreed;
    this.#bothSpeak = speaks(agreed.offer) && speaks(agreed.answer);
    if (this.carriesText) this.#text.agreed();
  }

  /** What a party says to an offer, without text that was not offered to it. */
  #answerTo(offer: Sdp, from: Party, said: Sdp, text: Text): Sdp {
    const answer = answerTo(offer, said);
    if (textSection(answer) !== null) this.#text.take(from, text);
    return answer;
  }

  async #readdressOne(agreed: Agreed, party: Party, said: Sdp, text: Text): Promise<void> {
    const other = otherParty(party);
    const before = agreed.offerer === other ? agreed.offer : agreed.answer;
    // What was agreed to holds text of both or of none.
    const sdp = this.#answerTo(before, party, said, text);
    const answer = answerTo(sdp, before);
    this.#pending = { from: party, said, offer: sdp };
    try {
      this.checkPort(other, await this.#home.offer(this.#callId, party, true, sdp, this.#between));
      this.checkPort(party, await this.#home.answer(this.#callId, other, answer, this.#between));
    } catch (error) {
      await this.restore().catch(() => undefined);
      throw error;
    }
    this.#pending = null;
    this.#agree(agreedOn(party, sdp, answer));
  }

  /** The same before there is a called party. */
  async #readdressFirst(said: Sdp, text: Text): Promise<void> {
    const sdp = this.#answerTo(this.#firstOffer, 'caller', said, text);
    const placeholder = placeholderFor(sdp, this.#home.mediaAddress);
    await this.#home.offer(this.#callId, 'caller', true, sdp, this.#between);
    const node = await this.#home.answer(this.#callId, 'called', placeholder, this.#between);
    this.checkPort('caller', node);
    if (textSection(sdp) !== textSection(this.#firstOffer)) this.#offerNoText(node);
    this.#firstOffer = sdp;
  }

  /** The caller gave its text up before anybody was dialled: the called party must not be offered any. */
  #offerNoText(node: Sdp): void {
    this.#offerForCalled = this.#describe('called', withoutText(this.#nodeOffer)).text;
    if (this.#received !== null)
      this.#received = { ...this.#received, node: withTextOf(this.#received.node, node) };
  }

  /** `offer` is the party's own, where this is its answer. */
  #describe(to: Party, nodeSdp: string, offer: Sdp | null = null): OutgoingSdp {
    const description = this.#descriptions[to].next(nodeSdp, offer);
    this.#text.toldPort(to, description.textPort);
    const known = this.#ports[to];
    // The recording tells its channels apart by these ports: they may not move.
    if (known !== null && known !== description.port) throw new MediaError('node-error', 'port-changed');
    this.#ports[to] = description.port;
    this.#keys[to] = description.keys;
    return description;
  }
}
