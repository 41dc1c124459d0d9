import {
  type Emit,
  type JsonObject,
  MediaError,
  type MediaTotals,
  type Party,
  type Sdp,
  type TextStreams,
} from '../call/ports.js';
import type { Asked, Sound, Voice } from '../call/talk.js';
import type { Key } from '../core/key.js';
import type { CallId } from '../core/leg.js';
import type { CallReplies } from './call-replies.js';
import { nobody, otherParty } from './commands.js';
import type { Keypad } from './keypad.js';
import type { CallFacts, MediaNode } from './node.js';
import {
  checkStreams,
  holdsEvents,
  type PeerRules,
  type PeerSource,
  type PeerStreams,
  placeholderFor,
  type SdpUse,
} from './sdp-in.js';
import { type OutgoingSdp, PartyDescriptions } from './sdp-out.js';
import { answerTo, completed, textSection, withoutText, withTextOf } from './sdp-text.js';
import { Speech } from './speech.js';
import { CallText } from './text-streams.js';
import { ToneEar } from './tone-ear.js';
import { Turns } from './turns.js';

/** Addresses a party may have had in one call. */
const MAX_SOURCES = 64;

/** The last exchange both parties agreed to: what a refused re-offer is undone with. Text of one alone is refused. */
interface Agreed {
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

/** What all calls share. */
export interface CallParts {
  readonly rules: PeerRules;
  /** Null where no keypad is configured: then no key is ever reported. */
  readonly keypad: Keypad | null;
  /** Where a supervisor's sound is mixed; null where the node itself is on this host. */
  readonly earAddress: string | null;
  readonly emit: Emit;
}

/** One call on one node: what calls of both pools can do. */
export abstract class AnchoredCall<Node extends MediaNode> implements Omit<Voice, 'release'> {
  readonly callId: CallId;
  protected readonly home: Node;
  protected readonly turns = new Turns();
  protected readonly parts: CallParts;
  readonly #speech: Speech;
  readonly #descriptions: Readonly<Record<Party, PartyDescriptions>>;
  /** The node's port each party sends to, once known. */
  readonly #ports: { caller: number | null; called: number | null } = { caller: null, called: null };
  readonly #sources: Readonly<Record<Party, Set<PeerSource>>> = { caller: new Set(), called: new Set() };
  readonly #text = new CallText();
  readonly #tones: ToneEar;
  #firstOffer: Sdp;
  /** The node's own words of the offer for the called party. */
  #nodeOffer: Sdp = '';
  #offerForCalled: Sdp = '';
  #received: Received | null = null;
  #correction: Sdp | null = null;
  #agreed: Agreed | null = null;
  #pending: Pending | null = null;
  #stopListening: (() => void) | null = null;
  #released: Promise<MediaTotals | null> | null = null;
  #replies: CallReplies | null = null;
  #lostWhy: string | null = null;
  #onLost: ((why: string) => void) | null = null;

  constructor(home: Node, callId: CallId, offer: Sdp, parts: CallParts) {
    this.home = home;
    this.callId = callId;
    this.#firstOffer = offer;
    this.parts = parts;
    this.#text.take('caller', this.check('caller', offer, 'offer').text);
    this.#speech = new Speech({
      play: (to, file, times, wanted) =>
        this.inTurn(async () => (wanted() ? this.home.play(callId, to, file, times) : 'unwanted')),
      stop: (to) => this.inTurn(() => this.home.stopPlaying(callId, to), true),
    });
    this.#tones = new ToneEar(home, callId, {
      checkPort: (of, sdp) => this.checkPort(of, sdp),
      rejoin: () => this.#rejoin(),
    });
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

  /** See `Anchored`. */
  get correction(): Sdp | null {
    return this.#correction;
  }

  /** See `Anchored`. */
  replies(): JsonObject {
    return this.#replies?.json() ?? { node: this.node, pool: this.home.pool };
  }

  /** What both agreed to last holds text. */
  get carriesText(): boolean {
    return this.#agreed !== null && textSection(this.#agreed.offer) !== null;
  }

  /** The call's real-time text, once both parties were told of it. */
  text(): TextStreams | null {
    return this.#text.streams;
  }

  /** Offers the caller's media to the node and blocks the call: nothing passes until `open`. */
  async begin(): Promise<void> {
    this.#replies = this.home.enter(this.callId, { lost: (why) => this.#lost(why) });
    try {
      await this.inTurn(async () => {
        const sdp = await this.home.offer(this.callId, 'caller', false, this.#firstOffer);
        // Blocked before anything else is looked at, so that no way out of here leaves an open call.
        await this.home.block(this.callId);
        this.#nodeOffer = sdp;
        this.#offerForCalled = this.#describe('called', sdp).text;
      });
    } catch (error) {
      // Not waited for: after a timeout the next node is to be tried now.
      void this.release();
      throw error;
    }
  }

  async open(): Promise<void> {
    await this.together(async () => {
      this.agreed();
      await this.#refuseForeignTags();
      await this.home.unblock(this.callId);
    });
  }

  async shut(): Promise<void> {
    await this.inTurn(() => this.home.block(this.callId), true);
  }

  async receive(): Promise<Sdp> {
    return this.inTurn(async () => {
      if (this.#received !== null) return this.#received.text;
      if (this.#agreed !== null) throw new MediaError('node-error', 'answered-already');
      const placeholder = placeholderFor(this.#firstOffer, this.home.mediaAddress);
      const node = await this.home.answer(this.callId, 'called', placeholder);
      const { text } = this.#describe('caller', node, this.#firstOffer);
      this.#received = { node, text };
      return text;
    });
  }

  async readdress(party: Party, sdp: Sdp): Promise<void> {
    const { text } = this.check(party, sdp, 'reanswer');
    await this.together(async () => {
      if (this.#pending !== null) throw new MediaError('answer-unusable', 'offer-pending');
      if (this.#agreed !== null) await this.#readdressOne(this.#agreed, party, sdp, text);
      else if (this.#received !== null && party === 'caller') await this.#readdressFirst(sdp, text);
      else throw new MediaError('node-error', 'not-answered');
    });
  }

  async withdrawText(): Promise<void> {
    await this.together(async () => {
      const { offerer, offer, answer } = this.agreed();
      if (!this.carriesText) return;
      if (this.#pending !== null) throw new MediaError('node-error', 'offer-pending');
      const other = otherParty(offerer);
      const [left, right] = [withoutText(offer), withoutText(answer)];
      this.checkPort(other, await this.home.offer(this.callId, offerer, true, left));
      this.checkPort(offerer, await this.home.answer(this.callId, other, right));
      this.#agree({ offerer, offer: left, answer: right });
    });
  }

  say(to: Party, sounds: readonly Sound[], repeat = false): Promise<'said' | 'hushed'> {
    return this.#speech.say(to, sounds, repeat);
  }

  async hush(to: Party): Promise<void> {
    // Nothing plays on a node that is gone, or to a call that is.
    if (this.#released !== null || this.#lostWhy !== null) return;
    await this.#speech.hush(to);
  }

  onKey(listener: ((party: Party, key: Key) => void) | null): void {
    this.#stopListening?.();
    this.#stopListening = null;
    if (listener === null || this.#released !== null || this.#lostWhy !== null) return;
    this.#stopListening = this.parts.keypad?.listen(this.callId, listener) ?? null;
  }

  ask(asked: Asked | null): void {
    if (this.parts.keypad === null || this.#released !== null || this.#lostWhy !== null) return;
    this.inTurn(() => this.#hearTones(asked), true).catch((error: unknown) => {
      if (asked === null || this.#released !== null) return;
      // Who cannot be heard is asked in vain, and the call ends as for one who presses nothing.
      const code = error instanceof MediaError ? error.detail : 'unknown';
      this.parts.emit({ event: 'fault', where: 'in-band-keys', code });
    });
  }

  /** Listens for keys in the sound of who is asked, where they do not come as events. */
  async #hearTones(asked: Asked | null): Promise<void> {
    const said = asked === null ? null : this.#saidBy(asked.party);
    if (asked === null || said === null || asked.by === 'events') return this.#tones.leave();
    if (asked.by === 'auto' && holdsEvents(said)) return this.#tones.leave();
    return this.#tones.listen(asked.party, said);
  }

  /** A party's own description as the node has it; null before the called party's answer. */
  #saidBy(party: Party): Sdp | null {
    const agreed = this.#agreed;
    if (agreed === null) return party === 'caller' ? this.#firstOffer : null;
    return agreed.offerer === party ? agreed.offer : agreed.answer;
  }

  /** After a party was joined with nobody: with the other one again, or with the one that stands in for it. */
  async #rejoin(): Promise<void> {
    const offerer = this.#agreed?.offerer ?? 'caller';
    const answerer = otherParty(offerer);
    if (this.#agreed === null && this.#received === null) throw new MediaError('node-error', 'not-answered');
    const offer = this.#agreed?.offer ?? this.#firstOffer;
    const answer = this.#agreed?.answer ?? placeholderFor(offer, this.home.mediaAddress);
    this.checkPort(answerer, await this.home.offer(this.callId, offerer, true, offer));
    this.checkPort(offerer, await this.home.answer(this.callId, answerer, answer));
  }

  /**
   * Text may stay or go; where there is none, it is refused. Until its answer comes, the node would pass on what
   * anybody sends to the new port (measured), in a call that is open.
   */
  async reoffer(from: Party, said: Sdp): Promise<Sdp> {
    const { text } = this.check(from, said, 'reoffer');
    return this.together(async () => {
      const agreed = this.agreed();
      if (this.#pending !== null && this.#pending.from !== from) {
        throw new MediaError('offer-unusable', 'offer-pending');
      }
      const kept = this.carriesText ? said : withoutText(said);
      if (kept === said) this.#text.take(from, text);
      // An offer of the same party that was never answered: the new one starts from what was agreed.
      await this.#restore();
      const offer = completed(completed(kept, agreed.offer), agreed.answer);
      this.#pending = { from, said, offer };
      try {
        const sdp = await this.home.offer(this.callId, from, true, offer);
        return this.#describe(otherParty(from), sdp).text;
      } catch (error) {
        await this.#restore().catch(() => undefined);
        throw error;
      }
    });
  }

  async reanswer(from: Party, said: Sdp): Promise<Sdp> {
    let text: PeerStreams['text'];
    try {
      text = this.check(from, said, 'reanswer').text;
    } catch (error) {
      await this.restore().catch(() => undefined);
      throw error;
    }
    return this.together(async () => {
      const pending = this.#pending;
      if (pending === null || pending.from === from) throw new MediaError('answer-unusable', 'offer-pending');
      try {
        const answer = this.#answerTo(pending.offer, from, said, text);
        const sdp = await this.home.answer(this.callId, from, answer);
        const description = this.#describe(pending.from, sdp, pending.said);
        this.#pending = null;
        this.#agree(agreedOn(pending.from, pending.offer, answer));
        return description.text;
      } catch (error) {
        await this.#restore().catch(() => undefined);
        throw error;
      }
    });
  }

  async restore(): Promise<void> {
    await this.together(() => this.#restore());
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

  protected check(party: Party, sdp: Sdp, use: SdpUse): PeerStreams {
    const streams = checkStreams(sdp, use, this.parts.rules);
    const source = streams.audio;
    const known = this.#sources[party];
    if (!known.has(source) && known.size >= MAX_SOURCES) {
      throw new MediaError('node-error', 'too-many-addresses');
    }
    known.add(source);
    return streams;
  }

  /** The exchange both parties agreed to. Throws where there is none yet, or a newer one is under way. */
  protected agreed(): Agreed {
    if (this.#agreed === null) throw new MediaError('node-error', 'not-answered');
    return this.#agreed;
  }

  protected get reoffered(): boolean {
    return this.#pending !== null;
  }

  /** Tags besides the parties' that may be in this call, and those of them that may listen now. */
  protected ears(): { readonly known: readonly string[]; readonly listening: readonly string[] } {
    return { known: [], listening: [] };
  }

  /** The last things to be done before the call is deleted on the node, or after it was lost. Never rejects. */
  protected async closing(): Promise<void> {}

  /** The called party's first answer, sent to the node by `send`: the description for the caller. */
  protected async firstAnswer(said: Sdp, send: (answer: Sdp) => Promise<string>): Promise<Sdp> {
    const streams = this.check('called', said, 'answer');
    return this.together(async () => {
      if (this.#agreed !== null) throw new MediaError('node-error', 'answered-already');
      const offer = this.#firstOffer;
      const answer = this.#answerTo(offer, 'called', said, streams.text);
      const sdp = await send(answer);
      const text = this.#received === null ? this.#describe('caller', sdp, offer).text : this.#received.text;
      if (this.#received !== null) this.#compare(this.#received, sdp, offer);
      this.#agree(agreedOn('caller', offer, answer));
      return text;
    });
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
    if (this.carriesText) this.#text.agreed();
  }

  /** The node's port each party sends its RTP to. 0 is never one. */
  protected get ports(): { caller: number; called: number } {
    return { caller: this.#ports.caller ?? 0, called: this.#ports.called ?? 0 };
  }

  /** What the node says to a party that is not told: its port must be the one it was told before. */
  protected checkPort(of: Party, nodeSdp: string): void {
    const { port, textPort } = new PartyDescriptions(this.home.mediaAddress).next(nodeSdp);
    if (this.#ports[of] !== port) throw new MediaError('node-error', 'port-changed');
    this.#text.toldPort(of, textPort);
  }

  /** What a party says to an offer, without text that was not offered to it. */
  #answerTo(offer: Sdp, from: Party, said: Sdp, text: PeerStreams['text']): Sdp {
    const answer = answerTo(offer, said);
    if (textSection(answer) !== null) this.#text.take(from, text);
    return answer;
  }

  async #readdressOne(agreed: Agreed, party: Party, said: Sdp, text: PeerStreams['text']): Promise<void> {
    const other = otherParty(party);
    const before = agreed.offerer === other ? agreed.offer : agreed.answer;
    // What was agreed to holds text of both or of none.
    const sdp = this.#answerTo(before, party, said, text);
    const answer = answerTo(sdp, before);
    this.#pending = { from: party, said, offer: sdp };
    try {
      this.checkPort(other, await this.home.offer(this.callId, party, true, sdp));
      this.checkPort(party, await this.home.answer(this.callId, other, answer));
    } catch (error) {
      await this.#restore().catch(() => undefined);
      throw error;
    }
    this.#pending = null;
    this.#agree(agreedOn(party, sdp, answer));
  }

  /** The same before there is a called party. */
  async #readdressFirst(said: Sdp, text: PeerStreams['text']): Promise<void> {
    const sdp = this.#answerTo(this.#firstOffer, 'caller', said, text);
    const placeholder = placeholderFor(sdp, this.home.mediaAddress);
    await this.home.offer(this.callId, 'caller', true, sdp);
    const node = await this.home.answer(this.callId, 'called', placeholder);
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
    const { tags, listening } = await this.home.query(this.callId);
    const ears = this.ears();
    const foreign = (tag: string): boolean =>
      tag !== 'caller' &&
      tag !== 'called' &&
      !(tag === nobody && this.#tones.used) &&
      !ears.known.includes(tag);
    if (
      !tags.includes('caller') ||
      !tags.includes('called') ||
      tags.some(foreign) ||
      listening.some((tag) => !ears.listening.includes(tag))
    ) {
      throw new MediaError('unexpected-recording', 'foreign-tag');
    }
  }

  async #release(): Promise<MediaTotals | null> {
    this.#onLost = null;
    this.onKey(null);
    this.#speech.close('hushed');
    const closed = this.closing();
    this.turns.close(new MediaError('node-error', 'released'));
    await Promise.all([this.turns.done(), closed]);
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
    const lost = new MediaError('node-error', 'node-lost');
    this.turns.close(lost);
    this.#speech.close(lost);
    this.onKey(null);
    void this.closing();
    this.#onLost?.(why);
    this.#onLost = null;
  }

  /** The node answers but does not know the call: it is another process than before. */
  #noteUnknown(error: unknown): void {
    if (error instanceof MediaError && error.detail === 'call-unknown') this.#lost('call-unknown-to-node');
  }

  /** As `inTurn`, for what the node is told of both parties: one that was joined with nobody is back first. */
  protected together<Value>(work: () => Promise<Value>): Promise<Value> {
    return this.inTurn(async () => {
      await this.#tones.leave();
      return work();
    });
  }

  /** One command, or several that belong together, when those before it are done. */
  protected inTurn<Value>(work: () => Promise<Value>, must = false): Promise<Value> {
    const run = this.turns.take(work, must);
    run.catch((error: unknown) => this.#noteUnknown(error));
    return run;
  }
}
